"""The search as two tables for pandas, DuckDB and the like: a row a trial, and a row a report."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ndvq_tune.atomic import replacing
from ndvq_tune.metrics import METRICS
from ndvq_tune.records import SearchRecord, TrialRecord, short_name, short_value

_TRIAL_FIELDS = {
    "number": pa.int64(),
    "name": pa.string(),
    "state": pa.string(),
    "stop_reason": pa.string(),
    "error": pa.string(),
    "epochs": pa.int64(),
    "seconds": pa.float64(),
    "checkpoint": pa.string(),
    "checkpoint_epoch": pa.int64(),
    "role": pa.string(),
    "parent": pa.int64(),
    "rescues": pa.string(),
    "lanes": pa.string(),
}


def write_tables(search: SearchRecord, folder: Path) -> tuple[Path, Path]:
    """Writes ``trials.parquet`` and ``curves.parquet``, each whole or not at all.

    In ``trials.parquet`` parameters have their short names, and metrics are those of ``checkpoint_epoch``, the best
    of its ``epochs``, whose weights are in ``checkpoint`` where they were kept; a metric whose name is a parameter's
    too, such as ``learning_rate``, is there as ``last_learning_rate``. Lists are text
    (``2x4x4``), so that one can group by them, and so are rescues: each with the epoch after which it was done
    (``restart_codes@5``). ``parent`` is the number of the trial that one goes on from (``role`` is ``exploit``,
    or ``finish``) or repeats (``confirm``); ``lanes`` names each lane that had the trial, in order. What a trial does
    not have is null.
    """
    paths = folder / "trials.parquet", folder / "curves.parquet"
    for path, table in zip(paths, (trials_table(search), curves_table(search)), strict=True):
        with replacing(path) as draft:
            pq.write_table(table, draft)
    return paths


def trials_table(search: SearchRecord) -> pa.Table:
    """``trials.parquet``: a row for each trial, with its configuration's searched values and its metrics."""
    trials = search.trials
    columns = {name: pa.array([_field(trial, name) for trial in trials], kind) for name, kind in _TRIAL_FIELDS.items()}
    keys = list(dict.fromkeys(key for trial in trials for key in trial.params))
    params = {short_name(key): _param([trial.params.get(key) for trial in trials]) for key in keys}
    metrics = {
        f"last_{name}" if name in params else name: pa.array(
            [_number(trial.result.get(name)) for trial in trials], pa.float64()
        )
        for name in _metrics(search)
    }
    return pa.table(columns | params | metrics)


def curves_table(search: SearchRecord) -> pa.Table:
    """``curves.parquet``: a row for each report of each trial, with its metrics."""
    rows = [(trial, report) for trial in search.trials for report in trial.reports]
    columns = {
        "number": pa.array([trial.number for trial, _ in rows], pa.int64()),
        "name": pa.array([trial.name for trial, _ in rows], pa.string()),
        "epoch": pa.array([int(report["epoch"]) for _, report in rows], pa.int64()),
        "seconds": pa.array([_number(report.get("seconds")) for _, report in rows], pa.float64()),
    }
    metrics = {
        name: pa.array([_number(report.get(name)) for _, report in rows], pa.float64()) for name in _metrics(search)
    }
    return pa.table(columns | metrics)


def _field(trial: TrialRecord, name: str) -> Any:
    match name:
        case "epochs":
            return int(trial.metrics.get("epoch", 0))
        case "seconds":
            return None if trial.started is None or trial.ended is None else trial.ended - trial.started
        case "checkpoint":
            return trial.weights
        case "checkpoint_epoch":
            return trial.weights_epoch or None
        case "rescues":
            return ", ".join(f"{rescue.action}@{rescue.epoch}" for rescue in trial.rescues) or None
        case "lanes":
            return ", ".join(stay.lane for stay in trial.stays) or None
        case "state" | "stop_reason" | "role":
            value = getattr(trial, name)
            return None if value is None else str(value)
        case _:
            return getattr(trial, name)


def _param(values: Sequence[Any]) -> pa.Array:
    """A column of the narrowest type that holds all values: truth, whole number, number, else text."""
    kinds = {type(value) for value in values if value is not None}
    for allowed, kind in (({bool}, pa.bool_()), ({int}, pa.int64()), ({int, float}, pa.float64())):
        if kinds <= allowed:
            return pa.array(values, kind)
    return pa.array([None if value is None else short_value(value) for value in values], pa.string())


def _metrics(search: SearchRecord) -> Iterable[str]:
    """All metrics that are declared, reported or not, so that the columns of two searches agree; then any other."""
    reported = (name for trial in search.trials for report in trial.reports for name in report)
    return [name for name in dict.fromkeys([*METRICS, *reported]) if name not in ("epoch", "seconds")]


def _number(value: float | None) -> float | None:
    return None if value is None else float(value)
