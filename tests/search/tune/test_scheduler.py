from types import SimpleNamespace
from typing import Any

import pytest
from ray import cloudpickle
from ray.exceptions import ActorDiedError, RayTaskError
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from ndvq_tune.records import Rescue, TrialState
from ndvq_tune.search.engine.engine import Engine
from ndvq_tune.search.tune.messages import LaneReport
from ndvq_tune.search.tune.scheduler import EngineScheduler, why_lost
from ndvq_tune.training.group import WorkerGroupError
from tests.search.search_examples import report, space_of

SPACE = space_of(search={"scheduler": {"type": "none"}, "stop": {"plateau": None}})
POPULATION = space_of(search={"trials": 3, "scheduler": {"type": "pbt", "interval": 2}, "stop": {"plateau": None}})


class Tune:
    """What the scheduler sees of Tune's controller."""

    def __init__(self) -> None:
        self.trials: list[SimpleNamespace] = []
        self.told: list[object] = []

    def add(self, number: int, status: str = Trial.PENDING) -> SimpleNamespace:
        trial = SimpleNamespace(trial_id=f"trial-{number:04d}", status=status, handle_error=self.told.append)
        self.trials.append(trial)
        return trial

    def get_live_trials(self) -> list[SimpleNamespace]:
        return self.trials

    def stop_trial(self, trial: SimpleNamespace) -> None:
        self.trials.remove(trial)
        self.told.append((trial.trial_id, Trial.TERMINATED))

    def _set_trial_status(self, trial: SimpleNamespace, status: str) -> None:
        self.told.append((trial.trial_id, status))


def result(metrics: dict[str, float] | None = None, **values: str) -> dict[str, Any]:
    """Tune's result: a report among much else."""
    of_tune = {"trial_id": "trial-0000", "training_iteration": 1, "time_total_s": 3.0, "done": False}
    return of_tune | LaneReport(metrics or {}, **values).to_result()


@pytest.fixture
def engine(open_study) -> Engine:
    return Engine(open_study(SPACE), SPACE)


def test_reports_go_to_the_engine_and_its_decisions_to_tune(engine):
    scheduler, tune = EngineScheduler(engine, 1), Tune()
    trial = tune.add(engine.next_trial().number, Trial.RUNNING)
    assert scheduler.on_trial_result(tune, trial, result(report(1))) == TrialScheduler.CONTINUE
    assert scheduler.on_trial_result(tune, trial, result(report(9))) == TrialScheduler.STOP
    assert engine.verdict(0).state is TrialState.COMPLETED


def test_a_rescue_in_a_report_is_kept(engine):
    scheduler, tune = EngineScheduler(engine, 1), Tune()
    trial = tune.add(engine.next_trial().number, Trial.RUNNING)
    scheduler.on_trial_result(tune, trial, result(report(1), rescue="lower_beta"))
    for epoch in range(2, 10):
        scheduler.on_trial_result(tune, trial, result(report(epoch)))
    assert engine.finish(0).rescues == (Rescue(1, "lower_beta"),)


def test_an_error_fails_the_trial_and_tune_hears_of_it_after_the_step(engine):
    """Within it, Tune would end the lane for it."""
    scheduler, tune = EngineScheduler(engine, 1), Tune()
    trial = tune.add(engine.next_trial().number, Trial.RUNNING)
    assert scheduler.on_trial_result(tune, trial, result(error="it broke")) == TrialScheduler.STOP
    assert engine.verdict(0).error == "it broke"
    assert tune.told == []
    scheduler.mark_failed()
    scheduler.mark_failed()
    assert str(tune.told[0]) == "it broke"
    assert tune.told[1:] == [("trial-0000", Trial.ERROR)]


def test_what_waits_for_its_first_lane_runs_first(engine):
    scheduler, tune = EngineScheduler(engine, 2), Tune()
    assert scheduler.choose_trial_to_run(tune) is None
    tune.add(engine.next_trial().number, Trial.RUNNING)
    waiting = tune.add(engine.next_trial().number)
    assert scheduler.choose_trial_to_run(tune) is waiting
    assert scheduler.choose_trial_to_run(tune) is waiting


def test_of_a_population_the_one_that_came_least_far_goes_on_where_a_lane_is_free(open_study):
    engine = Engine(open_study(POPULATION), POPULATION)
    scheduler, tune = EngineScheduler(engine, 1), Tune()
    for number, epochs in enumerate(((1, 2, 4), (1, 2))):
        trial = tune.add(engine.next_trial().number, Trial.RUNNING)
        decisions = []
        for epoch in epochs:
            decisions.append(scheduler.on_trial_result(tune, trial, result(report(epoch))))
            if decisions[-1] == TrialScheduler.PAUSE and epoch != epochs[-1]:
                engine.resume(number)
        assert decisions[:2] == [TrialScheduler.CONTINUE, TrialScheduler.PAUSE]
    assert scheduler.choose_trial_to_run(tune) is None  # still being saved
    for trial in tune.trials:
        trial.status = Trial.PAUSED
    third = tune.add(engine.next_trial().number)
    assert scheduler.choose_trial_to_run(tune) is third
    third.status = Trial.RUNNING
    assert scheduler.choose_trial_to_run(tune) is None  # the only lane has the third
    scheduler.on_trial_result(tune, third, result(report(2)))
    third.status = Trial.PAUSED
    assert scheduler.choose_trial_to_run(tune) is tune.trials[1]
    assert engine.busy == 1


def test_paused_trials_that_no_longer_go_on_are_stopped(open_study):
    space = space_of(search={"trials": 2, "scheduler": {"type": "promote"}, "sampler": {"startup_trials": 2}})
    engine = Engine(open_study(space), space)
    scheduler, tune = EngineScheduler(engine, 1), Tune()
    for loss in (0.2, 0.4):
        trial = tune.add(engine.next_trial().number, Trial.RUNNING)
        scheduler.on_trial_result(tune, trial, result(report(1, loss)))
        trial.status = Trial.PAUSED
    best = scheduler.choose_trial_to_run(tune)
    assert best.trial_id == "trial-0000"
    for epoch in range(2, 10):
        decision = scheduler.on_trial_result(tune, best, result(report(epoch, 0.2)))
    assert decision == TrialScheduler.STOP
    engine.finish(0)
    assert engine.next_trial() is None
    assert scheduler.choose_trial_to_run(tune) is None
    assert tune.told == [("trial-0001", Trial.TERMINATED)]
    assert engine.verdict(1).state is TrialState.PRUNED


@pytest.fixture
def lost_trial(tmp_path):
    def trial(error: Exception) -> SimpleNamespace:
        (tmp_path / "error.pkl").write_bytes(cloudpickle.dumps(error))
        return SimpleNamespace(trial_id="trial-0000", pickled_error_file=str(tmp_path / "error.pkl"))

    return trial


def test_an_error_of_the_workers_is_told_without_what_ray_adds(lost_trial):
    text = "OutOfMemoryError: CUDA out of memory\nTraceback"
    assert why_lost(lost_trial(RayTaskError("step", "a long traceback", WorkerGroupError(text)))) == text


def test_a_process_that_died_is_told_as_ray_does(lost_trial):
    assert why_lost(lost_trial(ActorDiedError())).startswith("The actor died unexpectedly")


def test_an_error_without_a_text_is_told_by_its_type(lost_trial):
    assert why_lost(lost_trial(RayTaskError("step", "a long traceback", AssertionError()))) == "AssertionError"


def test_nothing_is_made_up():
    assert why_lost(SimpleNamespace(pickled_error_file=None)) == "no error is known"


def test_a_trial_that_lost_all_its_lanes_fails_with_the_last_error(lost_trial, open_study):
    study, space = open_study(), space_of()
    engine = Engine(study, space)
    engine.next_trial()
    error = RayTaskError("step", "", WorkerGroupError("a training process ended unexpectedly"))
    EngineScheduler(engine, 1).on_trial_error(None, lost_trial(error))
    record = engine.finish(0)
    assert record.state is TrialState.FAILED
    assert record.error == "its process was lost again and again: a training process ended unexpectedly"
