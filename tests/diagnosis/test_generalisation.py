import pytest

from ndvq_tune.diagnosis.finding import Confidence, Verdict
from ndvq_tune.diagnosis.generalisation import far_above, overfits
from tests.diagnosis.diagnosis_examples import EPOCHS, LOSSES, case_of, only, trial_of

FITTED = [0.5 * 0.85**epoch for epoch in range(EPOCHS)]
"""A training loss that falls to the end."""


def turned(rise: float) -> list[float]:
    """A validation loss that follows training for half of the epochs, and then goes by a share in the other half."""
    half = EPOCHS // 2
    return [*FITTED[:half], *(FITTED[half - 1] * (1 + rise) ** (step / half) for step in range(1, half + 1))]


@pytest.mark.parametrize(("rise", "confidence"), [(0.2, Confidence.HIGH), (0.0, Confidence.MEDIUM)])
def test_training_falls_and_validation_does_not(rise: float, confidence: Confidence) -> None:
    trial = trial_of(losses=turned(rise), fitted=FITTED)
    found = only(overfits(trial, case_of(trial)))
    assert (found.verdict, found.confidence) == (Verdict.OVERFITTED, confidence)
    assert found.evidence.value == pytest.approx((1 + rise) ** (11 / 12) - 1, abs=1e-6)
    assert found.change is not None
    assert found.change.options == "--set model.dropout=0.1"


def test_where_there_is_dropout_a_smaller_model_is_next() -> None:
    trial = trial_of(losses=turned(0.2), fitted=FITTED, settings={"model.dropout": 0.2, "model.n_hiddens": 64})
    found = only(overfits(trial, case_of(trial)))
    assert found.change is not None
    assert found.change.options == "--set model.n_hiddens=32"


@pytest.mark.parametrize(
    ("losses", "fitted"),
    [
        (turned(-0.1), FITTED),  # validation falls, too
        (LOSSES, LOSSES),  # both have levelled off
        (turned(0.2), [2 * loss for loss in turned(0.2)]),  # training is above, as with dropout
        (turned(0.2)[:6], FITTED[:6]),
    ],
)
def test_no_overfitting_where_both_go_alike_or_nothing_shows(losses: list[float], fitted: list[float]) -> None:
    trial = trial_of(losses=losses, fitted=fitted)
    assert not list(overfits(trial, case_of(trial)))


def test_a_gap_that_grows_while_both_fall_is_memory() -> None:
    losses = [0.5 * 0.92**epoch for epoch in range(EPOCHS)]
    trial = trial_of(losses=losses, fitted=FITTED)
    found = only(far_above(trial, case_of(trial)))
    assert found.evidence.value == pytest.approx((0.92 / 0.85) ** 23)
    assert (found.confidence, found.verdict) == (Confidence.LOW, None)
    assert "data.augment" in found.advice


def test_a_gap_that_was_there_from_the_start_is_a_difference_of_the_data() -> None:
    trial = trial_of(losses=[4 * loss for loss in FITTED], fitted=FITTED)
    found = only(far_above(trial, case_of(trial)))
    assert "the test samples are of another kind" in found.sign
    assert found.change is None


@pytest.mark.parametrize("losses", [[2.5 * loss for loss in FITTED], turned(0.2)])
def test_a_small_gap_and_a_validation_loss_that_does_not_fall_are_not_far_above(losses: list[float]) -> None:
    trial = trial_of(losses=losses, fitted=FITTED)
    assert not list(far_above(trial, case_of(trial)))
