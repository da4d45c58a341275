"""The median rule of Google Vizier (Golovin et al., 2017, section 3.2.2)."""

import statistics
from collections.abc import Sequence

from ndvq_tune.records import TrialRecord
from ndvq_tune.search.schedulers.comparison import Report, Stops, costs, fidelity, progress
from ndvq_tune.search.settings import SearchSettings
from ndvq_tune.search.settings.scheduler import MedianSettings


def median(settings: MedianSettings, search: SearchSettings, max_epochs: int) -> Stops:
    """The rule of ``search.scheduler.type: median``.

    A trial ends when its best value so far is worse than the median of the other trials' averages so far. Others
    count if they have come as far, and then only with what they had reported by then, on samples of the same size.
    The rule needs an average, so it looks at the first objective alone, and at no constraint.
    """
    come = progress(search)

    def values(record: TrialRecord, last: Report) -> list[float]:
        """What a trial had reported by the point of the last report, less being better."""
        return [
            costs(report, search)[0]
            for report in record.reports
            if come(report) <= come(last) and fidelity(report) == fidelity(last)
        ]

    def stops(record: TrialRecord, others: Sequence[TrialRecord]) -> bool:
        last = record.metrics
        if come(last) < settings.grace_period:
            return False
        rivals = [values(other, last) for other in others if other.reports and come(other.metrics) >= come(last)]
        averages = [statistics.fmean(rival) for rival in rivals if rival]
        if len(averages) < settings.min_trials:
            return False
        return min(values(record, last)) > statistics.median(averages)

    return stops
