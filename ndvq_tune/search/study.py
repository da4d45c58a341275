"""The Optuna study: the one truth of a search.

Everything that happens to a trial is written to Optuna's journal before anyone else hears of it. Ray Tune's trial
table, the MLflow runs and the results are views that can be made again from it, so a driver that is killed at any
moment loses nothing and doubles nothing.
"""

import time
import uuid
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from ndvq_tune.records import SearchRecord, StopReason, TrialRecord, TrialState
from ndvq_tune.search.space import SearchSpace

JOURNAL = "optuna.journal"

_STATES = {
    OptunaState.COMPLETE: TrialState.COMPLETED,
    OptunaState.PRUNED: TrialState.PRUNED,
    OptunaState.FAIL: TrialState.FAILED,
}


class _FirstObjectiveStudy(optuna.Study):
    """A study whose intermediate values measure the first objective, also where there are several.

    Optuna's TPE ranks pruned trials by intermediate values, but asks for ``direction``, which a study with several
    objectives refuses to have.
    """

    @property
    def direction(self) -> optuna.study.StudyDirection:
        return self.directions[0]


class Study:
    """A search's trials, in memory and in the journal."""

    def __init__(self, folder: Path, space: SearchSpace) -> None:
        """Open the study of a results folder, or begin one there."""
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._journal = folder / JOURNAL
        _drop_torn_line(self._journal)
        self._space = space
        self._storage = JournalStorage(JournalFileBackend(str(self._journal)))
        optuna.create_study(
            storage=self._storage,
            study_name=space.name,
            directions=["minimize" if objective.mode == "min" else "maximize" for objective in space.search.objectives],
            load_if_exists=True,
        )
        self._study = _FirstObjectiveStudy(space.name, self._storage)
        self._live: dict[int, optuna.Trial] = {}
        self._records: dict[int, TrialRecord] = {}
        for frozen in self._study.get_trials(deepcopy=False):
            self._load(frozen)
        attributes = self._study.user_attrs
        if "search_id" not in attributes:
            self._study.set_user_attr("search_id", uuid.uuid4().hex)
        latest = max((report["seconds"] for record in self.records for report in record.reports), default=0.0)
        self._seconds_before: float = max(latest, attributes.get("wall_seconds", 0.0))
        self._opened = time.monotonic()
        # Seeded anew in each session: a resumed search must not draw the points of its first session again.
        self._study.sampler = optuna.samplers.TPESampler(
            seed=space.search.seed + len(self._records),
            n_startup_trials=space.search.sampler.startup_trials,
        )

    @property
    def search_id(self) -> str:
        """What tells this search from all others, for ever."""
        return str(self._study.user_attrs["search_id"])

    @property
    def records(self) -> tuple[TrialRecord, ...]:
        """All trials, by number."""
        return tuple(self._records[number] for number in sorted(self._records))

    def record(self, number: int) -> TrialRecord:
        """One trial."""
        return self._records[number]

    @property
    def seconds(self) -> float:
        """Seconds that this search has run, all sessions together."""
        return self._seconds_before + time.monotonic() - self._opened

    def ask(self) -> TrialRecord:
        """A new trial."""
        trial = self._study.ask()
        params, config = self._space.suggest(trial)
        record = TrialRecord(trial.number, params, config.to_dict(), started=time.time())
        trial.set_user_attr("params", params)
        trial.set_user_attr("config", record.config)
        trial.set_user_attr("started", record.started)
        self._live[trial.number] = trial
        self._records[trial.number] = record
        return record

    def report(self, number: int, metrics: Mapping[str, float]) -> TrialRecord:
        """Add a trial's report; one for an epoch that it had reported before replaces that."""
        trial = self._live[number]
        epoch = int(metrics["epoch"])
        report = {**metrics, "seconds": round(self.seconds, 3)}
        trial.set_user_attr(f"report:{epoch:06d}", report)
        # Trial.report refuses studies with several objectives; the storage itself does not mind.
        self._storage.set_trial_intermediate_value(
            trial._trial_id, epoch, float(report[self._space.search.objectives[0].metric])
        )
        reports = self._records[number].reports
        earlier = tuple(old for old in reports if old["epoch"] < epoch)
        for old in reports:
            if old["epoch"] > epoch:  # the trial went back to an old checkpoint; Optuna cannot delete
                trial.set_user_attr(f"report:{int(old['epoch']):06d}", None)
        return self._update(number, reports=(*earlier, report))

    def checkpoint(self, number: int, folder: str) -> TrialRecord:
        """Note the complete checkpoint of a trial's last report, relative to the results folder."""
        epoch = int(self._records[number].metrics["epoch"])
        self._live[number].set_user_attr("checkpoint", {"folder": folder, "epoch": epoch})
        return self._update(number, checkpoint=folder, checkpoint_epoch=epoch)

    def finish(
        self, number: int, state: TrialState, reason: StopReason | None = None, error: str | None = None
    ) -> TrialRecord:
        """Give a trial its final state."""
        objectives = (objective.metric for objective in self._space.search.objectives)
        if state is TrialState.COMPLETED and not self._records[number].finite(*objectives):
            state, reason = TrialState.PRUNED, StopReason.DIVERGED  # Optuna takes no NaN as a value
        trial, ended = self._live.pop(number), time.time()
        for name, value in (("stop_reason", reason), ("error", error), ("ended", ended)):
            if value is not None:
                trial.set_user_attr(name, value)
        record = self._update(number, state=state, stop_reason=reason, error=error, ended=ended)
        self._tell(trial, record)
        return record

    def close(self) -> None:
        """Note how long the search has run. A study without a trial is no search yet, and leaves no journal."""
        if self._records:
            self._study.set_user_attr("wall_seconds", self.seconds)
        else:
            self._journal.unlink(missing_ok=True)

    def to_record(self, skipped_files: Mapping[str, str]) -> SearchRecord:
        """The whole search as it is now."""
        settings = self._space.search
        return SearchRecord(
            name=self._space.name,
            trials=self.records,
            objectives=tuple((objective.metric, objective.mode) for objective in settings.objectives),
            constraints=tuple((constraint.metric, *constraint.bound) for constraint in settings.constraints),
            seed=settings.seed,
            wall_seconds=self.seconds,
            skipped_files=skipped_files,
        )

    def _tell(self, trial: optuna.Trial, record: TrialRecord) -> None:
        for constraint in self._space.search.constraints:
            if record.finite(constraint.metric):
                trial.set_constraint(constraint.metric, constraint.violation(record.metrics[constraint.metric]))
        if record.state is TrialState.COMPLETED:
            values = [record.metrics[objective.metric] for objective in self._space.search.objectives]
            self._study.tell(trial, values)
        else:
            states = {ours: theirs for theirs, ours in _STATES.items()}
            self._study.tell(trial, state=states[record.state])

    def _update(self, number: int, **changes: Any) -> TrialRecord:
        self._records[number] = replace(self._records[number], **changes)
        return self._records[number]

    def _load(self, frozen: FrozenTrial) -> None:
        attributes = frozen.user_attrs
        if "started" not in attributes:
            # The driver was killed between Optuna's ask and our note of it: the trial never began.
            self._study.tell(frozen.number, state=OptunaState.FAIL, skip_if_finished=True)
            return
        reason, checkpoint = attributes.get("stop_reason"), attributes.get("checkpoint", {})
        self._records[frozen.number] = TrialRecord(
            number=frozen.number,
            params=attributes["params"],
            config=attributes["config"],
            state=_STATES.get(frozen.state, TrialState.RUNNING),
            reports=tuple(value for key, value in sorted(attributes.items()) if key.startswith("report:") and value),
            stop_reason=StopReason(reason) if reason else None,
            error=attributes.get("error"),
            checkpoint=checkpoint.get("folder"),
            checkpoint_epoch=checkpoint.get("epoch", 0),
            started=attributes["started"],
            ended=attributes.get("ended"),
        )
        if not frozen.state.is_finished():
            self._live[frozen.number] = optuna.Trial(self._study, frozen._trial_id)


def _drop_torn_line(journal: Path) -> None:
    """Cut off a last line that a killed driver did not finish: Optuna would append to it and spoil both lines."""
    if not journal.exists():
        return
    content = journal.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with journal.open("r+b") as file:
            file.truncate(whole)
