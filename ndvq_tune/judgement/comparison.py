"""Which of several reports or trials are better: constraints first, then objectives. Pure functions."""

import math
from collections.abc import Sequence
from itertools import groupby

import numpy as np
import numpy.typing as npt

from ndvq_tune.goals import Goals, Report
from ndvq_tune.judgement.pareto import crowding, front_ranks
from ndvq_tune.records import TrialRecord, fidelity, full_fidelity

_FEWEST_BEST = 4


def measured(trial: TrialRecord, goals: Goals) -> bool:
    """Whether a trial's result compares with others: it is sound, of full size, and has every objective.

    What was measured on smaller samples is of another task.
    """
    return bool(trial.reports) and trial.sound and full_fidelity(trial.result) and trial.finite(*goals.metrics)


def surpasses(report: Report, other: Report, goals: Goals) -> bool:
    """Whether the weights of a report are to be kept rather than those of another one of the same trial.

    Larger samples come first, as smaller ones are another task; then constraints, by how far they are broken; then the
    objectives in their order. Of equals the later is kept.

    Args:
        report: The later report.
        other: The earlier one.
        goals: What is better.
    """

    def key(one: Report) -> tuple[float, ...]:
        return (-fidelity(one), sum(goals.beyond(one)), *goals.costs(one))

    return key(report) <= key(other)


def place(report: Report, others: Sequence[Report], goals: Goals) -> int:
    """How many of the others are better than a report: 0 for the best.

    Constraints come first, by Deb's rule (Deb et al., 2002): what keeps all is better than what breaks some, and that
    is better the less it breaks them, in shares of the bounds added up. A report without a finite value of every
    objective is worse than any that has them.

    Among those that keep all constraints, one objective is compared by its value; several by the front of
    non-dominated sorting, and on the same front by the distance to its neighbours, where more is better.

    Args:
        report: The report.
        others: Those that it is compared with, on samples of the same size.
        goals: What is better.
    """
    costs, beyond = _columns([report, *others], goals)
    if beyond[0] > 0:
        rows = list(zip(beyond.tolist(), costs.tolist(), strict=True))
        return sum(row < rows[0] for row in rows)
    points = costs[beyond == 0]
    if len(goals.objectives) == 1:
        return int((points < points[0]).sum())
    ranks = np.array(front_ranks(points))
    distances = crowding(points[ranks == ranks[0]])
    return int((ranks < ranks[0]).sum()) + sum(distance > distances[0] for distance in distances)


def fronts(trials: Sequence[TrialRecord], goals: Goals) -> list[list[TrialRecord]]:
    """Trials in groups that are equally good, best first; all need finite objectives.

    Those that keep the constraints come first, by fronts of non-dominated trials, and in each front those that are
    far from all others before the rest. All others follow by how far they are beyond the constraints.
    """
    beyond = {id(trial): sum(goals.beyond(trial.result)) for trial in trials}
    kept = [trial for trial in trials if not beyond[id(trial)]]
    costs = [goals.costs(trial.result) for trial in kept]
    by_rank: dict[int, list[int]] = {}
    for index, rank in enumerate(front_ranks(costs)):
        by_rank.setdefault(rank, []).append(index)
    good = [[kept[index] for index in _spread(front, costs)] for _, front in sorted(by_rank.items())]
    broken = sorted((trial for trial in trials if beyond[id(trial)]), key=lambda trial: beyond[id(trial)])
    return good + [list(equal) for _, equal in groupby(broken, lambda trial: beyond[id(trial)])]


def best_share(trials: Sequence[TrialRecord], goals: Goals, share: float) -> list[TrialRecord]:
    """The best of some trials, as whole fronts.

    Args:
        trials: The trials, with finite objectives.
        goals: What is better.
        share: At least so many of them, and at least 4 where there are so many.
    """
    wanted = max(_FEWEST_BEST, math.ceil(share * len(trials)))
    best: list[TrialRecord] = []
    for front in fronts(trials, goals):
        if len(best) < wanted:
            best += front
    return best


def _spread(front: Sequence[int], costs: Sequence[Sequence[float]]) -> list[int]:
    """The points of a front, those that are far from all others first."""
    distances = dict(zip(front, crowding([costs[index] for index in front]), strict=True))
    return sorted(front, key=lambda index: -distances[index])


def _columns(reports: Sequence[Report], goals: Goals) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The costs of each report, and how far it is beyond all bounds together.

    Both are infinite for a report without a finite value of every objective. As arrays, because a scheduler compares
    every trial with all others at every rung.
    """

    def values(metric: str) -> npt.NDArray[np.float64]:
        return np.array([report.get(metric, math.nan) for report in reports])

    costs = np.column_stack([objective.cost(values(objective.metric)) for objective in goals.objectives])
    beyond = np.zeros(len(reports))
    for bound in goals.constraints:
        far = np.maximum(bound.violation(values(bound.metric)), 0)
        beyond += np.where(np.isnan(far), np.inf, far)
    unmeasured = ~np.isfinite(costs).all(axis=1)
    costs[unmeasured], beyond[unmeasured] = np.inf, np.inf
    return costs, beyond
