"""A trial in the journal: what Optuna keeps beside its own fields, as the user attributes of its trial.

The one place where a record becomes plain values and comes back from them. Journals of 0.1 are read by the same names.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from optuna.trial import FrozenTrial, create_trial
from optuna.trial import TrialState as OptunaState

from ndvq_tune.config import RunConfig
from ndvq_tune.config.run import as_kept
from ndvq_tune.distributions import label
from ndvq_tune.errors import ConfigError
from ndvq_tune.goals import Report
from ndvq_tune.problems import validate
from ndvq_tune.records import Rescue, Role, Stay, StopReason, TrialRecord, TrialState, name_of
from ndvq_tune.search.engine.optuna_space import optuna_distribution
from ndvq_tune.search.space import SearchSpace

STATES = {
    OptunaState.COMPLETE: TrialState.COMPLETED,
    OptunaState.PRUNED: TrialState.PRUNED,
    OptunaState.FAIL: TrialState.FAILED,
}
OPTUNA_STATES = {ours: theirs for theirs, ours in STATES.items()}
BEGUN = "started"
"""The attribute that is written last when a trial begins: one without it never began."""
REJECTED, KNOWN = "rejected", "known"
"""The attributes of points that are no trials of the search: what ruled one out; the trial of another search."""

_ATTRIBUTES: dict[str, tuple[tuple[str, ...], Callable[[TrialRecord], Any]]] = {
    "number": (("number",), lambda record: record.number),
    "origin": (
        ("parent", "role"),
        lambda record: None if record.parent is None else {"role": str(record.role), "parent": record.parent},
    ),
    "params": (("params",), lambda record: dict(record.params)),
    "config": (("config",), lambda record: record.config.to_dict()),
    "rescues": (("rescues",), lambda record: [[rescue.epoch, rescue.action] for rescue in record.rescues] or None),
    "stays": (("stays",), lambda record: [[stay.lane, stay.begun, stay.ended] for stay in record.stays] or None),
    "checkpoint": (
        ("checkpoint", "checkpoint_epoch"),
        lambda record: record.checkpoint and {"folder": record.checkpoint, "epoch": record.checkpoint_epoch},
    ),
    "best": (
        ("best_checkpoint", "best_epoch"),
        lambda record: record.best_checkpoint and {"folder": record.best_checkpoint, "epoch": record.best_epoch},
    ),
    "stop_reason": (("stop_reason",), lambda record: record.stop_reason and str(record.stop_reason)),
    "error": (("error",), lambda record: record.error),
    "ended": (("ended",), lambda record: record.ended),
    BEGUN: (("started",), lambda record: record.started),
}
"""Each attribute beside the reports, in the order of writing: the fields that it is made from, and how."""


def changes(before: TrialRecord | None, record: TrialRecord) -> dict[str, Any]:
    """The attributes to write when a trial becomes another record; ``None`` for what it no longer has.

    What is gone comes first: a driver that is killed in between leaves a trial with less, never with reports of two
    lives.

    Args:
        before: The trial as the journal has it; None for one that begins.
        record: The trial as it is now.
    """
    known = {} if before is None else {_report_name(report): report for report in before.reports}
    reports = {_report_name(report): report for report in record.reports}
    found: dict[str, Any] = dict.fromkeys(name for name in known if name not in reports)
    found |= {name: dict(report) for name, report in reports.items() if known.get(name) is not report}
    for name, (fields, encoded) in _ATTRIBUTES.items():
        if before is None:
            value = encoded(record)
            found |= {} if value is None else {name: value}
        elif any(getattr(before, field) is not getattr(record, field) for field in fields):
            found[name] = encoded(record)
    return found


def _report_name(report: Report) -> str:
    return f"report:{int(report['epoch']):06d}"


def has_begun(frozen: FrozenTrial) -> bool:
    """Whether this is a trial of the search; Optuna also keeps points that were never trained."""
    return BEGUN in frozen.user_attrs


def record_of(frozen: FrozenTrial) -> TrialRecord:
    """A trial as the journal has it.

    Raises:
        ConfigError: This version does not know a setting of its configuration.
    """
    attributes = {name: value for name, value in frozen.user_attrs.items() if value is not None}
    config, problems = validate(RunConfig, as_kept(attributes["config"]))
    number = attributes.get("number", frozen.number)  # of Optuna's trial in journals of 0.1
    if config is None:
        raise ConfigError(f"{name_of(number)} in the journal", problems)
    origin, checkpoint, best = (attributes.get(name, {}) for name in ("origin", "checkpoint", "best"))
    return TrialRecord(
        number=number,
        params=attributes["params"],
        config=config,
        state=STATES.get(frozen.state, TrialState.RUNNING),
        reports=tuple(value for name, value in sorted(attributes.items()) if name.startswith("report:")),
        stop_reason=StopReason(attributes["stop_reason"]) if "stop_reason" in attributes else None,
        error=attributes.get("error"),
        checkpoint=checkpoint.get("folder"),
        checkpoint_epoch=checkpoint.get("epoch", 0),
        best_checkpoint=best.get("folder"),
        best_epoch=best.get("epoch", 0),
        started=attributes.get(BEGUN),
        ended=attributes.get("ended"),
        role=Role(origin.get("role", Role.SEARCH)),
        parent=origin.get("parent"),
        rescues=tuple(Rescue(*rescue) for rescue in attributes.get("rescues", ())),
        stays=tuple(Stay(*stay) for stay in attributes.get("stays", ())),
    )


def known_trial(known: TrialRecord, space: SearchSpace) -> FrozenTrial:
    """A finished trial of another search as one that Optuna's samplers learn from; its parameters are the space's."""
    goals, distributions = space.search.goals, {parameter.key: parameter.distribution for parameter in space.searched}
    complete = known.state is TrialState.COMPLETED
    return create_trial(
        state=OPTUNA_STATES[known.state],
        values=[known.metrics[name] for name in goals.metrics] if complete else None,
        params={key: label(value) for key, value in known.params.items()},
        distributions={key: optuna_distribution(distributions[key]) for key in known.params},
        intermediate_values={int(report["epoch"]): float(report[goals.metrics[0]]) for report in known.reports},
        constraints=goals.violations(known.metrics),
        user_attrs={KNOWN: known.name, **changes(None, replace(known, started=None))},
    )


def known_record(frozen: FrozenTrial, number: int, space: SearchSpace) -> TrialRecord:
    """The trial of another search, as the journal has it; one that 0.1 has written has no reports.

    Args:
        frozen: Optuna's trial.
        number: What it is called here.
        space: The space of this search.
    """
    if "config" in frozen.user_attrs:
        return replace(record_of(frozen), number=number)
    params = frozen.user_attrs["params"]
    return TrialRecord(number, params, space.complete(params), STATES[frozen.state])
