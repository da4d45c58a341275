import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from ndvq_tune.model.convolution import channels_last
from ndvq_tune.model.patches import PatchConv, SubPixelConv, depth_to_space, space_to_depth

PATCHES = [(4,), (3, 2), (1, 2), (2, 1, 3), (1, 1, 1), (2, 1, 3, 2)]


def data(patch: tuple[int, ...], channels: int = 2, grid: int = 3) -> torch.Tensor:
    return torch.randn(2, channels, *(grid * p for p in patch))


@pytest.mark.parametrize("patch", PATCHES)
def test_space_to_depth_puts_each_patch_into_its_position_one_number_after_another(patch):
    x = data(patch)
    found = space_to_depth(x, patch).numpy()
    assert found.shape == (2, 2 * math.prod(patch), *(3 for _ in patch))
    expected = np.full_like(found, np.nan)
    for place in np.ndindex(*found.shape[2:]):
        for number, inside in enumerate(np.ndindex(*patch)):
            source = tuple(n * p + i for n, p, i in zip(place, patch, inside, strict=True))
            for channel in range(2):
                expected[(slice(None), 2 * number + channel, *place)] = x.numpy()[(slice(None), channel, *source)]
    np.testing.assert_array_equal(found, expected)


def test_in_two_dimensions_it_is_torchs_pixel_unshuffle_with_the_datas_channels_side_by_side():
    x = data((3, 3))
    theirs = F.pixel_unshuffle(x, 3).unflatten(1, (2, 9)).transpose(1, 2).flatten(1, 2)
    assert torch.equal(space_to_depth(x, (3, 3)), theirs)


@pytest.mark.parametrize("patch", PATCHES)
def test_depth_to_space_is_the_way_back(patch):
    x = data(patch)
    assert torch.equal(depth_to_space(space_to_depth(x, patch), patch), x)


@pytest.mark.parametrize("patch", PATCHES)
def test_channels_last_memory_goes_in_and_comes_out(patch):
    deep = space_to_depth(channels_last(data(patch)), patch)
    for result in (deep, depth_to_space(deep, patch)):
        assert result.movedim(1, -1).is_contiguous()


def test_a_signal_is_not_copied():
    x = channels_last(data((4,)))
    deep = space_to_depth(x, (4,))
    assert deep.data_ptr() == x.data_ptr() == depth_to_space(deep, (4,)).data_ptr()


@pytest.mark.parametrize("patch", PATCHES)
def test_a_position_sees_its_patch_and_those_beside_it_and_gives_a_patch_of_the_result(patch):
    x = data(patch, grid=5).requires_grad_()
    PatchConv(2, 4, patch)(x)[(slice(None), slice(None), *(2 for _ in patch))].sum().backward()
    seen = (x.grad != 0).any(dim=1).any(dim=0)
    window = tuple(slice(p, 4 * p) for p in patch)
    assert seen[window].all()
    assert seen.sum() == math.prod(3 * p for p in patch)

    y = torch.randn(1, 4, *(5 for _ in patch), requires_grad=True)
    result = SubPixelConv(4, 2, patch)(y)
    assert result.shape == (1, 2, *(5 * p for p in patch))
    result[(slice(None), slice(None), *(slice(2 * p, 3 * p) for p in patch))].sum().backward()
    assert ((y.grad != 0).any(dim=1).sum()) == 3 ** len(patch)


@pytest.mark.parametrize("patch", [(4,), (3, 2), (2, 1, 3)])
def test_both_are_one_convolution_of_kernel_three(patch):
    volume, kernel = math.prod(patch), 3 ** len(patch)
    sizes = [sum(p.numel() for p in conv.parameters()) for conv in (PatchConv(2, 5, patch), SubPixelConv(5, 2, patch))]
    assert sizes == [2 * volume * 5 * kernel + 5, 5 * 2 * volume * kernel + 2 * volume]


@pytest.mark.parametrize("patch", PATCHES)
def test_weights_keep_the_variance_through_a_relu_but_for_the_gain(patch):
    """Which lets half of it through."""
    grid = {1: 200, 2: 30, 3: 12, 4: 8}[len(patch)]
    inside = (slice(None), slice(None), *(slice(1, -1) for _ in patch))
    for conv, x, gain in (
        (PatchConv(32, 64, patch), data(patch, 32, grid), 1.0),
        (SubPixelConv(64, 32, patch, gain=0.5), torch.randn(2, 64, *(grid for _ in patch)), 0.5),
    ):
        with torch.no_grad():
            assert conv(x)[inside].var().item() == pytest.approx(2 * gain**2, rel=0.15)


@pytest.mark.parametrize("patch", [(2,), (1, 2), (2, 1, 2), (1, 2, 1, 2)])
def test_gradients_are_right(patch):
    for conv, x in (
        (PatchConv(1, 2, patch), data(patch, 1, 2)),
        (SubPixelConv(2, 1, patch), torch.randn(1, 2, *[2] * len(patch))),
    ):
        assert torch.autograd.gradcheck(conv.double(), (x.double().requires_grad_(),))
