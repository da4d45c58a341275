"""Rules that look at one curve of the recommended model: capacity, optimisation, commitment, codebook, baselines."""

import pytest

from ndvq_tune.diagnosis.baselines import loses_to_baseline, next_to_nothing
from ndvq_tune.diagnosis.capacity import high_and_flat
from ndvq_tune.diagnosis.codebook import perplexity_at_ceiling, perplexity_low
from ndvq_tune.diagnosis.commitment import commitment_high, commitment_low, commitment_unstable
from ndvq_tune.diagnosis.finding import Confidence, Verdict
from ndvq_tune.diagnosis.optimisation import unstable
from ndvq_tune.records import Baseline, TrialRecord
from tests.diagnosis.diagnosis_examples import EPOCHS, LOSSES, case_of, only, trial_of

FALLING = [0.9 * 0.9**epoch for epoch in range(EPOCHS)]


def options(found) -> str | None:
    return found.change and found.change.options


def test_a_loss_that_stays_high_in_training_too_asks_for_capacity() -> None:
    trial = trial_of(losses=[0.4 + loss for loss in LOSSES])
    found = only(high_and_flat(trial, case_of(trial)))
    assert found.evidence.value == pytest.approx(0.45, abs=0.001)
    assert options(found) == "--set model.n_hiddens=64"


def test_where_wider_models_were_no_better_no_width_is_proposed() -> None:
    trial = trial_of(losses=[0.4 + loss for loss in LOSSES])
    wider = trial_of(1, [0.5 + loss for loss in LOSSES], settings={"model.n_hiddens": 64})
    assert only(high_and_flat(trial, case_of(trial, wider))).change is None


@pytest.mark.parametrize(
    "trial",
    [
        trial_of(),
        trial_of(losses=[0.3 + loss for loss in FALLING]),
        trial_of(losses=[0.4 + loss for loss in LOSSES], fitted=[0.1] * EPOCHS),  # it has fitted what it was shown
    ],
)
def test_a_low_or_falling_loss_or_one_that_training_does_not_share_is_no_lack_of_capacity(trial: TrialRecord) -> None:
    assert not list(high_and_flat(trial, case_of(trial)))


def leaping(*epochs: int, factor: float = 1.4) -> list[float]:
    """A loss that is levelled off, but for single epochs, counted from 1."""
    return [loss * (factor if epoch in epochs else 1) for epoch, loss in enumerate(LOSSES, start=1)]


def test_a_loss_that_leaps_again_and_again_asks_for_a_lower_learning_rate() -> None:
    trial = trial_of(losses=leaping(15, 20), settings={"training.learning_rate": 0.1})
    found = only(unstable(trial, case_of(trial)))
    assert (found.evidence.value, found.evidence.threshold) == (2, 2)
    assert options(found) == "--set training.learning_rate=0.05"


@pytest.mark.parametrize("losses", [leaping(15), leaping(3, 5), leaping(15, 20, factor=1.2), [0.5]])
def test_one_leap_early_ones_and_small_ones_are_no_instability(losses: list[float]) -> None:
    trial = trial_of(losses=losses)
    assert not list(unstable(trial, case_of(trial)))


def test_commitment_that_outweighs_a_flat_loss_is_too_high() -> None:
    trial = trial_of(curves={"commitment_loss": [0.8 * loss for loss in LOSSES]}, settings={"model.codebook_beta": 1.0})
    found = only(commitment_high(trial, case_of(trial)))
    assert found.evidence.value == pytest.approx(0.8)
    assert options(found) == "--set model.codebook_beta=0.25"


@pytest.mark.parametrize(
    "trial",
    [
        trial_of(losses=FALLING, curves={"commitment_loss": [0.8 * loss for loss in FALLING]}),
        trial_of(curves={"commitment_loss": [0.4 * loss for loss in LOSSES]}),
        trial_of(
            curves={"commitment_loss": [0.8 * loss for loss in LOSSES]},
            settings={"training.loss.recon_loss_factor": 2.0},
        ),
        trial_of(curves={"commitment_loss": [0.0] * EPOCHS}),
    ],
)
def test_commitment_beside_a_falling_or_a_heavier_loss_is_not_too_high(trial: TrialRecord) -> None:
    assert not list(commitment_high(trial, case_of(trial)))


def test_commitment_that_grows_while_the_loss_is_flat_is_too_low() -> None:
    growing = [0.001 * 1.1**epoch for epoch in range(EPOCHS)]
    trial = trial_of(curves={"commitment_loss": growing}, settings={"model.codebook_beta": 0.1})
    found = only(commitment_low(trial, case_of(trial)))
    assert found.evidence.value == pytest.approx(1.1**15)
    assert options(found) == "--set model.codebook_beta=0.4"
    slower = trial_of(curves={"commitment_loss": [0.001 * 1.03**epoch for epoch in range(EPOCHS)]})
    assert not list(commitment_low(slower, case_of(slower)))
    falling = trial_of(losses=FALLING, curves={"commitment_loss": growing})
    assert not list(commitment_low(falling, case_of(falling)))


@pytest.mark.parametrize(("epochs", "fires"), [((12, 18), True), ((12,), False), ((2, 5), False)])
def test_commitment_that_leaps_is_unstable(epochs: tuple[int, ...], fires: bool) -> None:
    values = [
        0.01 * (1 if epoch < epochs[0] else 3 if len(epochs) < 2 or epoch < epochs[1] else 9) for epoch in range(EPOCHS)
    ]
    trial = trial_of(curves={"commitment_loss": values})
    assert bool(list(commitment_unstable(trial, case_of(trial)))) is fires


def with_perplexity(perplexity: float, **settings) -> TrialRecord:
    video = {"data.clip_length": 8, "data.resolution": 64}
    return trial_of(curves={"perplexity": [perplexity] * EPOCHS}, settings={"model.n_codes": 512, **video, **settings})


def test_codes_that_are_hardly_used_become_fewer() -> None:
    trial = with_perplexity(20)
    found = only(perplexity_low(trial, case_of(trial)))
    assert found.evidence.value == pytest.approx(20 / 512)
    assert (found.confidence, options(found)) == (Confidence.MEDIUM, "--set model.n_codes=64")


def test_where_nothing_revives_codes_restarts_come_first() -> None:
    trial = with_perplexity(20, **{"model.quantizer.restart_threshold": 0.0})
    assert options(only(perplexity_low(trial, case_of(trial)))) == "--set model.quantizer.restart_threshold=0.03"


def test_codes_in_use_and_too_few_test_codes_to_tell_are_not_low() -> None:
    trial = with_perplexity(60)
    assert not list(perplexity_low(trial, case_of(trial)))
    few = with_perplexity(20, **{"data.clip_length": 2, "data.resolution": 8})  # 11 samples of 1 x 2 x 2 positions
    assert not list(perplexity_low(few, case_of(few)))


def test_codes_in_even_use_ask_for_more_of_them_unless_more_were_tried() -> None:
    trial = with_perplexity(450)
    assert options(only(perplexity_at_ceiling(trial, case_of(trial)))) == "--set model.n_codes=1024"
    more = trial_of(1, [2 * loss for loss in LOSSES], settings={"model.n_codes": 1024})
    assert not list(perplexity_at_ceiling(trial, case_of(trial, more)))
    below = with_perplexity(430)
    assert not list(perplexity_at_ceiling(below, case_of(below)))


MEAN, BICUBIC, CODEC = Baseline("mean", 0.045), Baseline("bicubic", 0.04), Baseline("JPEG", 0.03, 0.2)


def test_the_strongest_plain_baseline_is_named() -> None:
    trial = trial_of()
    found = only(loses_to_baseline(trial, case_of(trial, baselines=(MEAN, BICUBIC, CODEC))))
    assert found.sign == "its reconstruction loss is 0.05, that of bicubic 0.04"
    assert (found.verdict, found.confidence) == (Verdict.NOT_BETTER, Confidence.HIGH)


@pytest.mark.parametrize("baselines", [(), (CODEC,), (Baseline("bicubic", 0.051),)])
def test_a_model_need_not_beat_codecs(baselines: tuple[Baseline, ...]) -> None:
    trial = trial_of()
    assert not list(loses_to_baseline(trial, case_of(trial, baselines=baselines)))


@pytest.mark.parametrize(("loss", "fires"), [(0.93, True), (0.85, False)])
def test_what_is_hardly_better_than_the_mean_shows_nothing(loss: float, fires: bool) -> None:
    trial = trial_of(losses=[loss] * EPOCHS)
    assert bool(list(next_to_nothing(trial, case_of(trial)))) is fires
