"""When trials ran, and what of that was training."""

from dataclasses import replace
from typing import Any

import pytest

from ndvq_tune.records import Role, SearchRecord, TrialRecord, TrialState
from ndvq_tune.report.timeline import timeline, timeline_caption
from tests.report.report_examples import OBJECTIVES, make_trial


def trial(number: int, start: float, end: float | None, trained: float, epoch: float = 1.0, **more: Any) -> TrialRecord:
    reports = ({"epoch": epoch, "seconds": 1.0, "training_seconds": trained},)
    return make_trial(number, reports=reports, started=start, ended=end, **more)


def search_of(*trials: TrialRecord, wall: float = 100.0) -> SearchRecord:
    return SearchRecord("made-up", trials, OBJECTIVES, wall_seconds=wall)


BESIDE = (trial(0, 1000, 1060, 50), trial(1, 1000, 1080, 55, state=TrialState.PRUNED))
"""Two trials that began together: 60 and 80 s, of which 105 of 140 s were training."""


def test_each_trial_is_a_bar_from_its_start_to_its_end_in_one_unit() -> None:
    """80 seconds are shown in seconds, 2000 in minutes."""
    completed, pruned = timeline(search_of(*BESIDE)).data
    assert (completed.name, pruned.name) == ("completed (1)", "stopped early (1)")
    assert [(list(bar.base), list(bar.x), list(bar.y)) for bar in (completed, pruned)] == [
        ([0], [60], ["trial-0000"]),
        ([0], [80], ["trial-0001"]),
    ]
    (bars,) = timeline(search_of(trial(0, 1000, 1600, 50), trial(1, 1600, 3000, 50))).data
    assert list(bars.base) == [0, 10]
    assert list(bars.x) == [10, pytest.approx(23.333, abs=1e-3)]


def test_how_many_ran_at_once_and_how_much_was_training() -> None:
    assert timeline_caption(search_of(*BESIDE)) == (
        "2 trials in 1 min 20 s, 1.8 at a time on average. 75% of their time was training and validation; "
        "the rest was starting, saving and waiting."
    )


def test_what_came_with_a_parents_checkpoint_is_not_counted_again() -> None:
    """The second trial trained for 10 of its 20 s, 40 s are its parent's."""
    first = trial(0, 1000, 1050, 40, epoch=2.0)
    end = trial(1, 1050, 1070, 50, epoch=3.0, role=Role.FINISH, parent=0)
    assert "71% of their time was training" in timeline_caption(search_of(first, end))  # 50 of 70 s
    unknown = replace(first, reports=({"epoch": 2.0, "seconds": 1.0},))
    assert "of their time" not in timeline_caption(search_of(unknown, end))


def test_of_an_interrupted_search_no_waiting_is_told() -> None:
    text = timeline_caption(search_of(trial(0, 1000, 1060, 50), trial(1, 9000, 9060, 50), wall=130))
    assert text.endswith("The search was interrupted in between, so what its trials waited for cannot be told.")
    assert "training" not in text


def test_trials_that_have_not_ended_are_left_out_and_counted(empty: SearchRecord) -> None:
    running = trial(2, 1080, None, 5, state=TrialState.RUNNING)
    search = search_of(*BESIDE, running)
    assert sum(len(bar.y) for bar in timeline(search).data) == 2
    assert timeline_caption(search).endswith("Not yet ended, and left out: 1.")
    assert not timeline(empty).data
    assert timeline_caption(empty) == ""
