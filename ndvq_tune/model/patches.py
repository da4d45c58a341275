"""Patches of data as channels, and back, each with one convolution: space-to-depth and depth-to-space in 1D to 4D."""

import math
from collections.abc import Sequence

import torch
from torch import nn

from ndvq_tune.model.convolution import strided_conv, strided_transposed_conv


class PatchConv(nn.Module):
    """Convolution over patches of the data, each of which is one position: ``strided_conv`` for a large stride.

    As in the patch embedding of ViT (Dosovitskiy et al., 2021, section 3.1; https://arxiv.org/abs/2010.11929), but each
    patch sees its neighbours, too.

    Args:
        in_channels: Channels C of the data.
        out_channels: Channels C' of the result.
        patch: Size of a patch along each of the 1 to 4 dimensions.

    Example:
        >>> PatchConv(3, 16, (4, 6))(torch.rand(2, 3, 8, 18)).shape
        torch.Size([2, 16, 2, 3])
    """

    def __init__(self, in_channels: int, out_channels: int, patch: tuple[int, ...]) -> None:
        super().__init__()
        self.patch = patch
        self.conv = strided_conv(in_channels * math.prod(patch), out_channels, (1,) * len(patch))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(B, C, *(n * p))`` to ``(B, C', *n)`` for patches ``p``."""
        y: torch.Tensor = self.conv(space_to_depth(x, self.patch))
        return y


class SubPixelConv(nn.Module):
    """Convolution that gives each position a patch of the result: the way back of ``PatchConv``.

    Sub-pixel convolution (Shi et al., 2016, equation 4; https://arxiv.org/abs/1609.05158).

    Args:
        in_channels: Channels C of the data.
        out_channels: Channels C' of the result.
        patch: Size of a patch along each of the 1 to 4 dimensions.
        gain: Initial weights over those that keep the variance.

    Example:
        >>> SubPixelConv(16, 3, (4, 6))(torch.rand(2, 16, 2, 3)).shape
        torch.Size([2, 3, 8, 18])
    """

    def __init__(self, in_channels: int, out_channels: int, patch: tuple[int, ...], gain: float = 1.0) -> None:
        super().__init__()
        self.patch = patch
        # Transposed is the same here, but slow for a single 3D sample; in 4D it goes over time while channels are few.
        build = strided_transposed_conv if len(patch) == 4 else strided_conv
        self.conv = build(in_channels, out_channels * math.prod(patch), (1,) * len(patch), gain)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(B, C, *n)`` to ``(B, C', *(n * p))`` for patches ``p``."""
        return depth_to_space(self.conv(x), self.patch)


def space_to_depth(x: torch.Tensor, patch: Sequence[int]) -> torch.Tensor:
    """``(B, C, *(n * p))`` as ``(B, P * C, *n)``, where ``P`` is the product of ``p``; in channels-last memory.

    The channels of a position are its patch in row-major order, with the data's channels side by side. Of channels-last
    data nothing is copied in 1D, and otherwise once.

    Args:
        x: The data.
        patch: Size ``p`` of a patch along each dimension.

    Example:
        >>> space_to_depth(torch.arange(6.0).view(1, 1, 6), (3,))
        tensor([[[0., 3.],
                 [1., 4.],
                 [2., 5.]]])
    """
    n_dims = len(patch)
    grid = [size // p for size, p in zip(x.shape[2:], patch, strict=True)]
    split = [size for pair in zip(grid, patch, strict=True) for size in pair]
    places = x.movedim(1, -1).reshape(len(x), *split, -1)
    positions, insides = range(1, 2 * n_dims, 2), range(2, 2 * n_dims + 1, 2)
    return places.permute(0, *positions, *insides, -1).flatten(n_dims + 1).movedim(-1, 1)


def depth_to_space(x: torch.Tensor, patch: Sequence[int]) -> torch.Tensor:
    """``(B, P * C, *n)`` as ``(B, C, *(n * p))``: the inverse of ``space_to_depth``.

    Args:
        x: The patches.
        patch: Size ``p`` of a patch along each dimension.
    """
    n_dims = len(patch)
    sizes = [size * p for size, p in zip(x.shape[2:], patch, strict=True)]
    patches = x.movedim(1, -1).reshape(len(x), *x.shape[2:], *patch, -1)
    interleaved = [
        axis for pair in zip(range(1, n_dims + 1), range(n_dims + 1, 2 * n_dims + 1), strict=True) for axis in pair
    ]
    return patches.permute(0, *interleaved, -1).reshape(len(x), *sizes, -1).movedim(-1, 1)
