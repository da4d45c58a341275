"""Whether the model is worth its training: something plain that is as good."""

from collections.abc import Iterator

from ndvq_tune.diagnosis.case import Case
from ndvq_tune.diagnosis.finding import Confidence, Evidence, Finding, Verdict
from ndvq_tune.records import TrialRecord

NOTHING = 0.9
"""Reconstruction loss from which on a model shows next to nothing of the data; that of the mean is 1."""

_ROUNDED = 1e-6  # of bits that are the same
_SEVERAL = 2.0  # of which people say how many times


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


def beside(trial: TrialRecord, case: Case) -> str:
    """How its loss compares with that of the best plain method, and of the best codec at its bits; empty without any.

    A loss that has levelled off may still leave much of the data out, which such a measure tells better than a number.
    """
    if not trial.finite("recon_loss", "bits_per_element"):
        return ""
    loss, bits = trial.result["recon_loss"], trial.result["bits_per_element"]
    baselines = case.standing.search.baselines
    plain = [(b.recon_loss, b.name) for b in baselines if b.bits_per_element is None]
    codecs = [
        (b.recon_loss, f"{b.name} at as many bits")
        for b in baselines
        if b.bits_per_element is not None and b.bits_per_element <= bits * (1 + _ROUNDED)
    ]
    best = [min(found) for found in (plain, codecs) if found]
    return " and ".join(f"{_times(loss / other)} that of {name}" for other, name in best if other > 0)


def _times(ratio: float) -> str:
    """How much a loss is of another one.

    Example:
        >>> _times(0.63), _times(1.12), _times(3.04)
        ('37% below', '12% above', '3.0 times')
    """
    if ratio >= _SEVERAL:
        return f"{ratio:.1f} times"
    return f"{abs(ratio - 1):.0%} {'below' if ratio < 1 else 'above'}"
