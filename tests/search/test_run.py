"""The start of a search, without Ray; whole searches are in tests/end_to_end."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from ndvq_tune.data.batches.samples import SampleSet, Scale, Window
from ndvq_tune.errors import ClusterError, DataError, TrackingError
from ndvq_tune.search import run
from ndvq_tune.search.folder import JOURNAL, check_new
from ndvq_tune.search.space import SearchSpace
from tests.search.search_examples import space_of

SKIPPED = {"train/bad.mp4": "is cut off", "test/b.mp4": "is empty"}
TEST = SampleSet([np.zeros((160, 16, 16, 3), np.uint8)], Window(4), Scale(0, 255))
DATASET = SimpleNamespace(skipped=SKIPPED, files=30, card=None, train=SimpleNamespace(shape=(3, 4, 16, 16)), test=TEST)


class Session:
    """What is asked of a session."""

    def __init__(self, ended: list[Any]) -> None:
        self.ended = ended

    def __call__(self, *given: Any) -> "Session":
        return self

    def search(self, nodes: Any) -> str:
        self.ended.append(nodes)
        return "stall"

    def outcome(self, ended_by: str) -> str:
        return f"ended by {ended_by}"


@pytest.fixture
def begin(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., tuple[Any, str]]:
    """Runs a search with a Ray, data and an MLflow that are as given; its outcome, and what is printed."""

    def begin(
        ray: Callable[[], Any] = lambda: ["a node"],
        data: Callable[[], Any] = lambda: DATASET,
        mlflow: Callable[[], Any] = lambda: None,
    ) -> tuple[Any, str]:
        @contextmanager
        def cluster(address: str | None) -> Iterator[Any]:
            yield ray()

        ended: list[Any] = []
        monkeypatch.setattr(run, "cluster", cluster)
        monkeypatch.setattr(run, "_opened", lambda *_: data())
        monkeypatch.setattr(run, "_connected", lambda *_: mlflow())
        monkeypatch.setattr("ndvq_tune.search.tune.session.Session", Session(ended))
        monkeypatch.setattr("ndvq_tune.search.tune.session.tracked", lambda *_: nullcontext())
        output = io.StringIO()
        outcome = run.run_search(
            space_of(), tmp_path / "out", Console(file=output, width=200), lambda: nullcontext(lambda *_: None)
        )
        assert ended == [["a node"]]
        return outcome, output.getvalue()

    return begin


def raising(error: BaseException) -> Callable[[], Any]:
    def fail() -> None:
        raise error

    return fail


def test_what_takes_seconds_is_said_first_and_files_that_are_left_out_are_named(begin, tmp_path):
    outcome, output = begin()
    assert outcome == "ended by stall"
    assert output.splitlines() == [
        "small: opening the data and starting Ray ...",
        f"skipped 2 of 30 files: train/bad.mp4 (is cut off) and 1 more; see {tmp_path}/out/skipped.csv",
    ]
    table = (tmp_path / "out" / "skipped.csv").read_text().splitlines()
    assert table == ["file,reason", "train/bad.mp4,is cut off", "test/b.mp4,is empty"]
    assert SearchSpace.load(tmp_path / "out" / "space.yaml") == space_of(data={"normalise": "channel"})


@pytest.mark.parametrize(
    ("parts", "error"),
    [
        ({"ray": raising(ClusterError("none"))}, ClusterError),
        ({"mlflow": raising(TrackingError("none"))}, TrackingError),
        ({"ray": raising(KeyboardInterrupt())}, KeyboardInterrupt),
        ({"data": raising(DataError("none"))}, DataError),
    ],
)
def test_whatever_fails_ends_the_start_and_leaves_the_folder_free(begin, tmp_path, parts, error):
    with pytest.raises(error):
        begin(**parts)
    check_new(tmp_path / "out")
    assert not (tmp_path / "out" / JOURNAL).exists()


def test_test_samples_that_are_too_few_to_tell_trials_apart_are_told_of(begin):
    five = SampleSet([np.zeros((8, 16, 16, 3), np.uint8)], Window(4), Scale(0, 255))
    _, output = begin(data=lambda: SimpleNamespace(**{**vars(DATASET), "test": five}))
    assert output.splitlines()[-1] == "5 test samples: trials that differ by less than about 12% may not be told apart"
