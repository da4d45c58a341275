"""What the driver does at each event of a search, apart from deciding."""

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.experiment import Trial

from ndvq_tune.errors import TrackingError
from ndvq_tune.judgement.comparison import surpasses
from ndvq_tune.records import TrialRecord, number_of
from ndvq_tune.search.checkpoints import keep_best
from ndvq_tune.search.engine.study import Study
from ndvq_tune.search.progress import Progress
from ndvq_tune.search.tune.messages import LaneReport
from ndvq_tune.search.tune.scheduler import EngineScheduler, why_lost
from ndvq_tune.search.tune.searcher import final_result
from ndvq_tune.tracking.mlflow import MlflowTracker
from ndvq_tune.training.ray_internals import lane_of


class SearchCallback(tune.Callback):
    """Shows progress, keeps MLflow up to date and notes checkpoints.

    MLflow is told by a thread of its own: a lane that waits for the next decision need not wait for a database.

    Args:
        study: The study.
        scheduler: Its decisions are put into Tune's results.
        tracker: MLflow.
        progress: What the person sees.
        folder: The results folder.
        check: Called at every step of the controller; may raise to end the search.
    """

    def __init__(
        self,
        study: Study,
        scheduler: EngineScheduler,
        tracker: MlflowTracker,
        progress: Progress,
        folder: Path,
        check: Callable[[], None],
    ) -> None:
        self._study, self._scheduler, self._tracker = study, scheduler, tracker
        self._progress, self._folder, self._check = progress, folder, check
        self._tracking_failed = False
        self._precision_told = False
        self._tracking = ThreadPoolExecutor(1)
        self._untold: dict[int, TrialRecord] = {}  # the latest of each trial that MLflow has yet to hear of

    def close(self) -> None:
        """Wait until MLflow has heard of everything."""
        self._tracking.shutdown()

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """A safe point to stop at: nothing is half written."""
        self._check()

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Correct Tune's view of failed trials."""
        self._scheduler.mark_failed()

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial has a lane."""
        self._study.enter(number_of(trial.trial_id), lane_of(trial))
        self._show(trial)

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """A trial has reported."""
        if (rescue := LaneReport.of(result).rescue) is not None:
            self._progress.note(f"{trial.trial_id}: its codebook has collapsed; rescue: {rescue}")
        precision = precision_note(self._show(trial))
        if precision and not self._precision_told:
            self._progress.note(precision)
            self._precision_told = True

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial has ended; Tune's table keeps why."""
        trial.last_result.update(final_result(self._show(trial)))

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial's lane was lost too often."""
        self._show(trial)

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial's lane was lost, and another takes over."""
        epoch = self._study.leave(number_of(trial.trial_id)).checkpoint_epoch
        why = why_lost(trial).partition("\n")[0]
        self._progress.note(
            f"{trial.trial_id}: its process was lost; it goes on from epoch {epoch} in a new one ({why})"
        )

    def on_checkpoint(
        self, iteration: int, trials: list[Trial], trial: Trial, checkpoint: tune.Checkpoint, **info: Any
    ) -> None:
        """A checkpoint is complete on the storage."""
        path = Path(checkpoint.path).relative_to(self._folder)
        before = self._study.record(number_of(trial.trial_id))
        record = self._study.checkpoint(before.number, path.as_posix())
        if not before.best_epoch or surpasses(record.metrics, before.result, self._study.goals):
            best = keep_best(record, self._folder)
            self._study.best(record.number, best)
            if before.best_checkpoint not in (None, best):
                shutil.rmtree(self._folder / str(before.best_checkpoint), ignore_errors=True)

    def _show(self, trial: Trial) -> TrialRecord:
        record = self._study.record(number_of(trial.trial_id))
        self._progress.update(record)
        waiting = record.number in self._untold
        self._untold[record.number] = record
        if not waiting:  # a slow store hears of several reports at once
            self._tracking.submit(self._track, record.number)
        return record

    def _track(self, number: int) -> None:
        try:
            self._tracker.sync(self._untold.pop(number))
        except TrackingError as error:
            # Tracking is a view: it must not end a search, and the next sync makes good what this one missed.
            if not self._tracking_failed:
                self._progress.note(f"MLflow: {error}; the search goes on and will try again")
            self._tracking_failed = True


def precision_note(record: TrialRecord) -> str | None:
    """What to say of a trial that was to train in bf16 and does so in part, or not at all."""
    share = record.metrics.get("bf16_layers", 1.0)
    if record.config.training.precision != "bf16" or share == 1:
        return None
    in_fp32 = f"{1 - share:.0%} of its layers train" if share else "it trains"
    why = "gives wrong results for them" if share else "has no instructions for it"
    return (
        f"{record.name}: {in_fp32} in fp32, not in bf16, because its processor {why}; bf16_layers tells of every trial"
    )
