"""Batches of clips: which clip comes when, and on which worker.

Frames come straight from the operating system's page cache, so nothing is read ahead.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch

from ndvq_tune.data.clips import ClipSet


def batches(
    clips: ClipSet, batch_size: int, *, seed: int | None = None, epoch: int = 0, rank: int = 0, world_size: int = 1
) -> Iterator[torch.Tensor]:
    """One pass over a set of clips, or over one worker's share of it.

    With a seed, the order of training: shuffled anew every epoch, and the same number of batches of the same size on
    every rank. Clips that do not fill a last batch are left for another epoch. A set smaller than one batch over all
    ranks makes one smaller batch, in which up to ``world_size - 1`` clips come twice to keep the ranks equal. Which
    clips a step holds depends on ``batch_size * world_size`` only, not on how many ranks share them.

    Without a seed, the order of evaluation: each clip exactly once over all ranks. The last batch may be smaller, and
    a rank may have one batch fewer than another, or none.

    Args:
        clips: The clips.
        batch_size: Clips in a batch of one rank.
        seed: Seed of the order, for training.
        epoch: Which epoch, for training.
        rank: This worker.
        world_size: How many workers share the clips.

    Yields:
        uint8 tensors of shape ``(B, C, T, H, W)``.
    """
    if seed is None:
        share = np.arange(rank, len(clips), world_size)
        steps = -(-len(share) // batch_size)
        size = batch_size
    else:
        steps = batches_per_epoch(len(clips), batch_size, world_size)
        size = min(batch_size, -(-len(clips) // world_size))
        share = _shuffled(len(clips), steps * size * world_size, seed, epoch)[rank::world_size]
    for step in range(steps):
        yield clips[share[step * size : (step + 1) * size]]


def batches_per_epoch(n: int, batch_size: int, world_size: int = 1) -> int:
    """Training batches that each rank gets from ``n`` clips in one epoch; at least one."""
    return max(1, n // (batch_size * world_size))


def _shuffled(n: int, length: int, seed: int, epoch: int) -> npt.NDArray[np.int64]:
    order = np.random.default_rng([seed, epoch]).permutation(n)
    return np.resize(order, length)
