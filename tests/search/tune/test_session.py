"""How a search ends for MLflow when it fails; whole searches are in tests/end_to_end."""

import os
import signal
import threading
from typing import Any

import pytest

from ndvq_tune.errors import ClusterError, TrackingError
from ndvq_tune.search.tune import session
from ndvq_tune.search.tune.session import stop_signals, tracked
from tests.search.search_examples import begin, space_of
from tests.training.training_examples import dataset


class Tracker:
    """An MLflow that notes what it is told."""

    def __init__(self, unusable: str = "") -> None:
        self.told: list[str] = []
        self._unusable = unusable

    def __call__(self, *_: Any) -> "Tracker":
        return self

    def start(self, *_: Any) -> None:
        self.told.append("running")

    def sync(self, trial: Any) -> None:
        self.told.append(trial.name)

    def finish(self, standing: Any, state: str) -> None:
        self.told.append(state)
        if self._unusable == "finish":
            raise TrackingError("MLflow failed")


@pytest.fixture
def fail(monkeypatch, open_study):
    """Let an error end a search, whose one trial MLflow hears of."""

    def fail(tracker: Tracker, error: BaseException) -> None:
        study = open_study()
        begin(study)
        monkeypatch.setattr(session, "MlflowTracker", tracker)

        def search() -> None:
            with tracked(space_of(), study, None, dataset()):
                raise error

        with pytest.raises(type(error)) as caught:
            search()
        assert caught.value is error

    return fail


@pytest.mark.parametrize(
    ("error", "state"), [(ClusterError("no cluster"), "failed"), (KeyboardInterrupt(), "interrupted")]
)
def test_a_search_that_fails_leaves_no_run_running_in_mlflow(fail, error, state):
    tracker = Tracker()
    fail(tracker, error)
    assert tracker.told == ["running", "trial-0000", state]


def test_the_first_error_is_told_also_if_mlflow_fails_then(fail):
    tracker = Tracker(unusable="finish")
    fail(tracker, ClusterError("no cluster"))
    assert tracker.told[-1] == "failed"


def test_a_first_signal_is_noted_and_a_second_ends_the_process():
    asked = threading.Event()
    before = signal.getsignal(signal.SIGTERM)
    with stop_signals(asked):
        os.kill(os.getpid(), signal.SIGTERM)
        assert asked.wait(5)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGTERM) is before
