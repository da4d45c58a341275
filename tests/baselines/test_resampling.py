import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

from ndvq_tune.baselines.resampling import RESAMPLING, resampled


def noise(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(3))


def by_pillow(x: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A channel ``(H, W)``, down to a height and width and up again."""
    small = Image.fromarray(x).resize(size[::-1], Image.Resampling.BICUBIC)
    return np.asarray(small.resize(x.shape[::-1], Image.Resampling.BICUBIC))


@pytest.mark.parametrize("size", [(4, 4), (3, 5), (12, 10)])
def test_images_are_as_bicubic_as_those_of_pillow(size):
    x = noise(2, 3, 12, 10)
    expected = [[by_pillow(channel.numpy(), size) for channel in image] for image in x]
    np.testing.assert_allclose(resampled(x, size).numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("factors", [(4,), (2, 4, 4), (2, 1, 2, 4)])
def test_other_samples_are_averaged_and_interpolated_linearly(factors):
    sizes = [3, 5, 2, 2][: len(factors)]
    x = noise(2, 3, *(size * factor for size, factor in zip(sizes, factors, strict=True)))
    blocks = [part for size, factor in zip(sizes, factors, strict=True) for part in (size, factor)]
    small = x.numpy().astype(np.float64).reshape(2, 3, *blocks).mean(tuple(range(3, 3 + len(blocks), 2)))
    expected = ndimage.zoom(small, (1, 1, *factors), order=1, mode="nearest", grid_mode=True)
    np.testing.assert_allclose(resampled(x, sizes).numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("shape", [(7,), (7, 9), (3, 7, 9), (2, 3, 5, 7)])
def test_sizes_that_factors_do_not_divide_keep_their_shape_and_what_is_constant_its_value(shape):
    x = torch.full((2, 3, *shape), 0.37)
    small = [-(-size // 2) for size in shape]
    assert len(shape) in RESAMPLING
    torch.testing.assert_close(resampled(x, small), x, rtol=0, atol=1e-6)


def test_a_grid_of_the_same_size_loses_nothing():
    x = noise(1, 2, 4, 6, 5)
    torch.testing.assert_close(resampled(x, [4, 6, 5]), x)
