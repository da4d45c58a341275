"""Rules that end the whole search before its last trial, as functions of its trials."""

import re
from collections.abc import Collection, Sequence

from ndvq_tune.goals import Goals
from ndvq_tune.judgement.comparison import measured
from ndvq_tune.records import TrialRecord, TrialState
from ndvq_tune.search.space.settings import SearchSettings

Point = tuple[float, ...]

SAME_ERRORS = 5
"""Trials that fail alike before a search ends: of a space of which half fails, one search in 32 ends so by chance."""
_NUMBER = re.compile(r"\d[\d.,]*")


def reached(trials: Sequence[TrialRecord], search: SearchSettings) -> bool:
    """Whether a trial is as good as ``search.until`` in every one of its metrics.

    The trial need not have ended; its last report counts, if it keeps all constraints and was measured on samples of
    full size.
    """
    goals = Goals(search.goals.objectives, (*search.target, *search.goals.constraints))
    return bool(search.target) and any(measured(trial, goals) and goals.kept(trial.result) for trial in trials)


def stalled(trials: Sequence[TrialRecord], search: SearchSettings) -> bool:
    """Whether the last ``search.stall`` trials to end left the Pareto front as it was.

    A trial moves the front if no earlier one is at least as good in every objective. Trials that break a constraint
    count only as long as none keeps them all; until then, coming nearer to a bound is progress too. What
    follows a search does not count at all.
    """
    ended = sorted(
        (trial for trial in trials if trial.state.final and trial.role.searches),
        key=lambda trial: trial.ended or 0.0,
    )
    if search.stall is None or len(ended) < search.stall:
        return False
    points = [_point(trial, search.goals) for trial in ended]
    if any(point is not None and not any(point[1]) for point in points):
        points = [None if point is None or any(point[1]) else point for point in points]
    earlier, latest = points[: -search.stall], points[-search.stall :]
    return all(point is None or any(_no_worse(other, point) for other in earlier) for point in latest)


def failing(trials: Sequence[TrialRecord], new: Collection[int]) -> bool:
    """Whether nothing has come of any trial yet, and the new ones have all failed alike: the fault is not theirs.

    Errors are alike if their first lines are, but for numbers. A search that goes on once the cause is mended has only
    its new trials to show that it is.

    Args:
        trials: All trials.
        new: Numbers of those that this session began.
    """
    ended = [trial for trial in trials if trial.state.final]
    if any(trial.state is not TrialState.FAILED for trial in ended):
        return False
    errors = [_NUMBER.sub("0", (trial.error or "").partition("\n")[0]) for trial in ended if trial.number in new]
    return len(errors) >= SAME_ERRORS and len(set(errors)) == 1


def _point(trial: TrialRecord, goals: Goals) -> tuple[Point, Point] | None:
    """A trial's objectives, turned so that less is better, and how far it is beyond each constraint."""
    return (goals.costs(trial.result), goals.beyond(trial.result)) if measured(trial, goals) else None


def _no_worse(a: tuple[Point, Point] | None, b: tuple[Point, Point]) -> bool:
    return a is not None and all(x <= y for x, y in zip((*a[0], *a[1]), (*b[0], *b[1]), strict=True))
