from dataclasses import replace

import pytest

from ndvq_tune.diagnosis.convergence import still_falling, stopped_early
from ndvq_tune.diagnosis.finding import Confidence, Start, Verdict
from ndvq_tune.diagnosis.rules import diagnose
from ndvq_tune.records import Role, StopReason, TrialState
from tests.diagnosis.diagnosis_examples import ASKED, LOSSES, case_of, only, trial_of


def falling(share: float, epochs: int = 24) -> list[float]:
    """A loss that falls by a share over the last third of its epochs, and as fast before."""
    steps = round(epochs / 3) - 1
    return [0.5 * (1 - share) ** (epoch / steps) for epoch in range(epochs)]


def test_a_loss_that_still_falls_is_unfinished_and_gets_twice_the_epochs() -> None:
    trial = trial_of(losses=falling(0.15))
    found = only(still_falling(trial, case_of(trial)))
    assert found.sign == "its loss still fell by 15% over the last 8 epochs"
    assert (found.evidence.trial, found.evidence.threshold) == ("trial-0000", 0.1)
    assert found.evidence.value == pytest.approx(0.15)
    assert (found.confidence, found.verdict) == (Confidence.MEDIUM, Verdict.UNFINISHED)
    assert found.change is not None
    assert (found.change.start, found.change.settings) == (Start.TRAIN, {"training.max_epochs": 48})


@pytest.mark.parametrize("losses", [falling(0.08), LOSSES, falling(-0.2)])
def test_a_loss_that_has_levelled_off_or_rises_is_not_still_falling(losses: list[float]) -> None:
    trial = trial_of(losses=losses)
    assert not list(still_falling(trial, case_of(trial)))


def test_a_fall_within_the_noise_is_none() -> None:
    noisy = [loss * (1.4 if epoch % 2 else 0.7) for epoch, loss in enumerate(falling(0.15))]
    trial = trial_of(losses=noisy)
    assert not list(still_falling(trial, case_of(trial)))


def test_of_four_epochs_it_is_a_hint() -> None:
    trial = trial_of(losses=[0.9, 0.5, 0.3, 0.2])
    assert only(still_falling(trial, case_of(trial))).confidence is Confidence.LOW


def test_two_epochs_do_not_show_where_a_loss_goes() -> None:
    trial = trial_of(losses=[0.5, 0.5])
    found = only(still_falling(trial, case_of(trial)))
    assert (found.evidence.value, found.evidence.threshold, found.verdict) == (2, 3, Verdict.UNFINISHED)


@pytest.mark.parametrize(
    ("reason", "start"),
    [
        (StopReason.SCHEDULER, Start.RESUME),
        (StopReason.TIME_BUDGET, Start.RESUME),
        (StopReason.COLLAPSE, Start.TRAIN),
        (StopReason.TRIAL_TIME, Start.TRAIN),
    ],
)
def test_a_trial_that_was_cut_short_is_unfinished(reason: StopReason, start: Start) -> None:
    """The search finishes it when it goes on, unless it has a reason not to."""
    trial = trial_of(losses=falling(0.15)[:9], state=TrialState.PRUNED, stop_reason=reason)
    found = only(stopped_early(trial, case_of(trial)))
    assert found.sign == "it has had 9 of its 24 epochs"
    assert (found.verdict, found.change and found.change.start) == (Verdict.UNFINISHED, start)
    assert not list(still_falling(trial, case_of(trial)))


def test_a_trial_that_was_trained_to_its_end_is_seen_from_its_beginning() -> None:
    stopped = trial_of(0, LOSSES[:8], state=TrialState.PRUNED, stop_reason=StopReason.SCHEDULER)
    whole = trial_of(1)
    finish = replace(whole, role=Role.FINISH, parent=0, reports=whole.reports[8:])
    diagnosis = diagnose(case_of(stopped, finish).standing, ASKED)
    assert diagnosis.verdict is Verdict.READY
    assert diagnose(case_of(stopped).standing, ASKED).verdict is Verdict.UNFINISHED


def test_a_trial_that_made_no_more_progress_or_was_completed_was_not_cut_short() -> None:
    plateau = trial_of(losses=LOSSES[:20], state=TrialState.PRUNED, stop_reason=StopReason.PLATEAU)
    assert not list(stopped_early(plateau, case_of(plateau)))
    assert not list(stopped_early(trial_of(), case_of(trial_of())))
