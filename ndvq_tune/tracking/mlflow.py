"""A search in MLflow: a parent run, and a nested run a trial.

Everything is made from records and found again by tags, so it does not matter how often, in what order, or in which
process records are synced: what MLflow has already is not sent again, and what it missed is.
"""

import time
import warnings
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from mlflow.entities import DatasetInput, Metric, Param, RunTag

from ndvq_tune.errors import TrackingError, first_line
from ndvq_tune.goals import Objective
from ndvq_tune.judgement.standing import Standing
from ndvq_tune.records import TrialRecord, TrialState
from ndvq_tune.tracking.client import Store, ui_address, ui_command
from ndvq_tune.tracking.runs import SEARCH_TAG, TRIAL_TAG, Run, find_runs
from ndvq_tune.tracking.values import (
    NO_MARKS,
    PASSING_TAGS,
    config_of,
    marks_of,
    metrics_of,
    milliseconds,
    params_of,
    settings_of,
    step_of,
    summary_of,
    system_metrics_of,
    tags_of,
    times_of,
)

STATUS = {
    TrialState.RUNNING: "RUNNING",
    TrialState.COMPLETED: "FINISHED",
    TrialState.PRUNED: "FINISHED",  # as it should; the tag tells, and MLflow marks what it calls killed as a failure
    TrialState.FAILED: "FAILED",
}
SEARCH_STATUS = {"completed": "FINISHED", "interrupted": "KILLED", "failed": "FAILED"}
NOTE_TAG = "mlflow.note.content"
VALUES_A_REQUEST = 800  # MLflow takes at most 1000, with parameters and tags
PAUSE_SECONDS = 60.0


class MlflowTracker:
    """Keeps MLflow equal to the records of one search.

    After a failure nothing is assumed of what arrived: the runs are read again before anything else is sent. A store
    that failed is left alone for a minute, so that one that hangs cannot hold the search up at every report.

    Args:
        store: Where MLflow keeps it.
        search_name: Name of the search's run, which is made if it is not there.
        search_id: What tells this search from all others, also when it is resumed.

    Attributes:
        uri: The store.
        experiment_id: The experiment's id there.
        parent_run_id: The id of the search's own run.
    """

    def __init__(self, store: Store, search_name: str, search_id: str) -> None:
        self.uri, self.experiment_id, self._client = store.uri, store.experiment_id, store.client
        self._server = store.server
        self._search_name, self._search_id = search_name, search_id
        self._data: DatasetInput | None = None
        self._runs: dict[int | None, Run] | None = None  # by trial number; None is the search itself
        self._silent_until = 0.0
        with self._speaking() as runs:
            if None not in runs:
                runs[None] = self._create(search_name, time.time(), {})
            self.parent_run_id = runs[None].id

    def shown_at(self, first: Objective) -> tuple[str, ...]:
        """How to see the trials: what to type in the current folder, where no server runs already, then the page.

        Args:
            first: The objective that they are ordered by there.
        """
        command = None if self._server else ui_command(self.uri)
        return (*([command] if command else []), ui_address(self._server or self.uri, self.experiment_id, first))

    def start(self, config_text: str, params: Mapping[str, Any], data: DatasetInput | None = None) -> None:
        """Marks the search as running, and describes it.

        Args:
            config_text: The resolved space, kept as the artifact ``space.yaml``.
            params: Settings of the search as a whole. MLflow never changes a parameter: one that differs on resume
                becomes a tag.
            data: What its trials are trained on.

        Raises:
            TrackingError: MLflow failed; calling again does what is missing.
        """
        self._data = data
        wanted = settings_of(params)
        with self._speaking() as runs:
            parent = runs[None]
            changed = {key: value for key, value in wanted.items() if parent.params.get(key, value) != value}
            self._client.log_text(parent.id, config_text, "space.yaml")
            self._give_data(parent)
            self._withdraw(parent, {"ended_by"})
            self._send(parent, params=wanted, tags={"state": "running", **changed})
            self._set_status(parent, "RUNNING")

    def sync(self, trial: TrialRecord) -> None:
        """Brings a trial's run up to date; costs no request when there is nothing new.

        Raises:
            TrackingError: MLflow failed; a later sync makes up for it.
        """
        with self._speaking() as runs:
            self._sync(runs, trial)

    def attach(self, path: Path, trial: TrialRecord | None = None) -> None:
        """Adds a file to a trial's run, or to the search's own, in place of one of the same name.

        Raises:
            TrackingError: MLflow failed.
        """
        with self._speaking() as runs:
            run = runs[None] if trial is None else self._sync(runs, trial)
            self._client.log_artifact(run.id, str(path))

    def register(self, trial: TrialRecord, checkpoint: Path, example: npt.NDArray[np.float32]) -> None:
        """Logs the recommended model with its trial's run, and registers it under the search's name as champion.

        Args:
            trial: The trial.
            checkpoint: Its model.
            example: Data ``(B, C, *S)`` in [0, 1], as the model takes it.

        Raises:
            TrackingError: MLflow failed, or keeps no models.
        """
        tags = {SEARCH_TAG: self._search_id, TRIAL_TAG: str(trial.number), "epoch": str(trial.weights_epoch)}
        with self._speaking() as runs, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # MLflow warns of its own hints for types
            from ndvq_tune.tracking.champion import crown  # which a search does not need before its end

            crown(self._client, self._sync(runs, trial).id, self._search_name, checkpoint, example, tags)

    def finish(
        self, standing: Standing, state: Literal["completed", "interrupted", "failed"], note: str | None = None
    ) -> None:
        """Ends the search's run with its summary, after a last sync of all trials; leaves no run running.

        Args:
            standing: The search.
            state: Whether it came to its end, was interrupted, or met an error.
            note: What came of it, in words; the description that MLflow shows.

        Raises:
            TrackingError: MLflow failed; calling again does what is missing.
        """
        search, self._silent_until = standing.search, 0.0  # the last chance to catch up
        marks = marks_of(standing)
        with self._speaking() as runs:
            for trial in search.trials:
                self._sync(runs, trial, marks[trial.number])
            parent = runs[None]
            for run in runs.values():
                if run is not parent and run.status == "RUNNING":
                    self._send(run, tags={"state": "interrupted"})
                    self._set_status(run, "KILLED")
            now = milliseconds(time.time())
            metrics = [Metric(name, value, now, 0) for name, value in summary_of(standing).items()]
            said = {"ended_by": search.ended_by, NOTE_TAG: note}
            self._send(parent, metrics=metrics, tags={"state": state, **{k: v for k, v in said.items() if v}})
            self._set_status(parent, SEARCH_STATUS[state])

    def _sync(self, runs: dict[int | None, Run], trial: TrialRecord, marks: Mapping[str, str] | None = None) -> Run:
        tags = {**tags_of(trial), **(marks or {})}
        if trial.number not in runs:
            origin = {TRIAL_TAG: str(trial.number), "mlflow.parentRunId": runs[None].id}
            runs[trial.number] = self._create(trial.name, trial.started or time.time(), {**origin, **NO_MARKS, **tags})
        run = runs[trial.number]
        if not run.params:  # they come with the first batch, which comes after the configuration
            self._client.log_text(run.id, config_of(trial), "config.yaml")
        self._give_data(run)
        self._withdraw(run, PASSING_TAGS - tags.keys())  # the trial was taken up again, from an earlier epoch
        news = [
            metric
            for before, report, at in zip(({}, *trial.reports), trial.reports, times_of(trial), strict=False)
            if report["epoch"] > run.epoch
            for metric in _metrics(report, before, at)
        ]
        for start in range(0, max(len(news), 1), VALUES_A_REQUEST):
            self._send(run, params_of(trial), news[start : start + VALUES_A_REQUEST], tags)
        run.epoch = max([run.epoch, *(int(report["epoch"]) for report in trial.reports)])
        self._set_status(run, STATUS[trial.state], trial.ended)
        return run

    def _create(self, name: str, started: float, tags: Mapping[str, str]) -> Run:
        tags = {SEARCH_TAG: self._search_id, "mlflow.source.name": "ndvq_tune", **tags}
        made = self._client.create_run(self.experiment_id, milliseconds(started), tags, run_name=name)
        return Run(made.info.run_id, made.info.status, tags=tags)

    def _give_data(self, run: Run) -> None:
        if self._data is not None and not run.has_data:
            self._client.log_inputs(run.id, [self._data])
            run.has_data = True

    def _withdraw(self, run: Run, names: Set[str]) -> None:
        for name in names & run.tags.keys():
            self._client.delete_tag(run.id, name)
            del run.tags[name]

    def _send(
        self,
        run: Run,
        params: Mapping[str, str] | None = None,
        metrics: Sequence[Metric] = (),
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Logs in one request what the run does not have yet."""
        params = {name: value for name, value in (params or {}).items() if name not in run.params}
        tags = {name: value for name, value in (tags or {}).items() if run.tags.get(name) != value}
        if not (params or metrics or tags):
            return
        self._client.log_batch(
            run.id,
            metrics=metrics,
            params=[Param(name, value) for name, value in params.items()],
            tags=[RunTag(name, value) for name, value in tags.items()],
        )
        run.params |= params
        run.tags |= tags

    def _set_status(self, run: Run, status: str, ended: float | None = None) -> None:
        if run.status == status:
            return
        if status == "RUNNING":
            self._client.update_run(run.id, status)
        else:
            self._client.set_terminated(run.id, status, milliseconds(ended or time.time()))
        run.status = status

    @contextmanager
    def _speaking(self) -> Iterator[dict[int | None, Run]]:
        """The runs as MLflow has them; any failure becomes a TrackingError."""
        wait = self._silent_until - time.monotonic()
        if wait > 0:
            raise TrackingError(f"MLflow at {self.uri} failed; it is tried again in {wait:.0f} s")
        try:
            if self._runs is None:
                self._runs = find_runs(self._client, self.experiment_id, self._search_id)
            yield self._runs
        except BaseException as error:
            self._runs = None  # also after Ctrl-C: who knows what arrived
            if not isinstance(error, Exception):
                raise
            # Whatever the store's own libraries raise: tracking must not end a search.
            self._silent_until = time.monotonic() + PAUSE_SECONDS
            raise TrackingError(f"MLflow at {self.uri} failed: {first_line(error)}") from error


def _metrics(report: Mapping[str, float], before: Mapping[str, float], at: float) -> list[Metric]:
    """A report's values, the epoch last: only then has all of the report arrived."""
    values = metrics_of(report, before)
    epoch = values.pop("epoch")
    values |= {**system_metrics_of(report), "epoch": epoch}
    return [Metric(name, value, milliseconds(at), step_of(name, report, before)) for name, value in values.items()]
