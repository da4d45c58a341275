"""Who decides, by comparison with other trials, that a trial is not worth going on with.

Pure functions of trial records: nothing is remembered from one decision to the next, so a search that is resumed
decides as one that never stopped.

A scheduler is a function of its settings, those of the search and the most epochs of a trial. It gives the rule by
which a trial ends, ``Stops``. The engine asks that once for every report, after the rules of ``stopping``
and before ``pbt.source_of``, with the trial and all others that search; it ends the trial where the rule says so. Its
settings are a class in ``space/settings/scheduler.py``; ``RULES`` is where it is registered.
"""

from collections.abc import Callable, Iterable
from typing import Any

from ndvq_tune.records import TrialRecord
from ndvq_tune.search.engine.schedulers.asha import asha
from ndvq_tune.search.engine.schedulers.hyperband import hyperband
from ndvq_tune.search.engine.schedulers.median import median
from ndvq_tune.search.space.settings import SearchSettings
from ndvq_tune.search.space.settings.scheduler import (
    AshaSettings,
    HyperbandSettings,
    MedianSettings,
    NoScheduler,
    PbtSettings,
    PromoteSettings,
)

Stops = Callable[[TrialRecord, Iterable[TrialRecord]], bool]
"""Whether a trial whose last report is new should end, given all other trials that search, finished or not."""


def stops_of(search: SearchSettings, max_epochs: int) -> Stops:
    """The rule that a search's settings ask for.

    A rule takes a trial whose last report is new, and all other trials that search, finished or not; it says whether
    the trial should end. That of population based training never does, see ``pbt.source_of``; nor that of promotion,
    see ``curves.promotion``.

    Args:
        search: Settings of the search.
        max_epochs: Most epochs of any trial; there is no rung at the end of the longest one.
    """
    return RULES[type(search.scheduler)](search.scheduler, search, max_epochs)


def _never(settings: NoScheduler | PbtSettings | PromoteSettings, search: SearchSettings, max_epochs: int) -> Stops:
    return lambda record, others: False


RULES: dict[type, Callable[[Any, SearchSettings, int], Stops]] = {
    AshaSettings: asha,
    HyperbandSettings: hyperband,
    MedianSettings: median,
    PbtSettings: _never,
    PromoteSettings: _never,
    NoScheduler: _never,
}
"""The scheduler of each kind of settings."""
