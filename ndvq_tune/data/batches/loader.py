"""Batches: which sample comes when, and on which worker; read ahead while the last one is trained on."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import torch

from ndvq_tune.data.batches.samples import SampleSet

AHEAD = 2  # batches


def batches(
    samples: SampleSet,
    batch_size: int,
    *,
    seed: int | None = None,
    epoch: int = 0,
    rank: int = 0,
    world_size: int = 1,
    pin_memory: bool = False,
) -> Iterator[torch.Tensor]:
    """One pass over a set of samples, or over one worker's share of it.

    With a seed, the order of training: shuffled anew every epoch, and the same number of batches of the same size on
    every rank. Samples that do not fill a last batch are left for another epoch. A set smaller than one batch over all
    ranks makes one smaller batch, in which up to ``world_size - 1`` samples come twice to keep the ranks equal. Which
    samples a step holds depends on ``batch_size * world_size`` only, not on how many ranks share them. Frames are cut
    at random places, if they are larger than samples.

    Without a seed, the order of evaluation: each sample exactly once over all ranks. The last batch may be smaller, and
    a rank may have one batch fewer than another, or none. Frames are cut at the centre.

    Args:
        samples: The samples.
        batch_size: Samples in a batch of one rank.
        seed: Seed of the order, for training.
        epoch: Which epoch, for training.
        rank: This worker.
        world_size: How many workers share the samples.
        pin_memory: Whether a GPU shall be able to fetch the batches by itself.

    Yields:
        Tensors of the stored type, of shape ``(B, C, *S)``.
    """
    crops: npt.NDArray[np.float64] | None = None
    if seed is None:
        share = np.arange(rank, len(samples), world_size)
        steps = -(-len(share) // batch_size)
        size = batch_size
    else:
        steps = batches_per_epoch(len(samples), batch_size, world_size)
        size = min(batch_size, -(-len(samples) // world_size))
        random = np.random.default_rng([seed, epoch])
        share = np.resize(random.permutation(len(samples)), steps * size * world_size)[rank::world_size]
        # Drawn for all samples: where one is cut does not depend on how many ranks there are.
        crops = random.random((len(samples), 2)) if samples.window.crop is not None else None

    def read(step: int) -> torch.Tensor:
        chosen = share[step * size : (step + 1) * size]
        return samples.read(chosen, None if crops is None else crops[chosen], pin_memory)

    return _ahead(read, range(steps))


def batches_per_epoch(n: int, batch_size: int, world_size: int = 1) -> int:
    """Training batches that each rank gets in one epoch: ``n // (batch_size * world_size)``, but at least one.

    Args:
        n: Samples in the training set.
        batch_size: Samples in a batch of one rank.
        world_size: How many ranks share the samples.

    Example:
        >>> batches_per_epoch(100, batch_size=8, world_size=2)
        6
    """
    return max(1, n // (batch_size * world_size))


def _ahead(read: Callable[[int], torch.Tensor], steps: Iterable[int]) -> Iterator[torch.Tensor]:
    """What ``read`` returns for each step, some steps before it is asked for, by another thread."""
    pending: deque[Future[torch.Tensor]] = deque()
    with ThreadPoolExecutor(1, thread_name_prefix="batches") as reader:
        for step in steps:
            pending.append(reader.submit(read, step))
            if len(pending) > AHEAD:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
