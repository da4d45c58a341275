"""What a free lane does, by the model of learning curves."""

import random as randomness
from collections.abc import Collection, Sequence
from functools import partial

from threadpoolctl import threadpool_limits

from ndvq_tune.records import TrialRecord
from ndvq_tune.search.engine.curves.forecast import Curves, Forecast
from ndvq_tune.search.engine.curves.promotion import Merit, merits, promoted
from ndvq_tune.search.engine.curves.proposal import Known, Params, proposed
from ndvq_tune.search.engine.drawing import Drawing
from ndvq_tune.search.engine.preference import beliefs, fading, log_weight
from ndvq_tune.search.engine.schedulers.asha import rungs
from ndvq_tune.search.space import SearchSpace
from ndvq_tune.search.space.settings.scheduler import PromoteSettings

# Lanes keep all cores busy: threads that wait for each other there take twelve times as long for 450 rows.
one_thread = partial(threadpool_limits, 1, "blas")


class Decisions:
    """Decides from records alone; each draw's seed is the number of the trial that it is for.

    Args:
        space: The space. Where its scheduler is another one, the model sees the rungs that promotion has by default.
        known: Trials of other searches, which teach the model; they hold up none of this search's own.

    Attributes:
        rungs: The epochs after which promotion compares trials.
        curves: How trials look to the model, which sees them at these rungs.
    """

    def __init__(self, space: SearchSpace, known: Sequence[TrialRecord] = ()) -> None:
        self._search, self._drawing, self._known = space.search, Drawing(space), known
        self._believed = beliefs(space.searched)
        settings = space.search.scheduler
        self._promotion = settings if isinstance(settings, PromoteSettings) else PromoteSettings()
        self.rungs = list(rungs(self._promotion.grace_period, self._promotion.reduction_factor, space.max_epochs))
        self.curves = Curves(space, [*self.rungs, space.max_epochs])

    def goes_on(self, paused: Collection[int], records: Sequence[TrialRecord], last: bool = False) -> int | None:
        """The paused trial that goes on, if one is good enough.

        Args:
            paused: Trials that wait at a rung.
            records: All trials.
            last: Whether no new trials begin.
        """
        if not paused:
            return None
        searching = [record for record in records if record.role.searches]
        with one_thread():
            found = self._merits(Forecast(self.curves, [*self._known, *searching]))
        return promoted(paused, searching, found, self.rungs, self._promotion.reduction_factor, last)

    def proposals(self, records: Sequence[TrialRecord], number: int, known: Known) -> list[Params]:
        """Points to try next, best first; none before a trial has come to a rung, and where all are ruled out.

        Args:
            records: All trials.
            number: How many trials have begun to search.
            known: What is known of a point before it is trained; None for one that is ruled out or was tried.
        """
        searching = [record for record in records if record.role.searches]
        forecast = Forecast(self.curves, [*self._known, *searching])
        random = randomness.Random(f"{self._search.seed}/{number}")
        power = fading(len(self._known) + number, self._search.sampler.startup_trials)

        def believed(point: Params) -> float:
            return power * log_weight(self._believed, point)

        with one_thread():
            return proposed(forecast, self._merits(forecast), self._drawing, known, believed, random)

    def _merits(self, forecast: Forecast) -> dict[int, Merit]:
        bits = {record.number: self.curves.bits(record.metrics) for record in forecast.records}
        return merits(forecast.records, forecast.losses, bits if self.curves.known else None, self._search.goals)
