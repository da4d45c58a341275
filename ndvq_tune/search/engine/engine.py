"""What a search decides: which trial comes next, when one ends, and when all is done. No Ray, and no clock of its own.

Ray Tune's searcher and scheduler ask it, and so does the replay of ``benchmarks.search``.
"""

from collections import deque
from collections.abc import Mapping

from ndvq_tune.records import Rescue, Role, StopReason, TrialRecord, TrialState
from ndvq_tune.search.engine.ending import reached, stalled
from ndvq_tune.search.engine.proposals import Check, Preflight, Proposals, rivals
from ndvq_tune.search.engine.schedulers import stops_of
from ndvq_tune.search.engine.schedulers.pbt import source_of
from ndvq_tune.search.engine.study import Study
from ndvq_tune.search.engine.verdict import Decision, Verdict, verdict_of_rules
from ndvq_tune.search.space import SearchSpace
from ndvq_tune.search.space.settings.scheduler import PbtSettings


class Engine:
    """Decides, from the trials of a study alone.

    Args:
        study: The study.
        space: The space.
        preflight: Checks a configuration before it becomes a trial; without it, nothing is ruled out.
    """

    def __init__(self, study: Study, space: SearchSpace, preflight: Preflight = lambda config: Check()) -> None:
        self._study, self._settings = study, space.search
        self._stops = stops_of(space.search, space.max_epochs)
        self._proposals = Proposals(study, space, preflight)
        self._verdicts: dict[int, Verdict] = {}
        self._busy: set[int] = set()
        self._paused: set[int] = set()
        self.ended_by = self._why_ended()
        self._settle()
        self._unfinished = deque(record for record in study.records if not record.state.final)
        self.finished = False

    @property
    def expected(self) -> int:
        """Trials that the search will have had in the end, as far as one can tell."""
        return self._proposals.trials + self._study.count(Role.EXPLOIT) + self._proposals.repetitions

    @property
    def busy(self) -> int:
        """Trials that have a lane."""
        return len(self._busy)

    def next_trial(self) -> TrialRecord | None:
        """A trial for a free lane; none while there is nothing to do, and ``finished`` when that stays so."""
        record = self._next()
        if record is not None:
            self._busy.add(record.number)
        self.finished = record is None and not self._busy and not self._paused
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
        self._busy.discard(number)
        record = self._study.finish(number, verdict.state, verdict.reason, verdict.error)
        self.ended_by = self.ended_by or self._why_ended()
        return record

    def next_paused(self) -> int | None:
        """The paused trial that goes on next: the one that has come least far."""
        return min(self._paused, key=lambda number: (self._epoch(number), number), default=None)

    def resume(self, number: int) -> None:
        """Note that a paused trial has a lane again."""
        self._paused.discard(number)
        self._busy.add(number)

    def _next(self) -> TrialRecord | None:
        if self._unfinished:
            return self._unfinished.popleft()
        if self.ended_by is None and (record := self._proposals.heir() or self._proposals.searched()):
            return record
        searching = any(self._study.record(number).role is not Role.CONFIRM for number in self._busy | self._paused)
        return None if searching else self._proposals.repetition()

    def _judge(self, record: TrialRecord) -> Verdict | None:
        verdict = verdict_of_rules(record, self._settings.stop)
        if verdict or record.role is Role.CONFIRM:
            return verdict
        self.ended_by = self.ended_by or self._why_ended()
        if self.ended_by:
            return Verdict(TrialState.PRUNED, StopReason.SEARCH_ENDED)
        if self._stops(record, rivals(record, self._study.records)):
            return Verdict(TrialState.PRUNED, StopReason.SCHEDULER)
        if source_of(record, rivals(record, self._study.records), self._settings):
            return Verdict(TrialState.PRUNED, StopReason.EXPLOITED)
        return None

    def _gives_way(self, record: TrialRecord) -> bool:
        """Whether a member of a population waits for those that have not come as far."""
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
        return "stall" if settings.stall and stalled(trials, settings) else None

    def _epoch(self, number: int) -> float:
        return self._study.record(number).metrics["epoch"]
