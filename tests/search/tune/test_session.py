"""How a search ends when something fails, in its folder and for MLflow; whole searches are in tests/end_to_end."""

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from ndvq_tune.errors import ClusterError, TrackingError
from ndvq_tune.records import TrialState
from ndvq_tune.search.tune import session
from ndvq_tune.search.tune.session import Session, stop_signals, tracked
from tests.search.search_examples import begin, report, space_of
from tests.training.training_examples import dataset


class Tracker:
    """An MLflow that notes what it is told."""

    def __init__(self, unusable: str = "") -> None:
        self.told: list[str] = []
        self.uri, self.experiment_id, self.parent_run_id = "sqlite:///mlflow.db", "1", "0"
        self._unusable = unusable

    def __call__(self, *_: Any) -> "Tracker":
        return self

    def start(self, *_: Any) -> None:
        self.told.append("running")

    def sync(self, trial: Any) -> None:
        self.told.append(trial.name)

    def shown_at(self, first: Any) -> tuple[str, ...]:
        return ()

    def attach(self, path: Path, trial: Any = None) -> None:
        self.told.append(path.name)

    def register(self, *_: Any) -> None:
        raise TrackingError("no model")

    def finish(self, standing: Any, state: str, note: str | None = None) -> None:
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


@pytest.fixture
def ended(tmp_path, open_study) -> Callable[[bool], tuple[str, list[str]]]:
    """Ends a search of one trial whose checkpoint is damaged; gives what is told, and what MLflow hears."""
    study = open_study()
    begin(study)
    study.report(0, report(1))
    (tmp_path / "checkpoints" / "trial-0000").mkdir(parents=True)
    (tmp_path / "checkpoints" / "trial-0000" / "config.json").write_text("{")
    study.checkpoint(0, "checkpoints/trial-0000")
    study.finish(0, TrialState.COMPLETED)

    def end(interrupted: bool) -> tuple[str, list[str]]:
        tracker, console = Tracker(), Console(width=200)
        of_search = Session(space_of(), tmp_path, console, dataset(), study, tracker)
        if interrupted:
            of_search.interrupted.set()
        with console.capture() as told:
            of_search.outcome(None)
        return told.get(), tracker.told

    return end


def test_what_fails_at_the_end_is_named_and_everything_else_is_written(ended, monkeypatch, tmp_path):
    def fails(*_: Any) -> None:
        raise ValueError("a codec's mistake")

    monkeypatch.setattr(session, "baselines", fails)
    told, heard = ended(interrupted=False)
    plain, pictures, *_ = told.splitlines()
    assert plain == "plain methods: left out, as it failed: ValueError: a codec's mistake"
    assert pictures.startswith("pictures of trial-0000: left out, as it failed: ")
    assert pictures.endswith("checkpoints/trial-0000 is no checkpoint: model.safetensors is missing or cannot be read")
    for name in ("trials.parquet", "curves.parquet", "summary.json", "best.yaml"):
        assert (tmp_path / name).exists()
    assert "not known: config.json is missing or damaged" in (tmp_path / "report.html").read_text()
    assert heard == ["report.html", "front.png", "best.yaml", "completed"]


def test_a_page_that_fails_after_an_interruption_does_not_keep_mlflow_from_hearing_of_it(ended, monkeypatch, tmp_path):
    def fails(*_: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(session, "write_html", fails)
    told, heard = ended(interrupted=True)
    assert told.splitlines() == ["report.html: left out, as it failed: OSError: disk full"]
    assert (tmp_path / "summary.json").exists()
    assert heard == ["interrupted"]


def test_a_first_signal_is_noted_and_a_second_ends_the_process():
    asked = threading.Event()
    before = signal.getsignal(signal.SIGTERM)
    with stop_signals(asked):
        os.kill(os.getpid(), signal.SIGTERM)
        assert asked.wait(5)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGTERM) is before
