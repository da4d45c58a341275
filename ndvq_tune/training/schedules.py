"""How the learning rate goes over a training: its share of the peak, as a function of the step alone.

Pure functions in place of PyTorch's schedulers, which keep a state: a run that goes on from a checkpoint, or whose
data grows between epochs, is then at the same place as one that was never stopped, and trials compare at every epoch.
"""

import math
from collections.abc import Callable

from ndvq_tune.config import ScheduleConfig

START = 1 / 25  # of a one-cycle schedule, as in PyTorch's OneCycleLR


def learning_rate_share(step: int, steps: int, schedule: ScheduleConfig) -> float:
    """Share of the peak learning rate at a step, in (0, 1].

    The first ``warmup`` of all steps rise to where the schedule begins; the others follow its curve.

    Args:
        step: The step, counted from 0.
        steps: Steps of the whole training.
        schedule: Its type, and what that needs.

    Example:
        >>> [round(learning_rate_share(step, 100, ScheduleConfig()), 2) for step in (0, 4, 50, 99)]
        [0.2, 1.0, 0.54, 0.0]
    """
    curve = CURVES[schedule.type]
    warmup = max(1, round(steps * schedule.warmup)) if schedule.warmup else 0
    if schedule.type == "one_cycle" and step < warmup:
        return _cosine(step / warmup, START, 1.0)
    if step < warmup:
        return (step + 1) / warmup * curve(0.0, schedule)
    return curve(min(1.0, (step - warmup) / max(1, steps - warmup)), schedule)


def _cosine(progress: float, first: float, last: float) -> float:
    return last + (first - last) * 0.5 * (1 + math.cos(math.pi * progress))


def _falling(progress: float, schedule: ScheduleConfig) -> float:
    return _cosine(progress, 1.0, schedule.final_share)


def _linear(progress: float, schedule: ScheduleConfig) -> float:
    return 1 + (schedule.final_share - 1) * progress


def _cyclic(progress: float, schedule: ScheduleConfig) -> float:
    """Triangles between the final share and the peak."""
    within = progress * schedule.cycles % 1
    return schedule.final_share + (1 - schedule.final_share) * (1 - abs(2 * within - 1))


def _step(progress: float, schedule: ScheduleConfig) -> float:
    """As many equal drops, by one factor, as there are cycles."""
    drops = min(schedule.cycles, int(progress * (schedule.cycles + 1)))
    return float(schedule.final_share ** (drops / schedule.cycles))


def _inverse_sqrt(progress: float, schedule: ScheduleConfig) -> float:
    """Vaswani et al., 2017, arXiv 1706.03762, equation 3: the root of the warm-up's steps over all steps so far."""
    return math.sqrt(schedule.warmup / (schedule.warmup + (1 - schedule.warmup) * progress))


CURVES: dict[str, Callable[[float, ScheduleConfig], float]] = {
    "cosine": _falling,
    "constant": lambda progress, schedule: 1.0,
    "linear": _linear,
    "cyclic": _cyclic,
    "one_cycle": _falling,
    "step": _step,
    "inverse_sqrt": _inverse_sqrt,
}
"""Each type's share of the peak after the warm-up, by how much of the rest is done, from 0 to 1."""
