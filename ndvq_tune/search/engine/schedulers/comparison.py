"""What trials are compared by: how far they have come, and how good they are there."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ndvq_tune.judgement.pareto import crowding, front_ranks
from ndvq_tune.records import TrialRecord
from ndvq_tune.search.space.settings import SearchSettings

Report = Mapping[str, float]
Stops = Callable[[TrialRecord, Iterable[TrialRecord]], bool]

UNITS = {"epochs": "epoch", "samples": "samples_seen", "seconds": "training_seconds"}
"""What a report says of each unit of ``search.fidelity``."""


def place(report: Report, others: Sequence[Report], search: SearchSettings) -> int:
    """How many of the others are better than a report: 0 for the best.

    Constraints come first, by Deb's rule (Deb et al., 2002): what keeps all is better than what breaks some, and that
    is better the less it breaks them, in shares of the bounds added up. A report without a finite value of every
    objective is worse than any that has them.

    Among those that keep all constraints, one objective is compared by its value; several by the front of
    non-dominated sorting, and on the same front by the distance to its neighbours, where more is better.
    """
    costs, violations = _standings([report, *others], search)
    if violations[0] > 0:
        rows = list(zip(violations.tolist(), costs.tolist(), strict=True))
        return sum(row < rows[0] for row in rows)
    points = costs[violations == 0]
    if len(search.objectives) == 1:
        return int((points < points[0]).sum())
    ranks = np.array(front_ranks(points))
    distances = crowding(points[ranks == ranks[0]])
    return int((ranks < ranks[0]).sum()) + sum(distance > distances[0] for distance in distances)


def _standings(
    reports: Sequence[Report], search: SearchSettings
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The objectives of each report, turned so that less is better, and how far it is from keeping all constraints.

    All are infinite for a report without a finite value of every objective.
    """

    def values(metric: str) -> npt.NDArray[np.float64]:
        return np.array([report.get(metric, math.nan) for report in reports])

    costs = np.column_stack([objective.cost(values(objective.metric)) for objective in search.objectives])
    violations = np.zeros(len(reports))
    for bound in search.constraints:
        beyond = np.maximum(bound.violation(values(bound.metric)), 0)
        violations += np.where(np.isnan(beyond), np.inf, beyond)
    broken = ~np.isfinite(costs).all(axis=1)
    costs[broken], violations[broken] = np.inf, np.inf
    return costs, violations
