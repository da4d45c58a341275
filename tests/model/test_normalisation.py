import numpy as np
import pytest
import torch
from torch import nn

from ndvq_tune.model.convolution import channels_last
from ndvq_tune.model.normalisation import build_norm

KINDS = ["group", "rms", "batch"]
SHAPES = {1: (3, 4, 7), 2: (3, 4, 2, 5), 3: (3, 4, 2, 3, 4), 4: (3, 4, 2, 3, 4, 5)}
EPS = 1e-5


def with_random_parameters(kind: str) -> nn.Module:
    norm = build_norm(kind, 4)
    for parameter in norm.parameters():
        nn.init.normal_(parameter)
    return norm


def standardised(x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + EPS)


def over_channels(parameter: torch.Tensor, n_dims: int) -> np.ndarray:
    return parameter.detach().double().numpy().reshape(-1, *(1,) * n_dims)


@pytest.mark.parametrize("layout", [channels_last, torch.Tensor.contiguous])
@pytest.mark.parametrize("n_dims", SHAPES)
def test_group_standardises_each_sample(n_dims, layout):
    norm = with_random_parameters("group")
    x = 2 * torch.randn(SHAPES[n_dims]) + 1
    expected = standardised(x.double().numpy(), tuple(range(1, n_dims + 2)))
    expected = expected * over_channels(norm.weight, n_dims) + over_channels(norm.bias, n_dims)
    np.testing.assert_allclose(norm(layout(x)).detach(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("layout", [channels_last, torch.Tensor.contiguous])
@pytest.mark.parametrize("n_dims", SHAPES)
def test_rms_divides_each_position_by_its_root_mean_square(n_dims, layout):
    norm = with_random_parameters("rms")
    x = 2 * torch.randn(SHAPES[n_dims]) + 1
    reference = x.double().numpy()
    expected = reference / np.sqrt(np.square(reference).mean(1, keepdims=True) + EPS)
    expected = expected * over_channels(norm.weight, n_dims)
    np.testing.assert_allclose(norm(layout(x)).detach(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("layout", [channels_last, torch.Tensor.contiguous])
@pytest.mark.parametrize("n_dims", SHAPES)
def test_batch_standardises_each_channel(n_dims, layout):
    norm = with_random_parameters("batch")
    x = 2 * torch.randn(SHAPES[n_dims]) + 1
    expected = standardised(x.double().numpy(), (0, *range(2, n_dims + 2)))
    expected = expected * over_channels(norm.weight, n_dims) + over_channels(norm.bias, n_dims)
    np.testing.assert_allclose(norm(layout(x)).detach(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("n_dims", SHAPES)
def test_batch_evaluates_by_moving_averages(n_dims):
    norm = build_norm("batch", 4)
    x = 2 * torch.randn(SHAPES[n_dims]) + 1
    norm(x)
    samples = x.double().movedim(1, 0).flatten(1)
    mean, variance = 0.1 * samples.mean(1), 0.9 + 0.1 * samples.var(1)
    expected = (x.numpy() - over_channels(mean, n_dims)) / np.sqrt(over_channels(variance, n_dims) + EPS)
    np.testing.assert_allclose(norm.eval()(x).detach(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["group", "rms"])
def test_a_sample_does_not_depend_on_its_batch(kind):
    norm = build_norm(kind, 4)
    x = torch.randn(SHAPES[2])
    torch.testing.assert_close(norm(x)[:1], norm(x[:1]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_dims", [1, 4])
def test_gradients(kind, n_dims):
    norm = with_random_parameters(kind).double()
    x = torch.randn(2, 4, *(2,) * n_dims, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, *_: norm(x), (x, *norm.parameters()))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_dims", SHAPES)
def test_channels_last_memory_stays_channels_last(kind, n_dims):
    x = channels_last(torch.randn(SHAPES[n_dims]))
    assert build_norm(kind, 4)(x).stride() == x.stride()


@pytest.mark.parametrize("kind", KINDS)
def test_bfloat16_under_autocast(kind):
    """Warnings are errors: that of a kernel that is not fused for a mixture of types would fail this."""
    norm = build_norm(kind, 4)
    x = torch.randn(SHAPES[2])
    with torch.autocast("cpu", torch.bfloat16):
        y = norm(x.bfloat16())
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.float(), norm(x), atol=0.05, rtol=0.02)


def test_unknown_norm():
    with pytest.raises(ValueError, match="group, rms, batch, but got 'layer'"):
        build_norm("layer", 4)
