"""Whether the model is too small for its data, or its code too short: it cannot even fit what it was trained on."""

from collections.abc import Iterator

from ndvq_tune.diagnosis.case import Case, allows, curve
from ndvq_tune.diagnosis.convergence import STILL_FALLING
from ndvq_tune.diagnosis.finding import Change, Confidence, Evidence, Finding
from ndvq_tune.diagnosis.trend import last, trend
from ndvq_tune.records import TrialRecord

HIGH = 0.3
"""Share of the data's variance that is lost: what is fine is gone. In recorded trainings on videos only codes of less
than a tenth of a bit per element lose as much."""


def high_and_flat(trial: TrialRecord, case: Case) -> Iterator[Finding]:
    """A loss that is high, in training as in validation, and does not fall fast enough to mend that."""
    losses, fitted = curve(trial, "recon_loss"), curve(trial, "train_recon_loss")
    found = trend(last(losses, 1 / 3))
    if not fitted or found is None or found.falls(STILL_FALLING) or min(losses[-1], fitted[-1]) < HIGH:
        return
    wider = {"model.n_hiddens": 2 * trial.config.model.n_hiddens}
    untried = all(other.config.model.n_hiddens < wider["model.n_hiddens"] for other in case.tried)
    yield Finding(
        "high_and_flat",
        f"its loss is {losses[-1]:.2g} and hardly falls any more, and {fitted[-1]:.2g} in training",
        Evidence("recon_loss", losses[-1], HIGH, trial.name),
        Confidence.MEDIUM,
        "give it more capacity (n_hiddens, n_res_layers), another learning rate, or more bits "
        "(n_codes, a finer downsample)",
        Change(wider) if untried and allows(trial.config, wider) else None,
    )
