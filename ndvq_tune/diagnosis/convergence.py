"""Whether the model has been trained to its end, and whether more epochs would bring more."""

from collections.abc import Iterator

from ndvq_tune.diagnosis.case import Case, curve
from ndvq_tune.diagnosis.finding import Change, Confidence, Evidence, Finding, Start, Verdict
from ndvq_tune.diagnosis.trend import FEWEST, last, trend
from ndvq_tune.quantities import count_text
from ndvq_tune.records import StopReason, TrialRecord, TrialState

STILL_FALLING = 0.1
"""Share that a loss falls by in the last third of its epochs: a third more would bring about as much, which shows.

Of 216 recorded trainings on videos with a cosine schedule none falls so much (the median is 0.04).
"""
SHOWS = 3 * (FEWEST + 1)
"""Epochs of which the last third shows where a loss goes."""


def stopped_early(trial: TrialRecord, case: Case) -> Iterator[Finding]:
    """A model whose training was cut short; one that made no more progress is done."""
    if trial.state is TrialState.COMPLETED or trial.stop_reason is StopReason.PLATEAU:
        return
    epochs, planned = trial.metrics["epoch"], trial.config.training.max_epochs
    yield Finding(
        "stopped_early",
        f"it has had {epochs:.0f} of its {planned} epochs",
        Evidence("epoch", epochs, planned, trial.name),
        Confidence.HIGH,
        "train it to its end",
        _to_its_end(trial),
        Verdict.UNFINISHED,
    )


def _to_its_end(trial: TrialRecord) -> Change:
    """The search does so when it goes on, unless a bound ended the trial."""
    leaves_off = trial.stop_reason is not None and trial.stop_reason.leaves_off
    return Change({"search.finish": {"top": 1}}, Start.RESUME) if leaves_off else Change(start=Start.TRAIN)


def still_falling(trial: TrialRecord, case: Case) -> Iterator[Finding]:
    """A loss that falls at the last epoch, or has had too few epochs to show where it goes."""
    losses = curve(trial, "recon_loss")
    if not losses or trial.state is not TrialState.COMPLETED:
        return
    late, epochs = last(losses, 1 / 3), max(2 * len(trial.reports), SHOWS)
    longer = Change({"training.max_epochs": epochs}, Start.TRAIN)
    found = trend(late)
    if found is None:
        yield Finding(
            "still_falling",
            f"it has been trained for {count_text(len(losses), 'epoch')}, too few to see where its loss goes",
            Evidence("epochs", len(losses), FEWEST, trial.name),
            Confidence.LOW,
            "train it for longer",
            longer,
            Verdict.UNFINISHED,
        )
    elif found.falls(STILL_FALLING):
        yield Finding(
            "still_falling",
            f"its loss still fell by {-found.change:.0%} over the last {len(late)} epochs",
            Evidence("fall of recon_loss in the last third", -found.change, STILL_FALLING, trial.name),
            Confidence.MEDIUM if len(late) > FEWEST else Confidence.LOW,
            "train it for longer",
            longer,
            Verdict.UNFINISHED,
        )
