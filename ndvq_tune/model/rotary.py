"""Rotary position embedding for tokens on a grid of any number of dimensions."""

from collections.abc import Sequence

import torch

# A latent grid is 4 to 256 positions long. From this base the pairs of an axis turn fully in 6 (neighbours differ most)
# to some hundred positions (the ends of the axis still differ); from 10000, the one for text, half of the pairs would
# hardly turn at all. Heo et al., 2024, take it for images: https://arxiv.org/abs/2403.13298.
_BASE = 100.0


def rotary_tables(
    sizes: Sequence[int], width: int, device: torch.device | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosines and sines of the angles that ``rotate`` turns heads of this width by, each position by its own.

    The ``width // 2`` pairs of channels are dealt out to the dimensions of the grid, the first ones first: in a narrow
    head the last may get none. The sizes do not matter to that, so a trained model works on grids of other sizes. The
    ``i``-th of the ``m`` pairs of a dimension turns by ``100 ** (-i / m)`` a position (Su et al., 2021, section 3.2.2).

    Args:
        sizes: Positions along each dimension of the grid, ``(L1, ..., Ln)``.
        width: Channels of a head.
        device: Where the tables are made.

    Returns:
        cos: Cosines ``(L1 * ... * Ln, width // 2)`` in float32; tokens are in the order of a flattened grid.
        sin: Sines of the same angles.
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
    return angles.cos(), angles.sin()


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Turn pairs of channels by the angles of ``rotary_tables`` (Su et al., 2021, eq. 34; https://arxiv.org/abs/2104.09864).

    The product of a rotated query and a rotated key depends on where one is seen from the other, and not on where both
    are. A pair is a channel of the first half and its like in the second: faster than the neighbours of the paper, and
    the same to learned projections. An odd last channel is left alone.

    Args:
        x: Queries or keys ``(..., L, d)``.
        cos: Cosines ``(L, d // 2)``.
        sin: Sines ``(L, d // 2)``.

    Returns:
        Rotated ``x``, in the same shape and type.
    """
    pairs = cos.shape[-1]
    first, second, rest = x.tensor_split((pairs, 2 * pairs), -1)
    return torch.cat([first * cos - second * sin, first * sin + second * cos, rest], -1).to(x.dtype)
