"""Where a model is and what it was trained on, as the page says it."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from ndvq_tune.records import SearchRecord, TrialState
from ndvq_tune.report.card import facts
from ndvq_tune.report.provenance import as_of, line_that_loads, made_with, trained_on
from tests.report.card_examples import VIDEOS
from tests.report.report_examples import make_trial


def checkpoint(folder: Path, **description: object) -> None:
    (folder / "checkpoints/trial-0000").mkdir(parents=True)
    (folder / "checkpoints/trial-0000/config.json").write_text(json.dumps({"format": 1, **description}))


def test_the_card_is_that_of_the_checkpoint_that_is_there(tmp_path: Path) -> None:
    assert trained_on(None, tmp_path) == {}
    assert trained_on(make_trial(), tmp_path) == {}  # not there
    checkpoint(tmp_path, data=VIDEOS.model_dump(mode="json"), input_shape=[3, 8, 64, 64])
    assert trained_on(make_trial(), tmp_path) == facts(VIDEOS, (3, 8, 64, 64))


def test_a_checkpoint_of_an_earlier_release_has_no_card_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    checkpoint(tmp_path, input_shape=[3, 8, 64, 64])
    assert trained_on(make_trial(), tmp_path) == {}
    (tmp_path / "checkpoints/trial-0000/config.json").write_text("{")
    assert trained_on(make_trial(), tmp_path) == {"data": "not known: config.json is missing or damaged"}


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
