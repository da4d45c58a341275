"""Whether the model is worth its training: something plain that is as good, and no larger."""

from collections.abc import Iterator

from ndvq_tune.diagnosis.case import Case
from ndvq_tune.diagnosis.finding import Confidence, Evidence, Finding, Verdict
from ndvq_tune.records import Baseline, TrialRecord

MEAN = Baseline("the mean of the data", 1.0)
"""What ``recon_loss`` is measured against, so that no one has to measure it."""
HARDLY = 0.9
"""Share of that loss: what explains less than a tenth of the variance shows nothing of the data."""


def loses_to_baseline(trial: TrialRecord, case: Case) -> Iterator[Finding]:
    """The strongest baseline that the model is not better than, or the mean; one of more bits proves nothing."""
    metrics = trial.metrics
    if not trial.finite("recon_loss", "bits_per_element"):
        return
    as_good = [
        baseline
        for baseline in case.standing.search.baselines
        if baseline.recon_loss <= metrics["recon_loss"] and _bits(baseline) <= metrics["bits_per_element"]
    ]
    if not as_good and metrics["recon_loss"] >= HARDLY * MEAN.recon_loss:
        as_good = [MEAN]
    if as_good:
        best = min(as_good, key=lambda baseline: baseline.recon_loss)
        yield Finding(
            "loses_to_baseline",
            f"its reconstruction loss is {metrics['recon_loss']:.3g}, that of {best.name} {best.recon_loss:.3g}",
            Evidence("recon_loss", metrics["recon_loss"], best.recon_loss, trial.name),
            Confidence.HIGH,
            f"do not use it yet: {best.name} does as well without a model; see what else was found",
            verdict=Verdict.NOT_BETTER,
        )


def _bits(baseline: Baseline) -> float:
    """What it takes, 0 where nothing is coded: what is only scaled down and up has to be beaten at any rate."""
    return baseline.bits_per_element or 0.0
