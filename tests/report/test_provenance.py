"""Where a model is and what it was trained on, as the page says it."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ndvq_tune.config.card import Cut, DataCard
from ndvq_tune.errors import CheckpointError
from ndvq_tune.records import SearchRecord, TrialState
from ndvq_tune.report.provenance import as_of, facts, line_that_loads, made_with, trained_on
from tests.report.report_examples import make_trial

CLIPS = Cut(length=8, stride=4, step=2, crop=None)
VIDEOS = DataCard(
    type="video", source="folder", fingerprint="f00d", test_fingerprint="cafe", files=12, train_samples=1024,
    test_samples=64, dtype="uint8", low=0.0, high=255.0, minimum=3.0, maximum=251.0, channels=3,
    channel_names=("red", "green", "blue"), clip_length=8, resolution=64, sample_rate=None, frame_rate=12.5,
    file_rates={25.0: 11, 30.0: 1}, train_cut=CLIPS, test_cut=CLIPS,
)  # fmt: skip
SOUNDS = VIDEOS.model_copy(
    update={"type": "signal", "sample_rate": 16000.0, "frame_rate": None, "file_rates": {16000.0: 3, 44100.0: 2}}
)


def checkpoint(folder: Path, **description: object) -> None:
    (folder / "checkpoints/trial-0000").mkdir(parents=True)
    (folder / "checkpoints/trial-0000/config.json").write_text(json.dumps({"format": 1, **description}))


def test_a_card_is_told_with_counts_shape_rate_range_and_fingerprints() -> None:
    assert facts(VIDEOS, (3, 8, 64, 64)) == {
        "data": "video, from a folder",
        "files": "12",
        "samples": "1,024 for training, 64 for testing",
        "shape": "3 x 8 x 64 x 64, channels first (red, green and blue)",
        "cut": "8 rows, 2 apart, a sample every 4",
        "frame rate": "12.5 a second; files: 11 of 25 and 1 of 30",
        "range": "0 to 255, which a model sees as 0 to 1",
        "values": "uint8, for training from 3 to 251",
        "fingerprint": "f00d; test files cafe",
    }
    assert facts(SOUNDS, (1, 8))["sample rate"] == "16,000 Hz; 2 files resampled"


def test_the_card_is_that_of_the_checkpoint_that_is_there(tmp_path: Path) -> None:
    assert trained_on(None, tmp_path) == {}
    assert trained_on(make_trial(), tmp_path) == {}  # not there
    checkpoint(tmp_path, data=VIDEOS.model_dump(mode="json"), input_shape=[3, 8, 64, 64])
    assert trained_on(make_trial(), tmp_path) == facts(VIDEOS, (3, 8, 64, 64))


def test_a_checkpoint_of_an_earlier_release_has_no_card_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    checkpoint(tmp_path, input_shape=[3, 8, 64, 64])
    assert trained_on(make_trial(), tmp_path) == {}
    (tmp_path / "checkpoints/trial-0000/config.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"config\.json is missing or damaged"):
        trained_on(make_trial(), tmp_path)


def test_the_line_that_loads_is_python_that_names_the_folder() -> None:
    line = line_that_loads(make_trial(7), Path("runs/video"))
    assert line == 'from ndvq_tune import load_model; model = load_model("runs/video/checkpoints/trial-0007")'
    compile(line, "report", "exec")
    assert line_that_loads(make_trial(7, checkpoint=None), Path("runs/video")) == ""


NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def test_a_page_says_of_what_moment_it_is_and_whether_the_search_goes_on(example: SearchRecord) -> None:
    folder = Path("runs/video")
    ended = as_of(example, folder, NOON, running=False)
    assert ended == "As of 2026-03-01 12:00 UTC."
    assert as_of(example, folder, NOON, running=True).startswith("As of 2026-03-01 12:00 UTC, while the search runs.")
    unfinished = replace(example, trials=(*example.trials, make_trial(24, state=TrialState.RUNNING)))
    text = as_of(unfinished, folder, NOON, running=False)
    assert "Not all trials have ended" in text
    assert "python -m ndvq_tune.search --resume --output runs/video goes on" in text


def test_versions_and_machine_fit_a_line() -> None:
    assert "ndvq_tune " in made_with()
    assert "torch " in made_with()
