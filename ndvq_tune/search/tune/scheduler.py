"""Ray Tune's scheduler on top of our engine."""

from pathlib import Path
from typing import Any

from ray import cloudpickle
from ray.tune import TuneError
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from ndvq_tune.errors import message_of
from ndvq_tune.records import TrialState, number_of
from ndvq_tune.search.engine.engine import Engine
from ndvq_tune.search.engine.verdict import Decision
from ndvq_tune.search.tune.messages import LaneReport
from ndvq_tune.training.ray_internals import set_trial_status

_IN_TUNE = {
    Decision.CONTINUE: TrialScheduler.CONTINUE,
    Decision.PAUSE: TrialScheduler.PAUSE,
    Decision.STOP: TrialScheduler.STOP,
}


class EngineScheduler(FIFOScheduler):
    """Passes every report on to the engine, and its decision back to Tune.

    Args:
        engine: The engine.
        lanes: Concurrent trials.
    """

    def __init__(self, engine: Engine, lanes: int) -> None:
        super().__init__()
        self._engine, self._lanes = engine, lanes
        self._failed: list[tuple[Any, Trial]] = []

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Note a report, or an error, and decide."""
        number, report = number_of(trial.trial_id), LaneReport.of(result)
        if report.error is not None:
            self._engine.fail(number, report.error)
            self._failed.append((tune_controller, trial))
            return str(TrialScheduler.STOP)
        decision = self._engine.report(number, report.metrics, report.rescue)
        return str(_IN_TUNE[decision])

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """Note why a lane was lost: the trial has failed, unless Tune gives it another one."""
        self._engine.fail(number_of(trial.trial_id), f"its process was lost again and again: {why_lost(trial)}")

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """A trial that waits for its first lane; else, where a lane is free, the paused one that is to go on."""
        trials = {trial.trial_id: trial for trial in tune_controller.get_live_trials()}
        for trial in [trial for name, trial in trials.items() if number_of(name) in self._engine.ending]:
            tune_controller.stop_trial(trial)
        for trial in trials.values():
            if trial.status == Trial.PENDING:
                return trial
        if self._engine.busy >= self._lanes:  # first, because Tune asks many times a second
            return None
        number = self._engine.next_paused()
        if number is None:
            return None
        paused = next(trial for name, trial in trials.items() if number_of(name) == number)
        if paused.status != Trial.PAUSED:  # its checkpoint is still being written
            return None
        self._engine.resume(number)
        return paused

    def mark_failed(self) -> None:
        """Let Tune call failed what failed. Tune itself would have killed the lane for it."""
        for tune_controller, trial in self._failed:
            verdict = self._engine.verdict(number_of(trial.trial_id))
            assert verdict.state is TrialState.FAILED
            trial.handle_error(TuneError(verdict.error))
            set_trial_status(tune_controller, trial, Trial.ERROR)
        self._failed.clear()


def why_lost(trial: Trial) -> str:
    """The error that ended the lane of a trial, as Tune knows it: its first line says what happened."""
    if trial.pickled_error_file is None:
        return "no error is known"
    error = cloudpickle.loads(Path(trial.pickled_error_file).read_bytes())
    return message_of(getattr(error, "cause", None) or error)
