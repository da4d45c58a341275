"""Records in the words of MLflow: flat text, finite numbers and milliseconds. Pure functions."""

import math
import re
import time
from collections.abc import Mapping

import yaml

from ndvq_tune.judgement.front import front_hypervolume
from ndvq_tune.judgement.standing import Standing
from ndvq_tune.metrics import METRICS
from ndvq_tune.records import (
    Rescue,
    Role,
    TrialRecord,
    TrialState,
    short_name,
    short_value,
)

DIGITS = 5
SYSTEM = "system/"  # the names that MLflow shows in a tab of their own begin with it
_OF_WORKER = {"host_memory_bytes", "peak_memory_bytes", "worker_cpu_utilization"}
NO_MARKS = {"front": "false", "recommended": "false"}  # as long as nobody has judged
PASSING_TAGS = {"stop_reason", "error", "rescues"}  # a trial that is taken up again may lose them
_MAX_TAG, _MAX_PARAM = 4000, 6000
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # many times as fast, where PyYAML has it
_NOT_IN_NAMES = re.compile(r"[^\w.\- :]")
_CONSTANT = {metric.name for metric in METRICS.values() if metric.constant}


def params_of(trial: TrialRecord) -> dict[str, str]:
    """What the search chose, by short name. The whole configuration is an artifact: it would drown the choice."""
    return {short_name(key): short_value(value, DIGITS) for key, value in trial.params.items()}


def settings_of(settings: Mapping[str, object]) -> dict[str, str]:
    """Settings of a search as parameters; names and lengths as MLflow allows them, which must not end a search."""
    return {_NOT_IN_NAMES.sub("_", key): short_value(value, DIGITS)[:_MAX_PARAM] for key, value in settings.items()}


def config_of(trial: TrialRecord) -> str:
    """The whole configuration, as YAML."""
    text: str = yaml.dump(trial.config.to_dict(), Dumper=_DUMPER, sort_keys=False)
    return text


def tags_of(trial: TrialRecord) -> dict[str, str]:
    """State, role, stop reason, origin, rescues and error. Of a long error the end is kept, where the cause is.

    A rescue that lowers ``codebook_beta`` leaves the parameter as it was chosen: MLflow never changes one.
    """
    tags = {"state": str(trial.state), "role": str(trial.role)}
    if trial.stop_reason is not None:
        tags["stop_reason"] = str(trial.stop_reason)
    if trial.parent_name is not None:
        tags["parent_trial"] = trial.parent_name
    if trial.rescues:
        tags["rescues"] = ", ".join(f"{rescue.action}@{rescue.epoch}" for rescue in trial.rescues)
    if trial.error is not None:
        tags["error"] = trial.error[-_MAX_TAG:]
    return tags


def marks_of(standing: Standing) -> dict[int, dict[str, str]]:
    """Tags by trial number that trials are sorted by: whether they are on the front, and the recommended one."""
    front, best = {trial.number for trial in standing.front}, standing.best
    return {
        trial.number: {"front": _flag(trial.number in front), "recommended": _flag(trial is best)}
        for trial in standing.search.trials
    }


def _flag(value: bool) -> str:
    return str(value).lower()


def rescues_of(tag: str) -> tuple[Rescue, ...]:
    """The rescues that a trial's tag tells of."""
    pairs = (part.rpartition("@") for part in tag.split(", ") if part)
    return tuple(Rescue(int(epoch), action) for action, _, epoch in pairs)


def metrics_of(report: Mapping[str, float], before: Mapping[str, float]) -> dict[str, float]:
    """A report's metrics, then its epoch; NaN for infinities, which MLflow would draw as 1.8e308.

    In names, which may be those of columns of a table, an underscore stands for what MLflow does not allow.

    Constant ones only where the report before did not have the same.

    The epoch says, when the runs are read again, how far they got. It is last because MLflow's compare view opens with
    the first.
    """
    known = {name for name in _CONSTANT & report.keys() if report[name] == before.get(name)}
    names = [name for name in report if name not in ("epoch", "seconds", *known)]
    return {
        _NOT_IN_NAMES.sub("_", name): float(report[name]) if math.isfinite(report[name]) else math.nan
        for name in [*names, "epoch"]
    }


def system_metrics_of(report: Mapping[str, float]) -> dict[str, float]:
    """What a worker took of its machine, by the names that MLflow has a tab for; empty for reports of 0.1.

    The machine's own figures are left out: a search knows of its lanes, not of what else runs there.
    """
    if not report.keys() >= _OF_WORKER:
        return {}
    host, peak = report["host_memory_bytes"], report["peak_memory_bytes"]
    found = {
        "cpu_utilization_percentage": 100 * report["worker_cpu_utilization"],
        "system_memory_usage_megabytes": host / 1e6,
    }
    if peak != host:  # then it is the GPU's
        found["gpu_0_memory_usage_megabytes"] = peak / 1e6
    return {f"{SYSTEM}{name}": value for name, value in found.items()}


def step_of(metric: str, report: Mapping[str, float], before: Mapping[str, float]) -> int:
    """The step at which MLflow gets a metric: the report's epoch, but 0 for constants of the first report.

    MLflow draws a metric as bars if all of its values are at step 0, and as lines otherwise.

    Args:
        metric: The metric's name.
        report: The report that it is of.
        before: The trial's report before that; empty for the first.
    """
    return int(report["epoch"]) if before or metric not in _CONSTANT else 0


def times_of(trial: TrialRecord) -> list[float]:
    """Unix time of each report, counted back from the trial's end, or from now while it runs."""
    end = trial.ended if trial.ended is not None else time.time()
    return [end - (trial.metrics["seconds"] - report["seconds"]) for report in trial.reports]


def milliseconds(seconds: float) -> int:
    """Unix time as MLflow counts it."""
    return int(seconds * 1000)


def summary_of(standing: Standing) -> dict[str, float]:
    """What the recommended trial's weights reached, then counts by state, time and the hypervolume.

    What followed the search, repetitions and trials on their way to the end, is no part of its trials. No name has a
    prefix, as MLflow's charts open with those that do.
    """
    search, trials = standing.search, standing.search.searched
    summary: dict[str, float] = {
        "trials": len(trials.trials),
        **{f"trials_{state}": trials.count(state) for state in TrialState if state.final},
        "trials_rejected": sum(search.rejected.values()),
        "repetitions": search.count_role(Role.CONFIRM),
        "wall_seconds": search.wall_seconds,
    }
    hypervolume = front_hypervolume(standing)
    if hypervolume is not None:
        summary["hypervolume"] = hypervolume
    recommended = metrics_of(standing.best.result, {}) if standing.best else {}
    return recommended | {name: float(value) for name, value in summary.items()}
