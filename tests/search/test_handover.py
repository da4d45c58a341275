from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from ndvq_tune.errors import TrackingError
from ndvq_tune.judgement.standing import Standing
from ndvq_tune.records import SearchRecord
from ndvq_tune.search.handover import hand_over
from tests.report.report_examples import goals, make_trial
from tests.training.training_examples import dataset, floats


class Tracker:
    """An MLflow that notes what it gets."""

    def __init__(self, fails: bool = False) -> None:
        self.files: list[str] = []
        self.models: list[tuple[str, Path, Any]] = []
        self._fails = fails

    def attach(self, path: Path) -> None:
        if self._fails:
            raise TrackingError("MLflow failed")
        self.files.append(path.name)

    def register(self, trial: Any, checkpoint: Path, example: Any) -> None:
        self.models.append((trial.name, checkpoint, example))


def given(folder: Path, tracker: Tracker) -> str:
    """What is told of handing over a search of two trials, of which the second is the better one."""
    trials = (make_trial(0, {"recon_loss": 0.4}), make_trial(1, {"recon_loss": 0.1}))
    standing = Standing(SearchRecord("s", trials, goals("recon_loss")))
    console = Console(width=200)
    with console.capture() as told:
        hand_over(standing, dataset(), folder, tracker, console)
    return told.get()


def test_mlflow_gets_the_report_the_front_the_configuration_and_the_recommended_model(tmp_path: Path) -> None:
    for name in ("report.html", "front.png", "best.yaml", "summary.json"):
        (tmp_path / name).touch()
    (tmp_path / "checkpoints" / "trial-0001").mkdir(parents=True)
    tracker = Tracker()
    assert given(tmp_path, tracker) == ""
    assert tracker.files == ["report.html", "front.png", "best.yaml"]
    ((name, checkpoint, example),) = tracker.models
    assert (name, checkpoint) == ("trial-0001", tmp_path / "checkpoints" / "trial-0001")
    np.testing.assert_array_equal(example, floats(dataset().test)[:1].numpy())


def test_a_model_that_is_gone_is_not_registered(tmp_path: Path) -> None:
    tracker = Tracker()
    given(tmp_path, tracker)
    assert (tracker.files, tracker.models) == ([], [])


def test_a_store_that_fails_is_told_of_and_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / "report.html").touch()
    assert "MLflow: MLflow failed" in given(tmp_path, Tracker(fails=True))
