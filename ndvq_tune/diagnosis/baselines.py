"""Whether the model is worth its training: something plain that is as good."""

from collections.abc import Iterator

from ndvq_tune.diagnosis.case import Case
from ndvq_tune.diagnosis.finding import Confidence, Evidence, Finding, Verdict
from ndvq_tune.records import TrialRecord

NOTHING = 0.9
"""Reconstruction loss from which on a model shows next to nothing of the data; that of the mean is 1."""


def loses_to_baseline(trial: TrialRecord, case: Case) -> Iterator[Finding]:
    """The mean or interpolation, if the model is no better.

    Codecs are no sign: a tokenizer is made for tokens that another model learns from, not to win by squared error.
    """
    if not trial.finite("recon_loss"):
        return
    loss, plain = trial.result["recon_loss"], (b for b in case.standing.search.baselines if b.bits_per_element is None)
    as_good = [baseline for baseline in plain if baseline.recon_loss <= loss]
    for best in sorted(as_good, key=lambda baseline: baseline.recon_loss)[:1]:
        yield Finding(
            "loses_to_baseline",
            f"its reconstruction loss is {loss:.3g}, that of {best.name} {best.recon_loss:.3g}",
            Evidence("recon_loss", loss, best.recon_loss, trial.name),
            Confidence.HIGH,
            f"do not use it yet: {best.name} does as well or better without a model",
            verdict=Verdict.NOT_BETTER,
        )


def next_to_nothing(trial: TrialRecord, case: Case) -> Iterator[Finding]:
    """A model that is hardly better than the mean of the data, which no one has to measure."""
    if trial.result.get("recon_loss", 0.0) >= NOTHING:
        yield Finding(
            "next_to_nothing",
            f"its reconstruction loss is {trial.result['recon_loss']:.2g}, and that of the mean of the data is 1",
            Evidence("recon_loss", trial.result["recon_loss"], NOTHING, trial.name),
            Confidence.HIGH,
            "do not use it yet: it shows next to nothing of the data",
            verdict=Verdict.NOT_BETTER,
        )
