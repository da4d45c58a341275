"""Whether the model is worth its training: something plain that is as good, and no larger."""

from collections.abc import Iterator

from ndvq_tune.diagnosis.case import Case
from ndvq_tune.diagnosis.finding import Confidence, Evidence, Finding, Verdict
from ndvq_tune.records import Baseline, TrialRecord

NOTHING = 0.9
"""Reconstruction loss from which on a model shows next to nothing of the data; that of the mean is 1."""


def loses_to_baseline(trial: TrialRecord, case: Case) -> Iterator[Finding]:
    """The strongest baseline that the model is not better than; one that takes more bits proves nothing."""
    if not trial.finite("recon_loss", "bits_per_element"):
        return
    loss, bits = trial.metrics["recon_loss"], trial.metrics["bits_per_element"]
    as_good = [b for b in case.standing.search.baselines if b.recon_loss <= loss and _bits(b) <= bits]
    for best in sorted(as_good, key=lambda baseline: baseline.recon_loss)[:1]:
        yield Finding(
            "loses_to_baseline",
            f"its reconstruction loss is {loss:.3g}, that of {best.name} {best.recon_loss:.3g}",
            Evidence("recon_loss", loss, best.recon_loss, trial.name),
            Confidence.HIGH,
            f"do not use it yet: {best.name} does as well without a model",
            verdict=Verdict.NOT_BETTER,
        )


def next_to_nothing(trial: TrialRecord, case: Case) -> Iterator[Finding]:
    """A model that is hardly better than the mean of the data, which no one has to measure."""
    if trial.metrics.get("recon_loss", 0.0) >= NOTHING:
        yield Finding(
            "next_to_nothing",
            f"its reconstruction loss is {trial.metrics['recon_loss']:.2g}, and that of the mean of the data is 1",
            Evidence("recon_loss", trial.metrics["recon_loss"], NOTHING, trial.name),
            Confidence.HIGH,
            "do not use it yet: it shows next to nothing of the data",
            verdict=Verdict.NOT_BETTER,
        )


def _bits(baseline: Baseline) -> float:
    """What it takes, 0 where nothing is coded: what is only scaled down and up has to be beaten at any rate."""
    return baseline.bits_per_element or 0.0
