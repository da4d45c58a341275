"""Down to the grid of a model's codes and up again: what a model does that learns nothing."""

from collections.abc import Sequence

import torch
from torch.nn import functional as F  # noqa: N812

RESAMPLING = {1: "linear", 2: "bicubic", 3: "trilinear", 4: "quadrilinear"}
"""What it is called for data of so many dimensions."""


def resampled(x: torch.Tensor, sizes: Sequence[int]) -> torch.Tensor:
    """Samples that have passed through a smaller grid of real numbers.

    Images by bicubic interpolation with antialiasing, the same as Pillow's. PyTorch has that for two dimensions only:
    all other samples are averaged over areas on the way down, and interpolated linearly on the way up.

    Args:
        x: Samples ``(B, C, *S)``.
        sizes: Of the grid, one for each dimension.

    Returns:
        ``(B, C, *S)``.

    Example:
        >>> resampled(torch.tensor([[[0.0, 2.0, 4.0, 6.0]]]), [2])
        tensor([[[1., 2., 4., 5.]]])
    """
    if x.ndim == 4:
        small = F.interpolate(x, tuple(sizes), mode="bicubic", antialias=True)
        return F.interpolate(small, x.shape[2:], mode="bicubic", antialias=True)
    return _along_each(_along_each(x, sizes, "area"), x.shape[2:], "linear")


def _along_each(x: torch.Tensor, sizes: Sequence[int], mode: str) -> torch.Tensor:
    """Both are the same one dimension after the other, which works for any number of them."""
    for axis, size in enumerate(sizes, start=2):
        last = x.movedim(axis, -1)
        rows = F.interpolate(last.reshape(-1, 1, last.shape[-1]), size, mode=mode)
        x = rows.reshape(*last.shape[:-1], size).movedim(-1, axis)
    return x
