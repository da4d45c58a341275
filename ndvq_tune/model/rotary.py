"""Rotary position embedding for tokens on a grid of any number of dimensions."""

from collections.abc import Sequence

import torch

# A latent grid is 4 to 256 positions long. From this base the pairs of an axis turn fully in 6 (neighbours differ most)
# to some hundred positions (the ends of the axis still differ); from 10000, the one for text, half of the pairs would
# hardly turn at all. Heo et al., 2024, take it for images: https://arxiv.org/abs/2403.13298.
_BASE = 100.0


def rotations(sizes: Sequence[int], width: int, device: torch.device | None = None) -> torch.Tensor:
    """What ``rotate`` turns heads of this width by, each position by its own angles, as complex numbers of length 1.

    The ``width // 2`` pairs of channels are dealt out to the dimensions of the grid, the first ones first: in a narrow
    head the last may get none. The sizes do not matter to that, so a trained model works on grids of other sizes. The
    ``i``-th of the ``m`` pairs of a dimension turns by ``100 ** (-i / m)`` a position (Su et al., 2021, section 3.2.2).

    Args:
        sizes: Positions along each dimension of the grid, ``(L1, ..., Ln)``.
        width: Channels of a head.
        device: Where the tables are made.

    Returns:
        Complex64 ``(L1 * ... * Ln, width // 2)``; tokens are in the order of a flattened grid.

    Example:
        >>> turns = rotations((4, 8), width=16)
        >>> turns.shape, turns.dtype
        (torch.Size([32, 8]), torch.complex64)
        >>> rotate(torch.rand(2, 32, 16), turns).shape
        torch.Size([2, 32, 16])
    """
    grid = torch.meshgrid(*(torch.arange(size, device=device) for size in sizes), indexing="ij")
    pairs = [len(range(axis, width // 2, len(sizes))) for axis in range(len(sizes))]
    angles = torch.cat(
        [
            positions.reshape(-1, 1) * _BASE ** -(torch.arange(m, device=device) / m)
            for positions, m in zip(grid, pairs, strict=True)
        ],
        -1,
    )
    return torch.polar(torch.ones_like(angles), angles)


def rotate(x: torch.Tensor, turns: torch.Tensor) -> torch.Tensor:
    """Turn pairs of channels by ``rotations`` (Su et al., 2021, equation 34; https://arxiv.org/abs/2104.09864).

    The product of a rotated query and a rotated key depends on where one is seen from the other, and not on where both
    are. Neighbouring channels are a complex number, and turning it is one multiplication: cheaper than with sines and
    cosines apart. An odd last channel is left alone.

    Args:
        x: Queries or keys ``(..., L, d)``.
        turns: ``(L, d // 2)``, complex.

    Returns:
        Rotated ``x``, in the same shape and type.
    """
    pairs = turns.shape[-1]
    even, rest = x.tensor_split((2 * pairs,), -1)
    if rest.shape[-1]:
        even = even.contiguous()  # a view as complex numbers wants even strides
    even = even.to(torch.promote_types(x.dtype, torch.float32))
    numbers = torch.view_as_complex(even.view(*x.shape[:-1], pairs, 2))
    turned = torch.view_as_real(numbers * turns).flatten(-2).to(x.dtype)
    return torch.cat([turned, rest], -1) if rest.shape[-1] else turned
