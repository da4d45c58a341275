"""What trials are compared by: how far they have come, and how good they are there."""

import math
from collections.abc import Callable, Mapping, Sequence

from ndvq_tune.pareto import crowding, front_ranks
from ndvq_tune.records import TrialRecord
from ndvq_tune.search.settings import SearchSettings

Report = Mapping[str, float]
Stops = Callable[[TrialRecord, Sequence[TrialRecord]], bool]

UNITS = {"epochs": "epoch", "samples": "samples_seen", "seconds": "training_seconds"}
"""What a report says of each unit of ``search.fidelity``."""


def progress(search: SearchSettings) -> Callable[[Report], float]:
    """How far a trial has come at a report, in units of ``search.fidelity``."""
    name = UNITS[search.fidelity.unit]
    return lambda report: report[name]


def fidelity(report: Report) -> float:
    """Share of a full sample's elements that the trial had; only reports of equal shares are comparable."""
    return report.get("fidelity", 1.0)


def costs(report: Report, search: SearchSettings) -> tuple[float, ...]:
    """The objectives' values, turned so that less is better; infinite for one that is missing or not finite."""
    values = (
        report.get(objective.metric, math.nan) * (1 if objective.mode == "min" else -1)
        for objective in search.objectives
    )
    return tuple(value if math.isfinite(value) else math.inf for value in values)


def place(report: Report, others: Sequence[Report], search: SearchSettings) -> int:
    """How many of the others are better than a report: 0 for the best.

    Constraints come first, by Deb's rule (Deb et al., 2002): what keeps all is better than what breaks some, and that
    is better the less it breaks them, in shares of the bounds added up. A report without a finite value of every
    objective is worse than any that has them.

    Among those that keep all constraints, one objective is compared by its value; several by the front of
    non-dominated sorting, and on the same front by the distance to its neighbours, where more is better.
    """
    own, *rest = [_standing(entry, search) for entry in (report, *others)]
    if own[0] > 0:
        return sum(other < own for other in rest)
    points = [own[1], *(point for violation, point in rest if violation == 0)]
    if len(search.objectives) == 1:
        return sum(point < own[1] for point in points)
    ranks = front_ranks(points)
    distances = crowding([point for point, rank in zip(points, ranks, strict=True) if rank == ranks[0]])
    return sum(rank < ranks[0] for rank in ranks) + sum(distance > distances[0] for distance in distances)


def _standing(report: Report, search: SearchSettings) -> tuple[float, tuple[float, ...]]:
    """How far a report is from keeping all constraints, and its costs."""
    point = costs(report, search)
    if math.inf in point:
        return math.inf, (math.inf,) * len(point)
    violations = (bound.violation(report.get(bound.metric, math.nan)) for bound in search.constraints)
    return sum(math.inf if math.isnan(beyond) else max(0.0, beyond) for beyond in violations), point
