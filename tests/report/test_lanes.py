"""What lanes did, from the stays of trials and the times of their reports."""

import math
from dataclasses import replace
from typing import Any

import pytest

from ndvq_tune.records import Role, SearchRecord, Stay, TrialRecord, TrialState
from ndvq_tune.report.lanes import shares, visits
from ndvq_tune.report.timeline import timeline, timeline_caption
from tests.report.report_examples import OBJECTIVES, make_trial


def epoch(number: int, seconds: float) -> dict[str, float]:
    """An epoch's report: each takes 4 s, of which 3 are training, on 30 samples."""
    return {
        "epoch": number,
        "seconds": seconds,
        "samples_seen": 30.0 * number,
        "samples_per_second": 10.0,
        "training_seconds": 4.0 * number,
    }


def trial(number: int, stays: tuple[Stay, ...], *reports: dict[str, float], **more: Any) -> TrialRecord:
    return make_trial(number, stays=stays, reports=reports, **more)


def search_of(*trials: TrialRecord) -> SearchRecord:
    return SearchRecord("made-up", trials, OBJECTIVES, wall_seconds=100.0)


PAUSED = trial(0, (Stay("a", 10, 17), Stay("b", 30, 37)), epoch(1, 16), epoch(2, 36))
"""Two epochs on two lanes; each took 2 s to start and 1 s to save."""
STOPPED = trial(1, (Stay("b", 12, 30),), epoch(1, 20), epoch(2, 24), state=TrialState.PRUNED)


def test_a_visit_is_made_of_starting_training_and_validation() -> None:
    first, second, other = visits(search_of(PAUSED, STOPPED))
    assert (first.begun, first.ended, first.starting, first.training, first.validation) == (10, 17, 2, 3, 1)
    assert (second.begun, second.ended, second.starting, second.training, second.validation) == (30, 37, 2, 3, 1)
    assert (other.seconds, other.starting, other.training, other.validation) == (18, 4, 6, 2)
    assert [visit.row for visit in (first, second, other)] == [0, 1, 1]


def test_shares_are_of_all_lanes_from_the_first_trial_to_the_last() -> None:
    """Two lanes for 27 s: 32 of 54 s had a trial."""
    found = shares(visits(search_of(PAUSED, STOPPED)))
    seconds = {name: share * 54 for name, share in found.items()}
    assert seconds == pytest.approx(
        {"training": 12, "validation": 4, "starting": 8, "saving and deciding": 8, "without a trial": 22}
    )
    assert sum(found.values()) == pytest.approx(1)


def test_a_lane_has_the_row_of_one_that_had_ended_before() -> None:
    """Lane b takes the place of a, which was lost; c works beside it."""
    trials = [
        trial(n, (Stay(lane, *times),)) for n, (lane, *times) in enumerate([("a", 0, 9), ("b", 9, 20), ("c", 15, 30)])
    ]
    assert [visit.row for visit in visits(search_of(*trials))] == [0, 0, 1]


def test_a_lane_that_is_between_trials_keeps_its_row() -> None:
    first = trial(0, (Stay("a", 0, 5),))
    between, last = trial(1, (Stay("b", 6, 8),)), trial(2, (Stay("a", 9, 10),))
    assert [visit.row for visit in visits(search_of(first, between, last))] == [0, 1, 0]


def test_of_a_killed_driver_a_stay_ends_with_its_last_report() -> None:
    cut = trial(0, (Stay("a", 10), Stay("b", 30)), epoch(1, 16), epoch(2, 36), state=TrialState.RUNNING)
    assert [(visit.begun, visit.ended) for visit in visits(search_of(cut))] == [(10, 16), (30, 36)]
    silent = trial(0, (Stay("a", 10),), state=TrialState.RUNNING)
    assert [visit.seconds for visit in visits(search_of(silent))] == [0]


def test_what_came_with_a_parents_checkpoint_is_not_counted_again() -> None:
    end = trial(2, (Stay("a", 40, 46),), epoch(3, 45), role=Role.FINISH, parent=0)
    *_, last = visits(search_of(PAUSED, STOPPED, end))
    assert (last.starting, last.training, last.validation) == (1, 3, 1)
    lost = replace(PAUSED, reports=PAUSED.reports[:1])
    *_, last = visits(search_of(lost, STOPPED, end))
    assert math.isnan(last.training)


def test_lanes_that_nobody_has_noted_are_not_drawn() -> None:
    earlier = make_trial(2, {"recon_loss": 0.5})
    assert visits(search_of(PAUSED, earlier)) == []
    (bars,) = timeline(search_of(PAUSED, earlier)).data
    assert set(bars.y) == {"trial-0000", "trial-0002"}


def test_a_row_is_a_lane_and_a_bar_a_stay() -> None:
    completed, pruned, starting = timeline(search_of(PAUSED, STOPPED)).data
    assert (completed.name, pruned.name, starting.name) == ("completed (1)", "stopped early (1)", "starting")
    assert list(zip(completed.y, completed.base, completed.x, completed.text, strict=True)) == [
        ("lane 1", 12, 5, "0"),
        ("lane 2", 32, 5, "0"),
    ]
    assert list(zip(starting.y, starting.base, starting.x, strict=True)) == [
        ("lane 1", 10, 2),
        ("lane 2", 30, 2),
        ("lane 2", 12, 4),
    ]
    assert completed.hovertext[0] == "<b>trial-0000</b> 7 s<br>starting 2 s<br>training 3 s<br>validation 1 s"


def test_the_caption_says_where_the_time_of_the_lanes_went() -> None:
    assert timeline_caption(search_of(PAUSED, STOPPED)) == (
        "2 trials on 2 lanes in 27 s; the first began 10 s after the search. A trial came back to a lane once. "
        "The time of the lanes: 41% without a trial, 22% training, 15% starting, 15% saving and deciding "
        "and 7% validation."
    )
    unmeasured = trial(0, (Stay("a", 10, 17),), {"epoch": 1, "seconds": 16})
    assert timeline_caption(search_of(unmeasured)) == "1 trial on 1 lane in 7 s; the first began 10 s after the search."
