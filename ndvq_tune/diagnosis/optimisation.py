"""Whether training is steady."""

from collections.abc import Iterator
from itertools import pairwise

from ndvq_tune.diagnosis.case import Case, curve
from ndvq_tune.diagnosis.finding import Change, Confidence, Evidence, Finding
from ndvq_tune.diagnosis.trend import last
from ndvq_tune.records import TrialRecord

LEAP = 1.25
"""How many times the loss of the epoch before is a leap, and no noise."""
LEAPS = 2
"""Leaps in the second half, where the learning rate falls. Of 300 recorded trainings on signals 9 have as many; their
loss is 47% above others of their rate, and their learning rate twice the usual."""


def unstable(trial: TrialRecord, case: Case) -> Iterator[Finding]:
    """A validation loss that leaps up again and again."""
    leaps = sum(after > LEAP * before for before, after in pairwise(last(curve(trial, "recon_loss"), 1 / 2)))
    if leaps < LEAPS:
        return
    yield Finding(
        "unstable",
        f"its loss leapt up {leaps} times in the second half of its training",
        Evidence(f"epochs with {LEAP} times the loss of the one before", leaps, LEAPS, trial.name),
        Confidence.MEDIUM,
        "lower the learning rate (adam_learning_rate with muon, too); else raise warmup, beta2 or batch_size",
        Change({"training.learning_rate": float(f"{trial.config.training.learning_rate / 2:.2g}")}),
    )
