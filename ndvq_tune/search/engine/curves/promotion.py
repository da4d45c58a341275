"""Which paused trial goes on: successive halving by what trials will have come to (promotion as in Li et al., 2020)."""

import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from ndvq_tune.goals import Goals
from ndvq_tune.records import TrialRecord
from ndvq_tune.search.engine.curves.improvement import widening

Merit = tuple[float, float]


def merits(
    records: Sequence[TrialRecord], losses: Mapping[int, float], bits: Mapping[int, float] | None, goals: Goals
) -> dict[int, Merit]:
    """How good each trial is, less being better: by how far it is beyond the constraints, then by its loss.

    With an objective that is known before training, those that are no further beyond the constraints than each other
    are in the order in which they widen the front, see ``widening``.

    Args:
        records: Trials that have reported.
        losses: The log loss that each will have in the end.
        bits: The objective that is known of each before training, if there is one.
        goals: The constraints are read.
    """
    beyond = {record.number: sum(goals.beyond(record.metrics)) for record in records}
    if bits is None:
        return {number: (far, losses[number]) for number, far in beyond.items()}
    found: dict[int, Merit] = {}
    for far in set(beyond.values()):
        alike = [number for number in beyond if beyond[number] == far]
        order = widening(np.array([losses[number] for number in alike]), np.array([bits[number] for number in alike]))
        found |= {alike[index]: (far, place) for place, index in enumerate(order)}
    return found


def promoted(
    paused: Collection[int],
    records: Sequence[TrialRecord],
    merits: Mapping[int, Merit],
    rungs: Sequence[int],
    factor: int,
    last: bool = False,
) -> int | None:
    """The paused trial that goes on; none where no one is good enough.

    From the top rung down: the best that waits there, if it is among the best ``1 / factor`` of all that have come
    there. What has no merit, as it failed, counts among those that came there.

    Args:
        paused: Trials that wait at a rung.
        records: All trials that search.
        merits: How good trials are, see ``merits``.
        rungs: Where trials wait, rising.
        factor: The reduction factor.
        last: Whether no new trials begin, so that the share is rounded up: one at least goes on to the end.
    """
    for rung in reversed(rungs):
        there = [record for record in records if record.reports and record.metrics["epoch"] >= rung]
        best = sorted((r for r in there if r.number in merits), key=lambda r: (merits[r.number], r.number))
        places = math.ceil(len(there) / factor) if last else len(there) // factor
        for record in best[:places]:
            if record.number in paused and record.metrics["epoch"] == rung:
                return record.number
    return None
