"""Rules that end the whole search before its last trial, as functions of its trials."""

import math
from collections.abc import Mapping, Sequence

from ndvq_tune.metrics import METRICS
from ndvq_tune.records import Role, TrialRecord, full_fidelity
from ndvq_tune.search.space.settings import SearchSettings

Point = tuple[float, ...]


def reached(trials: Sequence[TrialRecord], search: SearchSettings) -> bool:
    """Whether a trial is as good as ``search.until`` in every one of its metrics.

    The trial need not have ended; its last report counts, if it keeps all constraints and was measured on samples of
    full size.
    """
    if not search.until:
        return False
    return any(
        _measured(trial) and not any(_violations(trial, search)) and _as_good(trial.metrics, search.until)
        for trial in trials
    )


def stalled(trials: Sequence[TrialRecord], search: SearchSettings) -> bool:
    """Whether the last ``search.stall`` trials to end left the Pareto front as it was.

    A trial moves the front if no earlier one is at least as good in every objective. Trials that break a constraint
    count only as long as none keeps them all; until then, coming nearer to a bound is progress too. Repetitions of
    other trials do not count at all.
    """
    ended = sorted(
        (trial for trial in trials if trial.state.final and trial.role is not Role.CONFIRM),
        key=lambda trial: trial.ended or 0.0,
    )
    if search.stall is None or len(ended) < search.stall:
        return False
    points = [_point(trial, search) for trial in ended]
    if any(point is not None and not any(point[1]) for point in points):
        points = [None if point is None or any(point[1]) else point for point in points]
    earlier, latest = points[: -search.stall], points[-search.stall :]
    return all(point is None or any(_no_worse(other, point) for other in earlier) for point in latest)


def _measured(trial: TrialRecord) -> bool:
    return bool(trial.reports) and trial.sound and full_fidelity(trial.metrics)


def _as_good(metrics: Mapping[str, float], until: Mapping[str, float]) -> bool:
    found = {name: metrics.get(name, math.nan) for name in until}
    return all(
        found[name] <= value if METRICS[name].mode == "min" else found[name] >= value for name, value in until.items()
    )


def _point(trial: TrialRecord, search: SearchSettings) -> tuple[Point, Point] | None:
    """A trial's objectives, turned so that less is better, and how far it is beyond each constraint."""
    if not (_measured(trial) and trial.finite(*(objective.metric for objective in search.objectives))):
        return None
    costs = tuple(objective.cost(trial.metrics[objective.metric]) for objective in search.objectives)
    return costs, _violations(trial, search)


def _violations(trial: TrialRecord, search: SearchSettings) -> Point:
    """How far a trial is beyond each bound, 0 if within; infinitely far by a metric that is missing or NaN."""
    return tuple(bound.beyond(trial.metrics.get(bound.metric, math.nan)) for bound in search.constraints)


def _no_worse(a: tuple[Point, Point] | None, b: tuple[Point, Point]) -> bool:
    return a is not None and all(x <= y for x, y in zip((*a[0], *a[1]), (*b[0], *b[1]), strict=True))
