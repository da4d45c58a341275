import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from ndvq_tune.model.convolution import (
    Conv1d,
    Conv3d,
    TransposedConv1d,
    channels_last,
    strided_conv,
    strided_transposed_conv,
)


def direct_sum(x: np.ndarray, weight: np.ndarray, stride: tuple[int, ...]) -> np.ndarray:
    """Convolution of one sample ``(C, *S)`` with ``(C', C, *K)``, padded by one zero, term by term in float64."""
    padded = np.pad(x, [(0, 0)] + [(1, 1)] * len(stride))
    kernel = weight.shape[2:]
    sizes = [(size - k) // s + 1 for size, k, s in zip(padded.shape[1:], kernel, stride, strict=True)]
    out = np.zeros((len(weight), *sizes))
    for place in np.ndindex(*sizes):
        window = tuple(slice(p * s, p * s + k) for p, s, k in zip(place, stride, kernel, strict=True))
        out[(slice(None), *place)] = (weight * padded[(slice(None), *window)]).reshape(len(weight), -1).sum(1)
    return out


@pytest.mark.parametrize("stride", [(1,), (3,), (2, 1), (1, 2, 2)])
def test_strided_conv_is_the_direct_sum_with_one_zero_at_either_side(stride):
    conv = strided_conv(2, 3, stride)
    x = torch.randn(2, 2, *(3 * s for s in stride))
    weight = conv.get_parameter("weight").detach().double().numpy().reshape(3, 2, *(s + 2 for s in stride))
    expected = np.stack([direct_sum(sample, weight, stride) for sample in x.double().numpy()])
    np.testing.assert_allclose(conv(x).detach().numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("stride", [(2,), (3, 1), (2, 1, 2)])
def test_transposed_conv_is_the_adjoint_of_the_conv(stride):
    """``<conv x, y> = <x, transposed conv y>`` for the same weights."""
    conv, back = strided_conv(2, 3, stride), strided_transposed_conv(3, 2, stride)
    back.weight.data = conv.weight.data
    x = torch.randn(1, 2, *(4 * s for s in stride))
    y = torch.randn(1, 3, *(4 for _ in stride))
    torch.testing.assert_close((conv(x) * y).sum(), (x * back(y)).sum(), atol=1e-4, rtol=1e-4)


def test_1d_convolutions_are_those_of_torch():
    x = torch.randn(2, 3, 12)
    conv, back = Conv1d(3, 4, (4,), (2,), 1), TransposedConv1d(4, 3, (4,), (2,), 1)
    expected = F.conv1d(x, conv.weight.squeeze(2), conv.bias, 2, 1)
    torch.testing.assert_close(conv(x), expected)
    torch.testing.assert_close(back(expected), F.conv_transpose1d(expected, back.weight.squeeze(2), back.bias, 2, 1))


@pytest.mark.parametrize("onednn_layout", [True, False])
def test_one_sample_is_convolved_as_in_a_batch(onednn_layout):
    """It goes another way, through oneDNN's own layout: values, gradients and memory format are the same."""
    conv = Conv3d(3, 5, 3, padding=1)
    conv.onednn_layout = onednn_layout
    x = channels_last(torch.randn(2, 3, 4, 6, 5))
    results = []
    for batch in (x, x[:1]):
        leaf = batch.detach().requires_grad_()
        y = conv(leaf)
        y[:1].square().sum().backward()
        results.append((y[:1], leaf.grad[:1], conv.weight.grad.clone(), conv.bias.grad.clone()))
        assert y.is_contiguous(memory_format=torch.channels_last_3d)
        conv.zero_grad()
    for together, alone in zip(*results, strict=True):
        torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)


def test_one_sample_is_convolved_where_onednn_is_switched_off(monkeypatch):
    conv = Conv3d(3, 5, 3, padding=1)
    x = channels_last(torch.randn(1, 3, 4, 6, 5))
    expected = conv(x)
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)
    torch.testing.assert_close(conv(x), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_one_sample_of_another_type_works(dtype):
    conv = Conv3d(1, 1, 3, padding=1).to(dtype)
    assert conv(torch.randn(1, 1, 3, 3, 3, dtype=dtype)).dtype == dtype


@pytest.mark.parametrize("stride", [(2,), (1, 2), (2, 2, 2)])
def test_gradients_are_right(stride):
    for conv in (strided_conv(2, 2, stride), strided_transposed_conv(2, 2, stride)):
        x = torch.randn(1, 2, *(2 * s for s in stride), dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(conv.double(), (x,))


@pytest.mark.parametrize("n_dims", [1, 2, 3, 4])
def test_channels_last_puts_the_channels_of_a_position_side_by_side(n_dims):
    x = torch.randn(2, 3, *range(4, 4 + n_dims))
    y = channels_last(x)
    assert torch.equal(x, y)
    assert y.stride(1) == 1
    assert y.stride(0) == math.prod(x.shape[1:])


@pytest.mark.parametrize("n_dims", [1, 2, 3, 4])
def test_gain_scales_the_initial_weights(n_dims):
    x = torch.randn(4, 64, *[6] * n_dims) if n_dims < 4 else torch.randn(2, 16, 4, 4, 4, 4)
    torch.manual_seed(0)
    plain = strided_transposed_conv(x.shape[1], 8, (2,) * n_dims)
    torch.manual_seed(0)
    scaled = strided_transposed_conv(x.shape[1], 8, (2,) * n_dims, gain=0.1)
    torch.testing.assert_close(scaled(x), 0.1 * plain(x), atol=1e-5, rtol=1e-4)
