"""The models and quantizers that ``benchmarks.model`` puts side by side: each builder gives one training step."""

from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from benchmarks import seed
from benchmarks.measure import Step
from ndvq_tune.config import ModelConfig
from ndvq_tune.model import EMACodebook, build_model

try:
    from vector_quantize_pytorch import VectorQuantize
except ImportError:
    VectorQuantize = None

N_HIDDENS, N_RES_LAYERS, N_CODES, EMBEDDING_DIM, BETA = 32, 2, 256, 32, 0.25
DECAY, RESTART_THRESHOLD = 0.95, 0.03


@dataclass(frozen=True)
class Case:
    """A model and a batch for it.

    Attributes:
        shape: Shape ``(C, *S)`` of a sample.
        downsample: Factor of each dimension.
        batch: Samples a step.
        faster: Goal: the seed's step takes at least so many times ours.
        smaller: Goal: the seed's peak memory is at least so many times ours.
    """

    shape: tuple[int, ...]
    downsample: tuple[int, ...]
    batch: int
    faster: float = 1.0
    smaller: float = 1.0

    def __str__(self) -> str:
        sizes = "x".join(map(str, self.shape[1:]))
        return f"{len(self.downsample)}D {sizes} / {','.join(map(str, self.downsample))} (B {self.batch})"


def models(case: Case) -> dict[str, partial[Step]]:
    """Builders of the models that can be had here."""
    ours = {f"ours, {kind}": partial(our_model, case, kind) for kind in ("axial", "none", "full")}
    return ({"seed": partial(seed_model, case)} if seed.NDimVQVAE else {}) | ours


def seed_model(case: Case) -> Step:
    """A training step of the published model, which has one kind of attention."""
    torch.manual_seed(0)
    n_dims, downsample, shape = len(case.downsample), list(case.downsample), list(case.shape)
    model = seed.NDimVQVAE(EMBEDDING_DIM, N_CODES, n_dims, downsample, N_HIDDENS, N_RES_LAYERS, BETA, shape)
    return _training_step(model, torch.optim.Adam(model.parameters(), lr=seed.LEARNING_RATE), case)


def our_model(case: Case, attention: str) -> Step:
    """A training step of ours with this kind of attention."""
    torch.manual_seed(0)
    config = ModelConfig(
        n_dims=len(case.downsample),
        n_codes=N_CODES,
        embedding_dim=EMBEDDING_DIM,
        downsample=case.downsample,
        n_hiddens=N_HIDDENS,
        n_res_layers=N_RES_LAYERS,
        codebook_beta=BETA,
        activation="relu",  # the seed's
        attention={"type": attention, "n_head": 2, "dropout": 0.0},
    )
    model = build_model(config, case.shape)
    return _training_step(model, torch.optim.Adam(model.parameters(), lr=1e-3, fused=True), case)


def _training_step(model: nn.Module, optimizer: torch.optim.Optimizer, case: Case) -> Step:
    x = torch.rand(case.batch, *case.shape, generator=torch.Generator().manual_seed(1)) - 0.5

    def step() -> None:
        recon_loss, _, vq_output = model(x)
        optimizer.zero_grad(set_to_none=True)
        (recon_loss + vq_output["commitment_loss"]).backward()
        optimizer.step()

    return step


@dataclass(frozen=True)
class QuantizerCase:
    """A codebook and the vectors that it quantises at once."""

    n_codes: int
    vectors: int = 8192
    dim: int = 64
    only_ours: bool = False

    def __str__(self) -> str:
        return f"{self.n_codes:,} codes, {self.vectors:,} vectors of {self.dim}"


def quantizers(case: QuantizerCase) -> dict[str, partial[Step]]:
    """Builders of the quantizers that can be had here."""
    builders = {"ours": our_quantizer}
    if VectorQuantize and not case.only_ours:
        builders = {"VectorQuantize": peer_quantizer} | builders
    if seed.Codebook and not case.only_ours:
        builders = {"seed": seed_quantizer} | builders
    return {name: partial(build, case) for name, build in builders.items()}


def seed_quantizer(case: QuantizerCase) -> Step:
    """A training step of the published codebook. Latents come channels first, as its encoder gives them."""
    torch.manual_seed(0)
    codebook = seed.Codebook(case.n_codes, case.dim, BETA).train()
    latents = _vectors(case).mT.contiguous().requires_grad_()
    return partial(_quantizer_step, codebook, latents)


def our_quantizer(case: QuantizerCase) -> Step:
    """A training step of ours. Latents are channels first with channels last in memory, as its encoder gives them.

    The first codes are a sample, as the other quantizers have it: k-means is a matter of the first step alone.
    """
    torch.manual_seed(0)
    codebook = EMACodebook(
        case.n_codes, case.dim, BETA, DECAY, codebook_init="sample", restart_threshold=RESTART_THRESHOLD
    ).train()
    return partial(_quantizer_step, codebook, _vectors(case).mT.requires_grad_())


def peer_quantizer(case: QuantizerCase) -> Step:
    """A training step of vector-quantize-pytorch, set to do what ours does. It takes channels last."""
    torch.manual_seed(0)
    even_use = case.vectors / case.n_codes
    quantizer = VectorQuantize(
        case.dim,
        case.n_codes,
        decay=DECAY,
        commitment_weight=BETA,
        threshold_ema_dead_code=RESTART_THRESHOLD * even_use,
        rotation_trick=False,
    ).train()
    latents = _vectors(case).requires_grad_()

    def step() -> None:
        quantised, _, commitment_loss = quantizer(latents)
        latents.grad = None
        (quantised.mean() + commitment_loss.sum()).backward()

    return step


def _quantizer_step(codebook: nn.Module, latents: torch.Tensor) -> None:
    vq_output = codebook(latents)
    latents.grad = None
    (vq_output["embeddings"].mean() + vq_output["commitment_loss"]).backward()


def _vectors(case: QuantizerCase) -> torch.Tensor:
    return torch.randn(1, case.vectors, case.dim, generator=torch.Generator().manual_seed(1))
