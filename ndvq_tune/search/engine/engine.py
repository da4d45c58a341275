"""What a search decides: which trial comes next, when one ends, and when all is done. No Ray, and no clock of its own.

Ray Tune's searcher and scheduler ask it, and so does the replay of ``benchmarks.search``.
"""

from collections import deque
from collections.abc import Mapping, Set

from ndvq_tune.records import Rescue, Role, StopReason, TrialRecord, TrialState
from ndvq_tune.search.engine.curves.decisions import Decisions
from ndvq_tune.search.engine.ending import failing, reached, stalled
from ndvq_tune.search.engine.finishing import MOST, seconds_to_end
from ndvq_tune.search.engine.proposals import NoPreflight, Preflight, Proposals, rivals
from ndvq_tune.search.engine.schedulers import stops_of
from ndvq_tune.search.engine.schedulers.pbt import source_of
from ndvq_tune.search.engine.study import Study
from ndvq_tune.search.engine.verdict import Decision, Verdict, verdict_of_rules
from ndvq_tune.search.space import SearchSpace
from ndvq_tune.search.space.settings.sampler import CURVES
from ndvq_tune.search.space.settings.scheduler import PbtSettings, PromoteSettings

FINISHING = 0.15  # of a time budget


class Engine:
    """Decides, from the trials of a study alone.

    Args:
        study: The study.
        space: The space.
        preflight: What is known of configurations before they are trained; nothing if it is not given.

    Attributes:
        ending: Paused trials that are to be finished where they wait: nothing runs, and none of them is to go on.
    """

    def __init__(self, study: Study, space: SearchSpace, preflight: Preflight | None = None) -> None:
        self._study, self._settings, self._opened = study, space.search, study.seconds
        self._stops = stops_of(space.search, space.max_epochs)
        proposes = space.search.sampler.type == CURVES
        promotes = isinstance(space.search.scheduler, PromoteSettings)
        decisions = Decisions(space, study.known) if proposes or promotes else None
        self._promotion = decisions if promotes else None
        self._proposals = Proposals(study, space, preflight or NoPreflight(), decisions if proposes else None)
        self._verdicts: dict[int, Verdict] = {}
        self._busy: set[int] = set()
        self._paused: set[int] = set()
        self.ending: set[int] = set()
        self._earlier_sessions = {record.number for record in study.records}
        self.ended_by = self._why_ended()
        self._settle()
        running = [record for record in study.records if not record.state.final]
        self._earlier = {record.number for record in running if self._waits(record)}  # paused by an earlier session
        self._paused |= self._earlier
        self._unfinished = deque(record for record in running if record.number not in self._paused)
        self.finished = False

    @property
    def expected(self) -> int:
        """Trials that there will have been in the end, as far as one can tell."""
        begun = self._study.count(Role.EXPLOIT) + self._study.count(Role.FINISH)
        return self.trials + begun + self.repetitions

    @property
    def trials(self) -> int:
        """Trials that the search will consist of."""
        return self._proposals.trials

    @property
    def repetitions(self) -> int:
        """Repetitions that follow it, at most."""
        return self._proposals.repetitions

    @property
    def busy(self) -> int:
        """Trials that have a lane."""
        return len(self._busy)

    def next_trial(self) -> TrialRecord | None:
        """A trial for a free lane; none while there is nothing to do, and ``finished`` when that stays so."""
        record = self._next()
        if record is not None:
            self._earlier.discard(record.number)
            self._paused.discard(record.number)
            self._busy.add(record.number)
        self.finished = record is None and not self._busy and not self._paused
        if self.finished and self._study.count(Role.SEARCH) < self.trials:
            self.ended_by = self.ended_by or "time_budget"
        return record

    def report(self, number: int, metrics: Mapping[str, float], rescue: str | None = None) -> Decision:
        """Note a trial's report, and decide what becomes of it.

        Args:
            number: The trial.
            metrics: ``epoch``, from 1, and what was measured after it.
            rescue: What was done then to bring its codebook back to life, see ``records.Rescue``.
        """
        record = self._study.report(number, metrics)
        if rescue:
            record = self._study.rescue(number, Rescue(int(metrics["epoch"]), rescue))
        verdict = self._judge(record)
        if verdict is not None:
            self._verdicts[number] = verdict
            return Decision.STOP
        if self._gives_way(record):
            self._study.leave(number)
            self._busy.discard(number)
            self._paused.add(number)
            return Decision.PAUSE
        return Decision.CONTINUE

    def fail(self, number: int, error: str) -> None:
        """Let a trial end as failed."""
        self._verdicts[number] = Verdict(TrialState.FAILED, error=error)

    def verdict(self, number: int) -> Verdict:
        """How a trial that was told to stop ended."""
        return self._verdicts[number]

    def finish(self, number: int) -> TrialRecord:
        """Give a trial that was told to stop its final state."""
        verdict = self._verdicts[number]
        for among in (self._busy, self._paused, self.ending):
            among.discard(number)
        record = self._study.finish(number, verdict.state, verdict.reason, verdict.error)
        self.ended_by = self.ended_by or self._why_ended()
        return record

    def next_paused(self) -> int | None:
        """The paused trial that goes on next: the most promising one, or else the one that has come least far."""
        if self._promotion:
            number = self._promoted(self._paused)
            return None if number in self._earlier else number
        return min(self._paused, key=lambda number: (self._epoch(number), number), default=None)

    def resume(self, number: int) -> None:
        """Note that a paused trial has a lane again."""
        self._paused.discard(number)
        self._busy.add(number)

    def _next(self) -> TrialRecord | None:
        if self._unfinished:
            return self._unfinished.popleft()
        if (number := self._promoted(self._paused)) is not None:
            return self._study.record(number) if number in self._earlier else None
        closing = self._closing
        begins = self.ended_by is None and not closing
        if begins and (record := self._proposals.heir() or self._proposals.searched()):
            return record
        if self._promotion and not self._busy and not self.ending:
            self._end_paused()
        return self._following(closing)

    def _following(self, closing: bool) -> TrialRecord | None:
        """What follows when the search has chosen: recommended trials to their end, then repetitions."""
        roles = {self._study.record(number).role for number in self._busy | self._paused}
        chosen = closing or not any(role.searches for role in roles)
        if chosen and (record := self._proposals.finish()):
            return record
        return None if roles - {Role.CONFIRM} else self._proposals.repetition()

    def _judge(self, record: TrialRecord) -> Verdict | None:
        verdict = verdict_of_rules(record, self._settings.stop)
        if verdict or not record.role.searches:
            return verdict
        self.ended_by = self.ended_by or self._why_ended()
        if self.ended_by:
            return Verdict(TrialState.PRUNED, StopReason.SEARCH_ENDED)
        if self._closing and not self._promotion:  # its lane is for the one that is to be trained to its end
            return Verdict(TrialState.PRUNED, StopReason.TIME_BUDGET)
        if self._stops(record, rivals(record, self._study.records)):
            return Verdict(TrialState.PRUNED, StopReason.SCHEDULER)
        if source_of(record, rivals(record, self._study.records), self._settings):
            return Verdict(TrialState.PRUNED, StopReason.EXPLOITED)
        return None

    def _promoted(self, paused: Set[int]) -> int | None:
        """The one of these trials at a rung that goes on before a new one begins."""
        if not self._promotion or self.ended_by:
            return None
        last = self._closing or self._study.count(Role.SEARCH) >= self._proposals.trials
        if not (last or self._study.learns):
            return None
        return self._promotion.goes_on(paused - self.ending, self._study.records, last)

    @property
    def _closing(self) -> bool:
        """Whether what is left of the time is for finishing the best, so that what is recommended was trained."""
        budget = self._settings.time_budget
        if budget is None:
            return False
        left = budget - (self._study.seconds - self._opened)
        if self._promotion:
            return left <= FINISHING * budget
        if left > MOST * budget:  # as nothing keeps more; what waits need not be asked for then
            return False
        waits = self._proposals.to_finish()
        return waits is not None and left <= seconds_to_end(waits, budget)

    def _waits(self, record: TrialRecord) -> bool:
        """Whether a trial of an earlier session was paused at a rung, and is not between two."""
        if not (self._promotion and record.role.searches and record.reports):
            return False
        return record.metrics["epoch"] in self._promotion.rungs and record.metrics["epoch"] == record.checkpoint_epoch

    def _end_paused(self) -> None:
        """Let all paused trials end; at once those that no lane of this session knows."""
        reason = StopReason.SEARCH_ENDED if self.ended_by else StopReason.SCHEDULER
        self.ending |= self._paused
        for number in self._paused:
            self._verdicts[number] = Verdict(TrialState.PRUNED, reason)
        for number in self._paused & self._earlier:
            self.finish(number)

    def _gives_way(self, record: TrialRecord) -> bool:
        """Whether a trial waits: at a rung for a lane that is free for it, or for those that have not come as far."""
        if self._promotion:
            at_rung = record.role.searches and record.metrics["epoch"] in self._promotion.rungs
            return at_rung and self._promoted(self._paused | {record.number}) != record.number
        scheduler = self._settings.scheduler
        if not isinstance(scheduler, PbtSettings) or record.metrics["epoch"] % scheduler.interval:
            return False
        begun = len(self._busy) + len(self._paused) + sum(r.state.final for r in self._study.records)
        return bool(self._paused or self._unfinished) or begun < self.expected

    def _settle(self) -> None:
        """End the trials of an earlier session that had come to their end when its driver was killed."""
        for record in self._study.records:
            saved = record.reports and record.metrics["epoch"] == record.checkpoint_epoch
            if not record.state.final and saved and (verdict := verdict_of_rules(record, self._settings.stop)):
                self._study.finish(record.number, verdict.state, verdict.reason)

    def _why_ended(self) -> str | None:
        settings, trials = self._settings, self._study.records
        if settings.until and reached(trials, settings):
            return "until"
        if failing(trials, {record.number for record in trials} - self._earlier_sessions):
            return "errors"
        return "stall" if settings.stall and stalled(trials, settings) else None

    def _epoch(self, number: int) -> float:
        return self._study.record(number).metrics["epoch"]
