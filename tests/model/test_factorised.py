import numpy as np
import pytest
import torch

from ndvq_tune.model.factorised import FactorisedConv4d, FactorisedTransposedConv4d

GEOMETRIES = [
    ((3, 3, 3, 3), (1, 1, 1, 1), (1, 1, 1, 1)),
    ((4, 3, 4, 5), (2, 1, 2, 3), (1, 1, 1, 1)),
    ((1, 2, 3, 1), (1, 2, 1, 1), (0, 0, 1, 0)),
    ((3, 1, 2, 3), (2, 1, 1, 2), (2, 0, 0, 1)),
]


def dense_conv(x: np.ndarray, kernel: np.ndarray, stride: tuple[int, ...], padding: tuple[int, ...]) -> np.ndarray:
    x = np.pad(x, [(0, 0), (0, 0), *((p, p) for p in padding)])
    windows = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[2:], axis=(2, 3, 4, 5))
    windows = windows[(slice(None), slice(None), *(slice(None, None, s) for s in stride))]
    return np.einsum("bcTDHWtdhw,octdhw->boTDHW", windows, kernel)


def dense_transposed_conv(
    x: np.ndarray, kernel: np.ndarray, stride: tuple[int, ...], padding: tuple[int, ...]
) -> np.ndarray:
    sizes = [(n - 1) * s + k for n, s, k in zip(x.shape[2:], stride, kernel.shape[2:], strict=True)]
    y = np.zeros((len(x), kernel.shape[1], *sizes))
    for offset in np.ndindex(*kernel.shape[2:]):
        reached = [slice(o, o + (n - 1) * s + 1, s) for o, n, s in zip(offset, x.shape[2:], stride, strict=True)]
        weights = kernel[(slice(None), slice(None), *offset)]
        y[(slice(None), slice(None), *reached)] += np.einsum("bcTDHW,co->boTDHW", x, weights)
    return y[(slice(None), slice(None), *(slice(p, n - p) for p, n in zip(padding, sizes, strict=True)))]


def factors(conv: FactorisedConv4d | FactorisedTransposedConv4d) -> tuple[np.ndarray, np.ndarray]:
    return conv.time.weight.squeeze(-1).detach().numpy(), conv.space.weight.detach().numpy()


@pytest.mark.parametrize(("kernel", "stride", "padding"), GEOMETRIES)
def test_conv_is_a_dense_one_with_a_separable_kernel(kernel, stride, padding):
    conv = FactorisedConv4d(2, 3, kernel, stride, padding).double()
    torch.nn.init.normal_(conv.time.bias)
    x = torch.randn(2, 2, 4, 5, 4, 6, dtype=torch.float64)
    time, space = factors(conv)
    expected = dense_conv(x.numpy(), np.einsum("omt,mcdhw->octdhw", time, space), stride, padding)
    expected += conv.time.bias.detach().numpy()[:, None, None, None, None]
    np.testing.assert_allclose(conv(x).detach(), expected, atol=1e-12)


@pytest.mark.parametrize(("kernel", "stride", "padding"), GEOMETRIES)
def test_transposed_conv_is_a_dense_one_with_a_separable_kernel(kernel, stride, padding):
    conv = FactorisedTransposedConv4d(3, 2, kernel, stride, padding).double()
    torch.nn.init.normal_(conv.space.bias)
    x = torch.randn(2, 3, 4, 3, 2, 3, dtype=torch.float64)
    time, space = factors(conv)
    expected = dense_transposed_conv(x.numpy(), np.einsum("cmt,modhw->cotdhw", time, space), stride, padding)
    expected += conv.space.bias.detach().numpy()[:, None, None, None, None]
    np.testing.assert_allclose(conv(x).detach(), expected, atol=1e-12)


@pytest.mark.parametrize(("kernel", "stride", "padding"), GEOMETRIES)
def test_sizes_are_those_of_the_formulas(kernel, stride, padding):
    sizes = (4, 5, 6, 7)
    x = torch.randn(1, 2, *sizes)
    geometry = list(zip(sizes, kernel, stride, padding, strict=True))
    down = FactorisedConv4d(2, 3, kernel, stride, padding)(x)
    assert down.shape == (1, 3, *((n + 2 * p - k) // s + 1 for n, k, s, p in geometry))
    up = FactorisedTransposedConv4d(2, 3, kernel, stride, padding)(x)
    assert up.shape == (1, 3, *((n - 1) * s - 2 * p + k for n, k, s, p in geometry))


@pytest.mark.parametrize("kind", [FactorisedConv4d, FactorisedTransposedConv4d])
@pytest.mark.parametrize(
    ("kernel", "stride"), [((3, 3, 3, 3), (1, 1, 1, 1)), ((3, 4, 4, 3), (1, 2, 2, 1)), ((4, 3, 3, 3), (2, 1, 1, 1))]
)
def test_weights_keep_the_variance_through_a_relu(kind, kernel, stride):
    x = torch.randn(2, 64, 6, 6, 6, 6).relu()
    with torch.no_grad():
        y = kind(64, 64, kernel, stride, (1, 1, 1, 1))(x)[:, :, 1:-1, 1:-1, 1:-1, 1:-1]
    assert y.relu().square().mean().item() == pytest.approx(x.square().mean().item(), rel=0.2)


@pytest.mark.parametrize("kind", [FactorisedConv4d, FactorisedTransposedConv4d])
def test_biases_start_at_zero_and_only_on_the_last_factor(kind):
    biases = {name: value for name, value in kind(2, 3, *GEOMETRIES[1]).named_parameters() if name.endswith("bias")}
    assert list(biases) == ["time.bias" if kind is FactorisedConv4d else "space.bias"]
    assert not any(bias.any() for bias in biases.values())


@pytest.mark.parametrize("kind", [FactorisedConv4d, FactorisedTransposedConv4d])
def test_gradients(kind):
    conv = kind(2, 1, (3, 1, 3, 2), (2, 1, 1, 1), (1, 0, 1, 1)).double()
    x = torch.randn(1, 2, 2, 1, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, *_: conv(x), (x, *conv.parameters()))


@pytest.mark.parametrize("kind", [FactorisedConv4d, FactorisedTransposedConv4d])
def test_channels_last_memory_stays_channels_last(kind):
    x = torch.randn(2, 4, 4, 6, 4, 3).movedim(-1, 1)
    y = kind(3, 5, (4, 4, 3, 3), (2, 2, 1, 1), (1, 1, 1, 1))(x)
    assert y.movedim(1, -1).is_contiguous()
