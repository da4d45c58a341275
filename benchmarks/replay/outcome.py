"""What a run found and when, and figures over many runs of which some never got there."""

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.replay.simulator import Event
from benchmarks.replay.table import Curve
from ndvq_tune.judgement.pareto import hypervolume

GAPS = (0.01, 0.05, 0.10)
RESAMPLES = 2000
CONFIDENCE = 0.95
MARGIN = 1.1  # of the hypervolume's reference over the worst curve, so that the ends of the front count


@dataclass(frozen=True)
class Progress:
    """A gap that closes: each value holds from its time to the next one's, and before the first it is infinite."""

    seconds: tuple[float, ...]
    gaps: tuple[float, ...]

    def at(self, time: float) -> float:
        """The gap at a time."""
        index = bisect_right(self.seconds, time)
        return self.gaps[index - 1] if index else math.inf

    def reached(self, gap: float) -> float:
        """When the gap was first no wider than this; infinite if never."""
        return next((t for t, value in zip(self.seconds, self.gaps, strict=True) if value <= gap), math.inf)


@dataclass(frozen=True)
class Estimate:
    """A figure of many runs and its interval; infinite where runs never got there."""

    median: float
    low: float
    high: float


def gap_in_loss(events: Sequence[Event], curves: Sequence[Curve], max_bits: float) -> Progress:
    """How much higher the lowest recon_loss so far is than that of some curves, relative to that, within a bit budget.

    Every report of a configuration within the budget counts with its own value, whenever it comes in a training. Luck
    with a seed counts, too, as a lucky model is kept: where the curves are without noise, a gap can be below nothing.
    """
    goal = min(curve.lowest for curve in curves if curve.bits <= max_bits)
    best, steps = math.inf, []
    for event in events:
        if event.report["bits_per_element"] <= max_bits and event.report["recon_loss"] < best:
            best = event.report["recon_loss"]
            steps.append((event.seconds, best / goal - 1))
    return _progress(steps)


def gap_in_hypervolume(events: Sequence[Event], curves: Sequence[Curve]) -> Progress:
    """The share of some curves' hypervolume in recon_loss and bits per element that is still missing."""
    worst = (max(curve.final for curve in curves), max(curve.bits for curve in curves))
    reference = (MARGIN * worst[0], MARGIN * worst[1])
    whole = hypervolume([(curve.lowest, curve.bits) for curve in curves], reference)
    found: dict[float, float] = {}
    steps = []
    for event in events:
        bits, loss = event.report["bits_per_element"], event.report["recon_loss"]
        if loss < found.get(bits, math.inf):
            found[bits] = loss
            missing = 1 - hypervolume([(loss, bits) for bits, loss in found.items()], reference) / whole
            steps.append((event.seconds, missing))
    return _progress(steps)


def estimate(values: Sequence[float]) -> Estimate:
    """The median and its bootstrap interval.

    A run that did not get there within its time counts as infinite: longer than all others, however much. So the
    median is right as long as half of the runs got there, and infinite otherwise (Efron, 1981, for censored data).
    """
    return _estimate(lambda runs: np.median(np.asarray(values)[runs], axis=-1), len(values))


def ratio(above: Sequence[float], below: Sequence[float]) -> Estimate:
    """The ratio of two medians and its bootstrap interval, over pairs of runs of one seed."""
    pairs = np.asarray([above, below])

    def medians(runs: NDArray[np.int64]) -> Any:
        return np.divide(*np.median(pairs[:, runs], axis=-1))

    return _estimate(medians, len(above))


def _estimate(statistic: Callable[[NDArray[np.int64]], Any], runs: int) -> Estimate:
    values = np.sort(statistic(np.random.default_rng(0).choice(runs, (RESAMPLES, runs))))
    outside = (1 - CONFIDENCE) / 2
    low, high = (values[round(share * (RESAMPLES - 1))] for share in (outside, 1 - outside))
    return Estimate(float(statistic(np.arange(runs))), float(low), float(high))


def _progress(steps: Sequence[tuple[float, float]]) -> Progress:
    return Progress(tuple(time for time, _ in steps), tuple(gap for _, gap in steps))
