import copy

import numpy as np
import pytest
import torch
from torch import nn

from ndvq_tune.config import TrainingConfig
from ndvq_tune.training.optimizers import Muon, is_matrix, optimizers, orthogonal, state_bytes

NETWORK = nn.Sequential(nn.Conv2d(3, 16, 3), nn.GroupNorm(4, 16), nn.Conv2d(16, 8, 3), nn.Flatten(), nn.Linear(8, 12))


def step(settings: dict, steps: int = 1) -> tuple[nn.Module, list[list[torch.Tensor]]]:
    """A small network after some steps of its optimisers, and the gradients that it had in each."""
    network = copy.deepcopy(NETWORK)
    found = optimizers(network.parameters(), TrainingConfig(**settings))
    gradients = []
    for number in range(steps):
        network.zero_grad()
        x = torch.rand(4, 3, 5, 5, generator=torch.Generator().manual_seed(number))
        network(x).square().sum().backward()
        gradients.append([weight.grad.clone() for weight in network.parameters()])
        for optimizer in found:
            optimizer.step()
    return network, gradients


def by_hand(weight: np.ndarray, gradients: list[np.ndarray], decay: float) -> np.ndarray:
    """Adam as in its paper (Kingma and Ba, 2015, algorithm 1), with L2 regularisation, in float64."""
    first, second = np.zeros_like(weight), np.zeros_like(weight)
    for number, gradient in enumerate(gradients, start=1):
        regularised = gradient + decay * weight
        first = 0.8 * first + 0.2 * regularised
        second = 0.7 * second + 0.3 * regularised**2
        weight = weight - 0.01 * (first / (1 - 0.8**number)) / (np.sqrt(second / (1 - 0.7**number)) + 1e-3)
    return weight


def test_betas_and_eps_are_those_of_adam_and_only_weights_decay():
    settings = {
        "optimizer": "adam",
        "learning_rate": 0.01,
        "beta1": 0.8,
        "beta2": 0.7,
        "eps": 1e-3,
        "weight_decay": 0.2,
    }
    network, gradients = step(settings, steps=3)
    for index, (before, after) in enumerate(zip(NETWORK.parameters(), network.parameters(), strict=True)):
        decay = 0.2 if before.dim() > 1 else 0.0
        expected = by_hand(
            before.detach().double().numpy(), [each[index].double().numpy() for each in gradients], decay
        )
        assert after.detach().numpy() == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize(("name", "kind"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)])
def test_the_optimizer_is_the_configured_one(name, kind):
    (optimizer,) = optimizers(NETWORK.parameters(), TrainingConfig(optimizer=name, weight_decay=0.25))
    assert type(optimizer) is kind
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.25, 0.0]


def test_muon_takes_kernels_and_matrices_and_adamw_the_rest():
    network = nn.Sequential(NETWORK, nn.Linear(4, 100))  # four values a row are no matrix
    muon, adam = optimizers(network.parameters(), TrainingConfig(optimizer={"type": "muon"}))
    shapes = [
        [tuple(weight.shape) for group in each.param_groups for weight in group["params"]] for each in (muon, adam)
    ]
    assert shapes[0] == [(16, 3, 3, 3), (8, 16, 3, 3), (12, 8)]
    assert shapes[1] == [(100, 4), (16,), (16,), (16,), (8,), (12,), (100,)]
    assert type(adam) is torch.optim.AdamW
    assert (muon.param_groups[0]["peak"], adam.param_groups[0]["peak"]) == (0.03, 0.002)
    assert adam.param_groups[0]["betas"] == (0.9, 0.95)


@pytest.mark.parametrize("shape", [(8, 8), (8, 30), (30, 8)])
def test_newton_schulz_comes_near_the_polar_factor(shape):
    """Whose rows or columns are orthonormal; here by a singular value decomposition."""
    matrices = torch.randn(5, *shape, dtype=torch.float64)
    u, _, v = torch.linalg.svd(matrices, full_matrices=False)
    found = orthogonal(matrices, steps=8)
    singular = torch.linalg.svdvals(found)
    assert 0.65 < singular.min() <= singular.max() < 1.25
    cosine = (found * (u @ v)).sum((1, 2)) / (found.norm(dim=(1, 2)) * (u @ v).norm(dim=(1, 2)))
    assert cosine.min() > 0.96


@pytest.mark.parametrize("shape", [(16, 24), (24, 16)])
def test_muon_is_pytorchs_on_matrices(shape):
    """PyTorch's computes in bfloat16, so only about; on kernels it does not run at all."""
    gradients = [torch.randn(*shape) for _ in range(4)]
    weights = [nn.Parameter(torch.ones(*shape)) for _ in range(2)]
    settings = {"lr": 0.02, "momentum": 0.9, "weight_decay": 0.1}
    ours = Muon([weights[0]], **settings, newton_schulz_steps=5)
    theirs = torch.optim.Muon([weights[1]], **settings, ns_steps=5, adjust_lr_fn="original")
    for gradient in gradients:
        for weight, optimizer in zip(weights, (ours, theirs), strict=True):
            weight.grad = gradient.clone()
            optimizer.step()
    moved = [1 - weight.detach() for weight in weights]
    assert (moved[0] - moved[1]).norm() < 0.02 * moved[1].norm()
    with pytest.raises(ValueError, match="2D"):
        torch.optim.Muon([nn.Parameter(torch.ones(8, 3, 3))])


def test_weights_of_one_shape_are_computed_together_as_they_would_be_alone():
    gradients = [torch.randn(12, 9) for _ in range(3)]
    together = [nn.Parameter(torch.zeros(12, 9)) for _ in gradients]
    alone = [nn.Parameter(torch.zeros(12, 9)) for _ in gradients]
    for weight, other, gradient in zip(together, alone, gradients, strict=True):
        weight.grad, other.grad = gradient.clone(), gradient.clone()
        Muon([other], lr=0.1).step()
    Muon(together, lr=0.1).step()
    assert all(torch.allclose(weight, other, atol=1e-6) for weight, other in zip(together, alone, strict=True))


def test_a_kernel_is_the_matrix_of_its_rows():
    kernel, matrix = nn.Parameter(torch.zeros(8, 4, 3, 3)), nn.Parameter(torch.zeros(8, 36))
    kernel.grad = torch.randn(8, 4, 3, 3)
    matrix.grad = kernel.grad.flatten(1).clone()
    Muon([kernel], lr=0.1).step()
    Muon([matrix], lr=0.1).step()
    assert torch.equal(kernel.flatten(1), matrix)


def test_what_has_no_gradient_stays():
    weight = nn.Parameter(torch.ones(8, 8))
    Muon([weight], lr=0.1, weight_decay=0.5).step()
    assert torch.equal(weight, torch.ones(8, 8))


@pytest.mark.parametrize("kind", ["adam", "adamw", "muon"])
def test_the_predicted_state_is_what_the_optimisers_keep(kind):
    network = copy.deepcopy(NETWORK)
    settings = TrainingConfig(optimizer={"type": kind})
    found = optimizers(network.parameters(), settings)
    network(torch.rand(4, 3, 5, 5)).sum().backward()
    for optimizer in found:
        optimizer.step()
    slots = [slot for optimizer in found for slots in optimizer.state.values() for slot in slots.items()]
    assert state_bytes(network.parameters(), settings) == sum(value.nbytes for name, value in slots if name != "step")
    assert all(is_matrix(weight) for weight in found[0].state) == (kind == "muon")
