"""The Optuna study: the one truth of a search.

Everything that happens to a trial is written to Optuna's journal before anyone else hears of it. Ray Tune's trial
table, the MLflow runs and the results are views that can be made again from it, so a driver that is killed at any
moment loses nothing and doubles nothing.
"""

import math
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from ndvq_tune.distributions import label
from ndvq_tune.goals import Goals
from ndvq_tune.records import Rescue, Role, SearchRecord, Stay, StopReason, TrialRecord, TrialState
from ndvq_tune.search.checkpoints import located
from ndvq_tune.search.engine.codec import (
    KNOWN,
    OPTUNA_STATES,
    REJECTED,
    changes,
    has_begun,
    known_record,
    known_trial,
    record_of,
)
from ndvq_tune.search.engine.journal import Journal, drop_torn_line
from ndvq_tune.search.engine.optuna_internals import FirstObjectiveStudy, running_trial, set_intermediate_value
from ndvq_tune.search.engine.optuna_space import Draft, suggest
from ndvq_tune.search.engine.samplers import samplers
from ndvq_tune.search.folder import JOURNAL
from ndvq_tune.search.space import SearchSpace


class Study:
    """A search's trials, in memory and in the journal.

    Args:
        space: The space.
        storage: Where Optuna keeps the trials.
        clock: Gives seconds, which reports are stamped with; the machine's own if not given.
    """

    _journal: Path | None = None

    def __init__(self, space: SearchSpace, storage: BaseStorage, clock: Callable[[], float] | None = None) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space, self._clock = space, clock or time.monotonic
        optuna.create_study(
            storage=storage,
            study_name=space.name,
            directions=["minimize" if objective.mode == "min" else "maximize" for objective in self.goals.objectives],
            load_if_exists=True,
        )
        self._study = FirstObjectiveStudy(space.name, storage)
        self._live: dict[int, optuna.Trial] = {}
        self._records: dict[int, TrialRecord] = {}
        self._roles: Counter[Role] = Counter()
        self._rejected: Counter[str] = Counter()
        self._known: list[TrialRecord] = []
        earlier = self._study.get_trials(deepcopy=False)
        for frozen in earlier:
            self._load(frozen)
        attributes = self._study.user_attrs
        if "search_id" not in attributes:
            self._study.set_user_attr("search_id", uuid.uuid4().hex)
        latest = max((report["seconds"] for record in self.records for report in record.reports), default=0.0)
        self._seconds_before: float = max(latest, attributes.get("wall_seconds", 0.0))
        self._opened = self._clock()
        self._startup, self._sampler = samplers(space, len(earlier), lambda: self._tried)

    @classmethod
    def open(cls, folder: Path, space: SearchSpace) -> "Study":
        """The study of a results folder, begun there if there is none."""
        journal = folder / JOURNAL
        drop_torn_line(journal)
        study = cls(space, JournalStorage(Journal(journal)))
        study._journal = journal
        study._records = {number: located(record, folder) for number, record in study._records.items()}
        return study

    @classmethod
    def in_memory(cls, space: SearchSpace, clock: Callable[[], float] | None = None) -> "Study":
        """A study that leaves nothing behind."""
        return cls(space, InMemoryStorage(), clock)

    @property
    def search_id(self) -> str:
        """What tells this search from all others, for ever."""
        return str(self._study.user_attrs["search_id"])

    @property
    def goals(self) -> Goals:
        """What makes a good trial."""
        return self._space.search.goals

    @property
    def records(self) -> tuple[TrialRecord, ...]:
        """All trials, by number."""
        return tuple(self._records.values())

    def record(self, number: int) -> TrialRecord:
        """One trial."""
        return self._records[number]

    def count(self, role: Role) -> int:
        """How many trials have that role."""
        return self._roles[role]

    @property
    def known(self) -> Sequence[TrialRecord]:
        """Finished trials of other searches that the sampler learns from, numbered below 0."""
        return self._known

    @property
    def learns(self) -> bool:
        """Whether there are trials enough for the sampler to learn from."""
        return self._tried >= self._space.search.sampler.startup_trials

    @property
    def _tried(self) -> int:
        return len(self._known) + self.count(Role.SEARCH)

    @property
    def rejected(self) -> Mapping[str, int]:
        """How many proposed points never became trials, by what ruled them out."""
        return dict(self._rejected)

    @property
    def seconds(self) -> float:
        """Seconds that this search has run, all sessions together."""
        return self._seconds_before + self._clock() - self._opened

    def propose(self, params: Mapping[str, Any] | None = None, at_random: bool = False) -> Draft:
        """A new point: these values, and the sampler's for all others; or the first that was enqueued.

        Args:
            params: Values, by full key path.
            at_random: Draw as for a startup trial, whatever the sampler has learned.
        """
        if params is not None:
            self.enqueue(params)
        self._study.sampler = self._startup if at_random or not self.learns else self._sampler
        return suggest(self._space, self._study.ask())

    def begin(
        self,
        draft: Draft,
        constraints: Mapping[str, float] | None = None,
        role: Role = Role.SEARCH,
        parent: TrialRecord | None = None,
    ) -> TrialRecord:
        """Make a trial of a point.

        Args:
            draft: The point.
            constraints: Violations that are known before training.
            role: Why there is this trial.
            parent: The trial that it repeats, or goes on from: then with the parent's checkpoint.
        """
        trial = draft.trial
        for name, violation in (constraints or {}).items():
            trial.set_constraint(name, violation)
        number = max(self._records, default=-1) + 1  # not Optuna's, which counts rejected points, too
        record = TrialRecord(number, draft.params, draft.config, started=time.time(), role=role)
        if parent is not None:
            record = replace(record, parent=parent.number)
        if parent is not None and role.inherits:
            inherited = {name: getattr(parent, name) for name in ("checkpoint", "checkpoint_epoch", "rescues")}
            record = replace(record, **inherited)
        self._live[number] = trial
        self._roles[role] += 1
        return self._write(record)

    def reject(self, draft: Draft, constraints: Mapping[str, float], broken: Sequence[str]) -> None:
        """Tell Optuna that a point is infeasible, or was tried before, without a trial.

        As a failure, with its violations: samplers leave it out. Where TPE is shown rejected points as well, it learns
        to avoid the good values that its own ones have, and finds less (measured, see docs/benchmarks.md).

        Args:
            draft: The point.
            constraints: Violations that are known before training.
            broken: Those that rule it out.
        """
        for name, violation in constraints.items():
            draft.trial.set_constraint(name, violation)
        draft.trial.set_user_attr(REJECTED, list(broken))
        self._study.tell(draft.trial, state=OptunaState.FAIL)
        self._rejected.update(broken)

    def enqueue(self, params: Mapping[str, Any]) -> None:
        """Let these values be the next point; what they leave out, the sampler chooses."""
        self._study.enqueue_trial({key: label(value) for key, value in params.items()})

    def import_(self, known: TrialRecord) -> None:
        """Let the sampler learn from a finished trial of another search."""
        self._study.add_trial(known_trial(known, self._space))
        self._known.append(replace(known, number=self._next_known))

    def enter(self, number: int, lane: str) -> TrialRecord:
        """Note that a lane has taken a trial.

        Args:
            number: The trial.
            lane: What tells the lane from all others.
        """
        record = self._records[number]
        return self._write(replace(record, stays=(*record.stays, Stay(lane, self._now))))

    def leave(self, number: int) -> TrialRecord:
        """Note that a trial has no lane any more, if it had one."""
        record = self._records[number]
        return self._write(replace(record, stays=self._left(record)))

    def report(self, number: int, metrics: Mapping[str, float]) -> TrialRecord:
        """Add a trial's report; one for an epoch that it had reported before replaces that."""
        record, epoch = self._records[number], int(metrics["epoch"])
        report = {**metrics, "seconds": self._now}
        # All of a later epoch are gone with it: the trial went back to an old checkpoint.
        earlier = tuple(old for old in record.reports if old["epoch"] < epoch)
        record = replace(record, reports=(*earlier, report))
        if record.best_epoch >= epoch:
            record = replace(record, best_checkpoint=None, best_epoch=0)
        self._write(record)
        set_intermediate_value(self._study, self._live[number], epoch, float(report[self.goals.metrics[0]]))
        return record

    def rescue(self, number: int, rescue: Rescue) -> TrialRecord:
        """Note that something was done to keep a trial's codebook alive."""
        record = self._records[number]
        earlier = (old for old in record.rescues if old.epoch < rescue.epoch)
        return self._write(replace(record, rescues=(*earlier, rescue)))

    def checkpoint(self, number: int, folder: str, epoch: int | None = None) -> TrialRecord:
        """Note a trial's complete checkpoint.

        Args:
            number: The trial.
            folder: Where it is, relative to the results folder.
            epoch: The epoch that it was saved after; that of the last report if not given.
        """
        record = self._records[number]
        epoch = int(record.metrics["epoch"]) if epoch is None else epoch
        return self._write(replace(record, checkpoint=folder, checkpoint_epoch=epoch))

    def best(self, number: int, folder: str) -> TrialRecord:
        """Note that a trial's last checkpoint is its best, and where it lies.

        Args:
            number: The trial.
            folder: Where it is, relative to the results folder.
        """
        record = self._records[number]
        return self._write(replace(record, best_checkpoint=folder, best_epoch=record.checkpoint_epoch))

    def finish(
        self, number: int, state: TrialState, reason: StopReason | None = None, error: str | None = None
    ) -> TrialRecord:
        """Give a trial its final state.

        Args:
            number: The trial.
            state: Completed, pruned or failed; one that completed without a finite value of every objective has
                diverged.
            reason: Why it was pruned.
            error: The error's text, if it failed.
        """
        record = self._records[number]
        if state is TrialState.COMPLETED and not all(map(math.isfinite, self.goals.costs(record.metrics))):
            state, reason = TrialState.PRUNED, StopReason.DIVERGED  # Optuna takes no NaN as a value
        record = replace(record, state=state, stop_reason=reason, error=error, stays=self._left(record))
        record = self._write(replace(record, ended=time.time()))
        self._tell(self._live.pop(number), record)
        return record

    def close(self) -> None:
        """Note how long the search has run. A study without a trial is no search yet, and leaves no journal."""
        if self._records:
            self._study.set_user_attr("wall_seconds", self.seconds)
        elif self._journal:
            self._journal.unlink(missing_ok=True)

    def to_record(self, skipped_files: Mapping[str, str] | None = None, ended_by: str | None = None) -> SearchRecord:
        """The whole search as it is now."""
        return SearchRecord(
            name=self._space.name,
            trials=self.records,
            goals=self.goals,
            parameters=self._space.searched,
            seed=self._space.search.seed,
            wall_seconds=self.seconds,
            skipped_files=skipped_files or {},
            rejected=self.rejected,
            ended_by=ended_by,
        )

    @property
    def _now(self) -> float:
        return round(self.seconds, 3)

    def _left(self, record: TrialRecord) -> tuple[Stay, ...]:
        """A trial's stays without an open one; the same ones where none is."""
        match record.stays:
            case (*earlier, Stay(ended=None) as last):
                return (*earlier, replace(last, ended=self._now))
        return record.stays

    @property
    def _next_known(self) -> int:
        return -2 - len(self._known)  # the model of curves calls a trial that there is not yet -1

    def _tell(self, trial: optuna.Trial, record: TrialRecord) -> None:
        known = trial.constraints
        for name, violation in self.goals.violations(record.metrics).items():
            if name not in known:
                trial.set_constraint(name, violation)
        if record.state is TrialState.COMPLETED:
            self._study.tell(trial, [record.metrics[name] for name in self.goals.metrics])
        else:
            self._study.tell(trial, state=OPTUNA_STATES[record.state])

    def _write(self, record: TrialRecord) -> TrialRecord:
        """Put what is new of a trial into the journal."""
        for name, value in changes(self._records.get(record.number), record).items():
            self._live[record.number].set_user_attr(name, value)
        self._records[record.number] = record
        return record

    def _load(self, frozen: FrozenTrial) -> None:
        attributes = frozen.user_attrs
        if REJECTED in attributes:
            self._rejected.update(attributes[REJECTED])
        if KNOWN in attributes:
            self._known.append(known_record(frozen, self._next_known, self._space))
            return
        if frozen.state is OptunaState.WAITING:
            return
        if not has_begun(frozen):
            # The driver was killed between Optuna's ask and our note of it: the trial never began.
            self._study.tell(frozen.number, state=OptunaState.FAIL, skip_if_finished=True)
            return
        record = record_of(frozen)
        self._records[record.number] = record
        self._roles[record.role] += 1
        if not frozen.state.is_finished():
            self._live[record.number] = running_trial(self._study, frozen)
