"""How a trial ends, as far as it is up to the trial alone."""

from dataclasses import dataclass
from enum import StrEnum

from ndvq_tune.records import StopReason, TrialRecord, TrialState
from ndvq_tune.search.engine.stopping import diverged, stop_reason
from ndvq_tune.search.space.settings.stopping import StopSettings


class Decision(StrEnum):
    """What becomes of a trial that has reported."""

    CONTINUE = "continue"
    PAUSE = "pause"
    STOP = "stop"


@dataclass(frozen=True)
class Verdict:
    """How a trial ended."""

    state: TrialState
    reason: StopReason | None = None
    error: str | None = None


def verdict_of_rules(record: TrialRecord, settings: StopSettings) -> Verdict | None:
    """The end that a trial's last report means, whatever other trials do: a rule's, or that of its last epoch.

    What follows a search is trained in full, so only divergence stops it.
    """
    if not record.role.searches:
        reason = StopReason.DIVERGED if diverged(record.reports) else None
    else:
        reason = stop_reason(record.reports, settings, record.rescues)
    if reason:
        return Verdict(TrialState.PRUNED, reason)
    if record.metrics["epoch"] >= record.config.training.max_epochs:
        return Verdict(TrialState.COMPLETED)
    return None
