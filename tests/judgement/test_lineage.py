from dataclasses import replace

import pytest

from ndvq_tune.judgement.lineage import origin, representatives, whole
from ndvq_tune.judgement.standing import Standing
from ndvq_tune.records import Role, SearchRecord, StopReason, TrialRecord, TrialState
from tests.report.report_examples import goals, make_trial

GOALS = goals("recon_loss")


def trial(number: int, *losses: float, first: int = 1, **changes: object) -> TrialRecord:
    reports = tuple(
        {"epoch": epoch, "seconds": 1.0, "recon_loss": loss} for epoch, loss in enumerate(losses, start=first)
    )
    return replace(make_trial(number, reports=reports), checkpoint_epoch=first + len(losses) - 1, **changes)


STOPPED = trial(0, 0.5, 0.4, state=TrialState.PRUNED, stop_reason=StopReason.TIME_BUDGET)
OTHER = trial(1, 0.6, 0.45)
FURTHER = trial(
    2, 0.3, first=3, role=Role.FINISH, parent=0, state=TrialState.PRUNED, stop_reason=StopReason.TIME_BUDGET
)
END = trial(3, 0.2, 0.1, first=4, role=Role.FINISH, parent=2)


def test_the_origin_of_what_goes_on_again_and_again_is_the_first():
    trials = {one.number: one for one in (STOPPED, OTHER, FURTHER, END)}
    assert [origin(one, trials) for one in trials.values()] == [0, 1, 0, 0]


@pytest.mark.parametrize(("loss", "number"), [(0.1, 3), (0.3, 3), (0.31, 2)])
def test_the_best_of_what_a_trial_became_stands_for_it_and_of_equals_the_last(loss, number):
    end = trial(3, 0.2, loss, first=4, role=Role.FINISH, parent=2)
    found = representatives((STOPPED, OTHER, FURTHER, end), GOALS)
    assert {first: one.number for first, one in found.items()} == {0: number, 1: 1}


@pytest.mark.parametrize(
    "end",
    [
        replace(END, state=TrialState.FAILED, error="lost"),
        replace(END, state=TrialState.PRUNED, stop_reason=StopReason.DIVERGED),
        replace(END, reports=(), checkpoint=STOPPED.checkpoint, state=TrialState.RUNNING),
    ],
    ids=["failed", "diverged", "has not reported yet"],
)
def test_an_end_that_came_to_nothing_leaves_the_trial_as_it_was(end):
    assert representatives((STOPPED, replace(end, parent=0)), GOALS)[0].number == 0


def test_repetitions_stand_for_no_one():
    repetition = trial(4, 0.01, role=Role.CONFIRM, parent=0)
    assert 4 not in representatives((STOPPED, repetition), GOALS)


def test_the_whole_training_has_each_epoch_once():
    trials = (STOPPED, OTHER, FURTHER, END)
    assert [one["recon_loss"] for one in whole(END, trials).reports] == [0.5, 0.4, 0.3, 0.2, 0.1]
    assert whole(OTHER, trials) == OTHER
    again = replace(FURTHER, reports=({"epoch": 2, "seconds": 1.0, "recon_loss": 0.35}, *FURTHER.reports))
    assert [one["recon_loss"] for one in whole(again, trials).reports] == [0.5, 0.35, 0.3]


def test_only_a_trial_whose_weights_are_there_is_recommended():
    gone = replace(END, parent=0, checkpoint=None)
    standing = Standing(SearchRecord("s", (OTHER, STOPPED, gone), GOALS))
    assert [one.number for one in standing.ranked] == [3, 1]
    assert standing.best is not None
    assert (standing.best.number, [one.number for one in standing.front]) == (1, [1])
