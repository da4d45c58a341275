"""Whether latents and codes hold together: the commitment loss beside the reconstruction loss."""

from collections.abc import Iterator
from itertools import pairwise

from ndvq_tune.diagnosis.case import Case, curve
from ndvq_tune.diagnosis.finding import Change, Confidence, Evidence, Finding
from ndvq_tune.diagnosis.generalisation import LEVEL
from ndvq_tune.diagnosis.trend import last, trend
from ndvq_tune.records import TrialRecord

HEAVY = 0.5
"""Commitment over reconstruction loss, both as they are weighted, where the loss no longer falls. Alone it is no sign:
recorded trainings with more are better than others. The 5 of 300 whose loss is flat as well have 37% more of it."""
GROWN = 2.0
"""How many times the commitment loss of the first third is a drift apart; recorded trainings reach 1.7."""
LEAP, LEAPS = 2.0, 2
"""Factor between two epochs, and how often it has to come; no recorded training leaps twice."""
_STEP = 4  # what beta is divided or multiplied by, as for `lower_beta`


def commitment_high(trial: TrialRecord, case: Case) -> Iterator[Finding]:
    """Latents are held to their codes more than they are let describe the data."""
    losses, commitment = curve(trial, "recon_loss"), curve(trial, "commitment_loss")
    found = trend(last(losses, 1 / 3))
    if found is None or not commitment or found.change < -2 * LEVEL:
        return
    share = commitment[-1] / (trial.config.training.loss.recon_loss_factor * losses[-1])
    if share > HEAVY:
        yield Finding(
            "commitment_high",
            f"its commitment loss is {share:.0%} of the weighted reconstruction loss, which no longer falls",
            Evidence("commitment_loss over weighted recon_loss", share, HEAVY, trial.name),
            Confidence.MEDIUM,
            "lower codebook_beta, or raise training.loss.recon_loss_factor",
            _times(trial, 1 / _STEP),
        )


def commitment_low(trial: TrialRecord, case: Case) -> Iterator[Finding]:
    """Latents drift away from their codes."""
    losses, commitment = curve(trial, "recon_loss"), curve(trial, "commitment_loss")
    found, drift = trend(last(losses, 1 / 3)), trend(last(commitment, 2 / 3))
    if found is None or drift is None or found.change < -2 * LEVEL:
        return
    if drift.rises(GROWN - 1):
        yield Finding(
            "commitment_low",
            f"its commitment loss grew {1 + drift.change:.2g} times since the first third; its loss no longer falls",
            Evidence("growth of commitment_loss", 1 + drift.change, GROWN, trial.name),
            Confidence.MEDIUM,
            "raise codebook_beta, or lower training.loss.recon_loss_factor",
            _times(trial, _STEP),
        )


def commitment_unstable(trial: TrialRecord, case: Case) -> Iterator[Finding]:
    """The commitment loss leaps."""
    pairs = pairwise(last(curve(trial, "commitment_loss"), 2 / 3))
    leaps = sum(not 1 / LEAP <= after / before <= LEAP for before, after in pairs)
    if leaps >= LEAPS:
        yield Finding(
            "commitment_unstable",
            f"its commitment loss leapt {leaps} times to less than half or more than double",
            Evidence(
                f"epochs with {LEAP} times the commitment_loss of the one before, or less", leaps, LEAPS, trial.name
            ),
            Confidence.MEDIUM,
            "lower the learning rate, or raise ema_decay so that codes move less at a time",
            Change({"training.learning_rate": float(f"{trial.config.training.learning_rate / 2:.2g}")}),
        )


def _times(trial: TrialRecord, factor: float) -> Change | None:
    beta = trial.config.model.codebook_beta
    return Change({"model.codebook_beta": float(f"{factor * beta:.2g}")}) if beta else None
