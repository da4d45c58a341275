"""A trial in the journal: what Optuna keeps beside its own fields, as the user attributes of its trial.

The one place where a record becomes plain values and comes back from them. Journals of 0.1 are read by the same names.
"""

from collections.abc import Mapping
from typing import Any

from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from ndvq_tune.config import RunConfig
from ndvq_tune.errors import ConfigError
from ndvq_tune.problems import validate
from ndvq_tune.records import Rescue, Role, StopReason, TrialRecord, TrialState, name_of

STATES = {
    OptunaState.COMPLETE: TrialState.COMPLETED,
    OptunaState.PRUNED: TrialState.PRUNED,
    OptunaState.FAIL: TrialState.FAILED,
}
OPTUNA_STATES = {ours: theirs for theirs, ours in STATES.items()}
BEGUN = "started"
"""The attribute that is written last when a trial begins: one without it never began."""


def attributes_of(record: TrialRecord) -> dict[str, Any]:
    """A trial's user attributes, in the order in which they are written; what a trial does not have is left out."""
    origin = None if record.parent is None else {"role": str(record.role), "parent": record.parent}
    checkpoint = None
    if record.checkpoint is not None:
        checkpoint = {"folder": record.checkpoint, "epoch": record.checkpoint_epoch}
    attributes = {
        "origin": origin,
        "params": dict(record.params),
        "config": record.config.to_dict(),
        **{f"report:{int(report['epoch']):06d}": dict(report) for report in record.reports},
        "rescues": [[rescue.epoch, rescue.action] for rescue in record.rescues] or None,
        "checkpoint": checkpoint,
        "stop_reason": record.stop_reason and str(record.stop_reason),
        "error": record.error,
        "ended": record.ended,
        BEGUN: record.started,
    }
    return {name: value for name, value in attributes.items() if value is not None}


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """What to write so that attributes become others: what is gone, as ``None``, before what is new."""
    gone = dict.fromkeys(name for name in before if name not in after)
    return gone | {name: value for name, value in after.items() if before.get(name) != value}


def has_begun(frozen: FrozenTrial) -> bool:
    """Whether this is a trial of the search; Optuna also keeps points that were never trained."""
    return BEGUN in frozen.user_attrs


def record_of(frozen: FrozenTrial) -> TrialRecord:
    """A trial as the journal has it.

    Raises:
        ConfigError: This version does not know a setting of its configuration.
    """
    attributes = {name: value for name, value in frozen.user_attrs.items() if value is not None}
    config, problems = validate(RunConfig, attributes["config"])
    if config is None:
        raise ConfigError(f"{name_of(frozen.number)} in the journal", problems)
    origin, checkpoint = attributes.get("origin", {}), attributes.get("checkpoint", {})
    return TrialRecord(
        number=frozen.number,
        params=attributes["params"],
        config=config,
        state=STATES.get(frozen.state, TrialState.RUNNING),
        reports=tuple(value for name, value in sorted(attributes.items()) if name.startswith("report:")),
        stop_reason=StopReason(attributes["stop_reason"]) if "stop_reason" in attributes else None,
        error=attributes.get("error"),
        checkpoint=checkpoint.get("folder"),
        checkpoint_epoch=checkpoint.get("epoch", 0),
        started=attributes[BEGUN],
        ended=attributes.get("ended"),
        role=Role(origin.get("role", Role.SEARCH)),
        parent=origin.get("parent"),
        rescues=tuple(Rescue(*rescue) for rescue in attributes.get("rescues", ())),
    )
