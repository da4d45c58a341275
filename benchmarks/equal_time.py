"""Trainings that compare: as much computing for each, taken in turn, and ratios seed by seed."""

import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from typing import NamedTuple

import torch
from scipy import stats

from ndvq_tune.data.batches.loader import batches
from ndvq_tune.data.batches.samples import SampleSet

Step = Callable[[float, torch.Tensor], object]
"""Learns from a batch, told what share of its time is over."""


class Spent(NamedTuple):
    """What a training took."""

    steps: int
    seconds: float


def train(steps: Mapping[str, Step], streams: Mapping[str, Iterator[torch.Tensor]], seconds: float) -> dict[str, Spent]:
    """Train each for as much computing, step by step in turn, so that whatever else runs here hits all alike.

    The first step of each comes before, and is not counted: some codebooks take half a minute to begin with k-means.

    Args:
        steps: How each learns.
        streams: The batches of each; making them is not counted.
        seconds: CPU seconds of each, of all its threads.
    """
    for name, step in steps.items():
        step(0.0, next(streams[name]))
    spent = dict.fromkeys(steps, Spent(0, 0.0))
    while spent[name := min(spent, key=lambda name: spent[name].seconds)].seconds < seconds:
        x = next(streams[name])
        before = time.process_time()
        steps[name](spent[name].seconds / seconds, x)
        spent[name] = Spent(spent[name].steps + 1, spent[name].seconds + time.process_time() - before)
    return spent


def endless(samples: SampleSet, batch_size: int, seed: int) -> Iterator[torch.Tensor]:
    """Batches in [0, 1], epoch after epoch."""
    for epoch in count():
        for batch in batches(samples, batch_size, seed=seed, epoch=epoch):
            yield samples.scale.to_unit(batch, torch.device("cpu"))


def ratio(mine: Sequence[float], its: Sequence[float]) -> tuple[float, float, float]:
    """How many times as large a figure is, seed by seed: the geometric mean, and the ends of its 95% interval.

    Args:
        mine: A figure a seed.
        its: What it is compared with, of the same seeds.
    """
    logs = [math.log(one / other) for one, other in zip(mine, its, strict=True)]
    middle, half = statistics.mean(logs), math.inf
    if len(logs) > 1:
        half = float(stats.t.ppf(0.975, len(logs) - 1)) * statistics.stdev(logs) / math.sqrt(len(logs))
    return math.exp(middle), math.exp(middle - half), math.exp(middle + half)
