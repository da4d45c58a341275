"""Asynchronous successive halving (ASHA; Li et al., 2020, arXiv 1810.05934), in the variant that stops trials.

With several objectives it compares by non-dominated sorting (as in Schmucker et al., 2021, arXiv 2106.12639).
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from ndvq_tune.goals import Report
from ndvq_tune.judgement.comparison import place
from ndvq_tune.records import TrialRecord, fidelity
from ndvq_tune.search.space.settings import SearchSettings
from ndvq_tune.search.space.settings.fidelity import UNITS
from ndvq_tune.search.space.settings.scheduler import AshaSettings

if TYPE_CHECKING:
    from ndvq_tune.search.engine.schedulers import Stops


def asha(settings: AshaSettings, search: SearchSettings, max_epochs: int) -> "Stops":
    """The rule of ``search.scheduler.type: asha``.

    Args:
        settings: What the space says of it.
        search: All settings of the search: its goals, and in which units progress is counted.
        max_epochs: Most epochs of any trial.
    """
    return halving(settings.grace_period, settings.reduction_factor, search, max_epochs)


def halving(grace_period: int, reduction_factor: int, search: SearchSettings, max_epochs: int) -> "Stops":
    """A trial ends at a rung where it is not among the best ``1 / reduction_factor`` of those that have come there.

    Rungs are at ``grace_period * reduction_factor**k``, in units of ``search.fidelity``. A trial is judged at those
    that its last report is the first to reach, by its first report there, against the first reports there of all
    trials; it goes on if ``place * reduction_factor < n`` of n trials, so the first to come to a rung always does.

    Args:
        grace_period: The first rung.
        reduction_factor: How many times as far the next rung is, and one in how many goes on.
        search: All settings of the search.
        max_epochs: Most epochs of any trial; there is no rung at its end.
    """
    unit = UNITS[search.fidelity.unit]
    limit = max_epochs if search.fidelity.unit == "epochs" else math.inf

    def reached(reports: Sequence[Report]) -> Iterator[int]:
        """Rungs that the last report is the first to reach."""
        before = reports[-2][unit] if len(reports) > 1 else 0
        for rung in rungs(grace_period, reduction_factor, limit):
            if rung > reports[-1][unit]:
                return
            if rung > before:
                yield rung

    def stops(record: TrialRecord, others: Iterable[TrialRecord]) -> bool:
        own = record.metrics
        size = fidelity(own)
        new = list(reached(record.reports))
        rivals = [other.reports for other in others] if new else []
        for rung in new:
            there = [report for reports in rivals if (report := _first_at(rung, unit, reports)) is not None]
            comparable = [report for report in there if fidelity(report) == size]
            if place(own, comparable, search.goals) * reduction_factor >= len(comparable) + 1:
                return True
        return False

    return stops


def rungs(grace_period: int, reduction_factor: int, limit: float) -> Iterator[int]:
    """``grace_period * reduction_factor**k`` for k from 0, as long as it is below a limit.

    Args:
        grace_period: The first rung, at least 1.
        reduction_factor: At least 2.
        limit: What no rung reaches; may be infinite.

    Example:
        >>> list(rungs(2, 3, limit=20))
        [2, 6, 18]
    """
    rung = grace_period
    while rung < limit:
        yield rung
        rung *= reduction_factor


def _first_at(rung: int, unit: str, reports: Sequence[Report]) -> Report | None:
    """The first report at a rung or beyond it."""
    for report in reports:  # a plain loop, because it runs for every pair of trials
        if report[unit] >= rung:
            return report
    return None
