from types import SimpleNamespace

import pytest
from ray import cloudpickle
from ray.exceptions import ActorDiedError, RayTaskError

from ndvq_tune.records import TrialState
from ndvq_tune.search.engine.engine import Engine
from ndvq_tune.search.tune.scheduler import EngineScheduler, why_lost
from ndvq_tune.training.group import WorkerGroupError
from tests.search.search_examples import space_of


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
