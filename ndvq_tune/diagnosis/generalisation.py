"""Whether the model has learned its data, or only its training samples."""

from collections.abc import Iterator
from statistics import median

from ndvq_tune.diagnosis.case import Case, allows, curve
from ndvq_tune.diagnosis.finding import Change, Confidence, Evidence, Finding, Verdict
from ndvq_tune.diagnosis.trend import last, trend
from ndvq_tune.records import TrialRecord

FALLING = 0.1
"""Share that the training loss falls by while the validation loss does not; nearly all recorded ones fall as much."""
LEVEL = 0.01
"""Share by which a validation loss that falls less does not fall: the progress that the plateau rule asks for, too."""
RISING = 0.05
"""Share by which a validation loss that rises more has left its noise."""
ABOVE = 1.25
"""Validation over training loss from which on samples are remembered; below, dropout and fresh weights explain it."""
FAR_ABOVE = 3.0
"""The same where both still fall. A hint: recorded trainings that end so are no worse than others at their rate."""
GROWN = 1.5
"""How much that has grown since the first third; what was there from the start is a difference of the data."""
_WINDOWS = (1 / 2, 1 / 3)  # of the epochs: overfitting may come late
_FEWEST = 4  # epochs of these


def overfits(trial: TrialRecord, case: Case) -> Iterator[Finding]:
    """Training falls, and validation does not."""
    losses, fitted = curve(trial, "recon_loss"), curve(trial, "train_recon_loss")
    if len(losses) != len(fitted) or not losses or losses[-1] < ABOVE * fitted[-1]:
        return
    for share in _WINDOWS:
        late = last(losses, share)
        own, training = trend(late), trend(last(fitted, share))
        if own is None or training is None or len(late) < _FEWEST:
            return
        if training.falls(FALLING) and own.change > -LEVEL:
            way = f"rose by {own.change:.0%}" if own.rises(RISING) else "did not fall"
            yield Finding(
                "overfits",
                f"over the last {len(late)} epochs training loss fell by {-training.change:.0%}, validation loss {way}",
                Evidence("change of recon_loss while train_recon_loss falls", own.change, -LEVEL, trial.name),
                Confidence.HIGH if own.rises(RISING) else Confidence.MEDIUM,
                "more data or data.augment; else dropout, fewer n_hiddens, fewer epochs, or a smaller batch_size",
                _against_memory(trial),
                Verdict.OVERFITTED,
            )
            return


def far_above(trial: TrialRecord, case: Case) -> Iterator[Finding]:
    """Both fall, and validation is far above: by memory if the distance has grown, else by different data."""
    losses, fitted = curve(trial, "recon_loss"), curve(trial, "train_recon_loss")
    if len(losses) != len(fitted) or len(losses) < 2 * _FEWEST:
        return
    gaps = [loss / own for loss, own in zip(losses, fitted, strict=True)]
    both = (trend(last(values, 1 / 2)) for values in (losses, fitted))
    if gaps[-1] < FAR_ABOVE or not all(found is not None and found.falls(LEVEL) for found in both):
        return
    memory = gaps[-1] > GROWN * median(gaps[: len(gaps) // 3])
    yield Finding(
        "far_above",
        f"validation loss is {gaps[-1]:.2g} times training loss"
        + ("" if memory else ", and has been from the start: the test samples are of another kind"),
        Evidence("recon_loss over train_recon_loss", gaps[-1], FAR_ABOVE, trial.name),
        Confidence.LOW,
        "more data or data.augment would help most; else dropout"
        if memory
        else "take training and test samples from the same source, for example with data.split",
        _against_memory(trial) if memory else None,
    )


def _against_memory(trial: TrialRecord) -> Change | None:
    """Dropout where there is none yet, else half of the channels."""
    model = trial.config.model
    settings = {"model.dropout": 0.1} if model.dropout < 0.1 else {"model.n_hiddens": model.n_hiddens // 2}
    return Change(settings) if allows(trial.config, settings) else None
