"""How a search ends for MLflow when its start fails; whole searches are in tests/end_to_end."""

import io
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from ndvq_tune.errors import ClusterError, TrackingError
from ndvq_tune.search.folder import check_new
from ndvq_tune.search.tune import runner
from ndvq_tune.search.tune.runner import run_search
from tests.search.search_examples import space_of


class Tracker:
    """An MLflow that notes how the search ends."""

    def __init__(self, unusable: str = "") -> None:
        self.ended: list[str] = []
        self._unusable = unusable

    def open(self, *_: Any) -> "Tracker":
        if self._unusable == "open":
            raise TrackingError("MLflow cannot be used")
        return self

    def start(self, *_: Any) -> None:
        pass

    def finish(self, search: Any, state: str, hypervolume: float | None = None) -> None:
        self.ended.append(state)
        if self._unusable == "finish":
            raise TrackingError("MLflow failed")


@pytest.fixture
def fail(monkeypatch, tmp_path):
    """Run a search whose cluster fails to start."""

    def fail(tracker: Tracker, error: BaseException) -> None:
        @contextmanager
        def cluster(address: str | None):
            raise error
            yield

        monkeypatch.setattr(runner, "MlflowTracker", tracker)
        monkeypatch.setattr(runner, "cluster", cluster)
        dataset = SimpleNamespace(train=SimpleNamespace(shape=(3, 4, 16, 16)), skipped={})
        with pytest.raises(type(error)) as caught:
            run_search(space_of(), dataset, tmp_path, Console(file=io.StringIO()))
        assert caught.value is error
        check_new(tmp_path)

    return fail


@pytest.mark.parametrize(
    ("error", "state"), [(ClusterError("no cluster"), "failed"), (KeyboardInterrupt(), "interrupted")]
)
def test_a_start_that_fails_leaves_no_run_running_in_mlflow(fail, error, state):
    tracker = Tracker()
    fail(tracker, error)
    assert tracker.ended == [state]


def test_the_error_of_the_start_is_told_also_if_mlflow_fails_then(fail):
    tracker = Tracker(unusable="finish")
    fail(tracker, ClusterError("no cluster"))
    assert tracker.ended == ["failed"]


def test_an_mlflow_that_was_never_opened_is_not_told_of_the_end(fail):
    tracker = Tracker(unusable="open")
    fail(tracker, ClusterError("no cluster"))
    assert tracker.ended == []
