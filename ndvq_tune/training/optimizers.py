"""What changes the weights: Adam, AdamW, or Muon for matrices and convolutions with Adam for all else.

Muon is ours because PyTorch's own (``torch.optim.Muon``) takes no convolution kernels, and computes in bfloat16, which
is slow on most CPUs.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable

import torch
from torch import nn

from ndvq_tune.config import TrainingConfig

MATRIX = 8  # rows, and values a row, below which a matrix is left to Adam: nothing to make orthogonal
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # of Jordan et al., 2024, https://kellerjordan.github.io/posts/muon
EPSILON = 1e-7


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalised (Jordan et al., 2024, https://kellerjordan.github.io/posts/muon).

    A weight ``(rows, ...)`` is seen as the matrix ``(rows, columns)``. What its Nesterov momentum ``M`` points to is
    replaced by about the nearest matrix whose singular values are all one, ``U V^T`` of ``M = U S V^T``, so that rare
    directions are learned as fast as common ones. Times the root of rows over columns where a matrix is higher than
    wide, as Jordan has it: so a step changes what comes out of a weight by as much for kernels of any dimension. Steps
    as large as Adam's (Liu et al., 2025, arXiv 2502.16982, equation 4) grow with the root of the columns instead, and
    let no rate suit the kernels of 1D and of 3D models alike.

    Args:
        parameters: Weights of two or more dimensions, or groups of them.
        lr: Learning rate.
        momentum: Share of the momentum that a step keeps, in [0, 1).
        weight_decay: Share of the learning rate by which weights shrink in a step.
        newton_schulz_steps: Steps of the iteration that makes singular values about one: within 0.7 to 1.2 after five.

    Example:
        >>> weight = nn.Parameter(torch.eye(8))
        >>> weight.grad = torch.diag(torch.arange(1.0, 9.0))  # along one axis eight times as steep as along another
        >>> Muon([weight], lr=1.0, newton_schulz_steps=10).step()
        >>> bool((weight.detach().abs() < 0.35).all())
        True
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter] | Iterable[dict[str, object]],
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        newton_schulz_steps: int = 5,
    ) -> None:
        settings = {"momentum": momentum, "weight_decay": weight_decay, "newton_schulz_steps": newton_schulz_steps}
        super().__init__(parameters, {"lr": lr, **settings})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Change the weights by their gradients; weights without any stay.

        Args:
            closure: Not used: gradients are there already.
        """
        for group in self.param_groups:
            alike: dict[torch.Size, list[nn.Parameter]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    alike[parameter.shape].append(parameter)
            for parameters in alike.values():  # of one shape, and so in one go
                directions = torch.stack([self._direction(parameter, group["momentum"]) for parameter in parameters])
                rows, columns = directions.shape[-2:]
                size = max(1.0, rows / columns) ** 0.5
                for parameter, step in zip(
                    parameters, orthogonal(directions, group["newton_schulz_steps"]), strict=True
                ):
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    parameter.sub_(step.view_as(parameter), alpha=group["lr"] * size)

    def _direction(self, parameter: nn.Parameter, momentum: float) -> torch.Tensor:
        """Nesterov's momentum, as a matrix."""
        assert parameter.grad is not None
        state = self.state[parameter]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(parameter)
        state["momentum"].lerp_(parameter.grad, 1 - momentum)
        return parameter.grad.lerp(state["momentum"], momentum).flatten(1)


def orthogonal(matrices: torch.Tensor, steps: int) -> torch.Tensor:
    """About the nearest matrices with singular values of one, by Newton-Schulz iteration of the fifth order.

    Args:
        matrices: Shape ``(N, rows, columns)``.
        steps: Steps of the iteration.
    """
    a, b, c = NEWTON_SCHULZ
    wide = matrices.shape[-2] <= matrices.shape[-1]
    x = matrices if wide else matrices.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + EPSILON)
    for _ in range(steps):
        square = x @ x.mT
        x = torch.baddbmm(x, b * square + c * (square @ square), x, beta=a)
    return x if wide else x.mT


def optimizers(parameters: Iterable[nn.Parameter], settings: TrainingConfig) -> list[torch.optim.Optimizer]:
    """The optimisers of a training; each has some of the weights. Norms and biases do not decay.

    Args:
        parameters: All weights of the model.
        settings: Learning rates are those of the peak: ``peak`` of each group keeps them.
    """
    weights = list(parameters)
    kind, rate = settings.optimizer, settings.learning_rate
    found: list[torch.optim.Optimizer] = []
    if kind.type == "muon":
        matrices = [weight for weight in weights if is_matrix(weight)]
        weights, rate = [weight for weight in weights if not is_matrix(weight)], settings.adam_learning_rate
        if matrices:
            muon = Muon(
                matrices, settings.learning_rate, kind.momentum, settings.weight_decay, kind.newton_schulz_steps
            )
            found.append(muon)
    if weights:
        adam = torch.optim.Adam if kind.type == "adam" else torch.optim.AdamW
        groups = [
            {"params": [weight for weight in weights if (weight.dim() > 1) is decays], "weight_decay": decay}
            for decays, decay in ((True, settings.weight_decay), (False, 0.0))
        ]
        betas = (settings.beta1, settings.beta2)
        found.append(adam([group for group in groups if group["params"]], rate, betas, settings.eps, fused=True))
    for group in (group for optimizer in found for group in optimizer.param_groups):
        group["peak"] = group["lr"]
    return found


def set_learning_rates(found: Iterable[torch.optim.Optimizer], share: float) -> None:
    """Give each group of weights a share of its peak learning rate."""
    for group in (group for optimizer in found for group in optimizer.param_groups):
        group["lr"] = group["peak"] * share


def is_matrix(weight: torch.Tensor) -> bool:
    """Whether Muon takes a weight: one that is a matrix, or as a convolution's kernel can be seen as one."""
    return weight.dim() > 1 and min(len(weight), weight[0].numel()) >= MATRIX


def state_bytes(weights: Iterable[torch.Tensor], settings: TrainingConfig) -> int:
    """What the optimisers keep of weights: two moments in Adam, one momentum in Muon."""
    muon = settings.optimizer.type == "muon"
    return sum(weight.nbytes * (1 if muon and is_matrix(weight) else 2) for weight in weights)
