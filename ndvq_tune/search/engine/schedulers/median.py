"""The median rule of Google Vizier (Golovin et al., 2017, section 3.2.2)."""

import math
import statistics
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ndvq_tune.goals import Report
from ndvq_tune.records import TrialRecord, fidelity
from ndvq_tune.search.space.settings import SearchSettings
from ndvq_tune.search.space.settings.fidelity import UNITS
from ndvq_tune.search.space.settings.scheduler import MedianSettings

if TYPE_CHECKING:
    from ndvq_tune.search.engine.schedulers import Stops


def median(settings: MedianSettings, search: SearchSettings, max_epochs: int) -> "Stops":
    """The rule of ``search.scheduler.type: median``.

    A trial ends when its best value so far is worse than the median of the other trials' averages so far. Others
    count if they have come as far, and then only with what they had reported by then, on samples of the same size.
    The rule needs an average, so it looks at the first objective alone, and at no constraint.

    Args:
        settings: What the space says of it.
        search: All settings of the search: its goals, and in which units progress is counted.
        max_epochs: Most epochs of any trial.
    """
    unit, objective = UNITS[search.fidelity.unit], search.goals.objectives[0]

    def values(record: TrialRecord, last: Report) -> list[float]:
        """What a trial had reported by the point of the last report, less being better."""
        come, size = last[unit], fidelity(last)
        return [
            objective.cost(report.get(objective.metric, math.nan))
            for report in record.reports
            if report[unit] <= come and fidelity(report) == size
        ]

    def stops(record: TrialRecord, others: Iterable[TrialRecord]) -> bool:
        last = record.metrics
        if last[unit] < settings.grace_period:
            return False
        rivals = [values(other, last) for other in others if other.reports and other.metrics[unit] >= last[unit]]
        averages = [_worst_if_not_finite(sum(rival) / len(rival)) for rival in rivals if rival]
        if len(averages) < settings.min_trials:
            return False
        return min(map(_worst_if_not_finite, values(record, last))) > statistics.median(averages)

    return stops


def _worst_if_not_finite(value: float) -> float:
    return value if math.isfinite(value) else math.inf
