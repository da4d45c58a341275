"""Which trials are trained to their end once the search is over, and how long that takes. Pure functions."""

from ndvq_tune.judgement.standing import Standing
from ndvq_tune.records import Role, TrialRecord

MARGIN = 1.2  # of the time that is expected
MOST = 0.5  # of a time budget


def to_finish(standing: Standing, top: int) -> TrialRecord | None:
    """The recommended trial that was stopped early and is to be trained to its end next; None if there is none.

    Args:
        standing: The search.
        top: How many of the recommended trials are to be trained to their end.
    """
    begun = {trial.parent for trial in standing.search.trials if trial.role is Role.FINISH}
    stopped = (trial for trial in standing.recommended[:top] if trial.stop_reason and trial.stop_reason.leaves_off)
    return next((trial for trial in stopped if trial.checkpoint is not None and trial.number not in begun), None)


def seconds_to_end(trial: TrialRecord, budget: float) -> float:
    """Seconds of a time budget that are kept free to train a trial to its end, by the pace that it had.

    Args:
        trial: The trial.
        budget: Seconds of the whole session; no more than half of it is kept.
    """
    epochs = trial.config.training.max_epochs - trial.metrics["epoch"]
    pace = trial.metrics.get("training_seconds", 0.0) / trial.metrics["epoch"]
    return min(MARGIN * pace * epochs, MOST * budget)
