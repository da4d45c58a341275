"""Reading searches back from an MLflow experiment, which is left as it is."""

import operator
import sqlite3
import tempfile
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import yaml
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from ndvq_tune.config import RunConfig
from ndvq_tune.config.run import as_kept
from ndvq_tune.errors import TrackingError, first_line
from ndvq_tune.problems import validate
from ndvq_tune.records import Role, StopReason, TrialRecord, TrialState, number_of, short_name
from ndvq_tune.tracking.client import database, resolve_uri
from ndvq_tune.tracking.runs import SEARCH_TAG, TRIAL_TAG
from ndvq_tune.tracking.values import SYSTEM, rescues_of
from ndvq_tune.yaml_file import flatten

_FINISHED = {state.value: state for state in TrialState if state.final}


@dataclass(frozen=True)
class StoredSearch:
    """A search as MLflow has it.

    Attributes:
        name: Name of its run.
        space: The space as run; empty where MLflow has none.
        trials: Its finished trials.
        unreadable: How many more there are whose configuration is lost, or not one of this version.
    """

    name: str
    space: Mapping[str, Any]
    trials: tuple[TrialRecord, ...]
    unreadable: int = 0


def stored_searches(experiment: str, uri: str | None, curves: Collection[str]) -> tuple[StoredSearch, ...]:
    """All searches of an experiment, oldest first.

    Args:
        experiment: The experiment's name.
        uri: Tracking URI, as for ``client.connect``.
        curves: Metrics that are read for every epoch, at one request each a trial; of all others only the last value.

    Raises:
        TrackingError: There is no such store or experiment, or MLflow failed.
    """
    uri = resolve_uri(uri)
    try:
        if uri.startswith("sqlite:///"):
            check_database(database(uri))
        client = MlflowClient(tracking_uri=uri)
        runs = list(_runs(client, _experiment_id(client, experiment, uri)))
        by_search: dict[str, list[Run]] = defaultdict(list)
        for run in runs:
            if SEARCH_TAG in run.data.tags:
                by_search[run.data.tags[SEARCH_TAG]].append(run)
        return tuple(_search(client, some, curves) for some in by_search.values())
    except TrackingError:
        raise
    except Exception as error:  # whatever the store's own libraries raise: there are many
        raise TrackingError(f"MLflow at {uri} cannot be read: {first_line(error)}") from error


def check_database(path: Path) -> None:
    """Fails at once where MLflow would make a new file, or try again for 100 s.

    Raises:
        TrackingError: There is no such file.
        sqlite3.Error: It is no database.
    """
    if not path.exists():
        raise TrackingError(f"{path}: there is no MLflow database; give another --tracking-uri")
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        connection.execute("PRAGMA schema_version")


def _experiment_id(client: MlflowClient, name: str, uri: str) -> str:
    found = client.get_experiment_by_name(name)
    if found is None or found.lifecycle_stage != "active":
        names = ", ".join(sorted(experiment.name for experiment in client.search_experiments())) or "none"
        raise TrackingError(f"MLflow at {uri} has no experiment {name!r}; there are {names}")
    return str(found.experiment_id)


def _runs(client: MlflowClient, experiment_id: str) -> Iterator[Run]:
    token: str | None = None
    while True:
        page = client.search_runs([experiment_id], order_by=["attributes.start_time ASC"], page_token=token)
        yield from page
        token = page.token or None
        if token is None:
            return


def _search(client: MlflowClient, runs: list[Run], curves: Collection[str]) -> StoredSearch:
    parent = next((run for run in runs if TRIAL_TAG not in run.data.tags), None)
    began = (parent or runs[0]).info.start_time
    trials = {
        int(run.data.tags[TRIAL_TAG]): run
        for run in runs
        if TRIAL_TAG in run.data.tags and run.data.tags.get("state") in _FINISHED and run.info.status != "RUNNING"
    }
    found = [_trial(client, number, trials[number], began, curves) for number in sorted(trials)]
    return StoredSearch(
        parent.info.run_name if parent else "",
        _mapping(client, parent, "space.yaml") if parent else {},
        tuple(trial for trial in found if trial is not None),
        found.count(None),
    )


def _trial(client: MlflowClient, number: int, run: Run, began: int, curves: Collection[str]) -> TrialRecord | None:
    """A trial; None where its configuration is lost, or this version does not know it."""
    content, tags = _mapping(client, run, "config.yaml"), run.data.tags
    config = validate(RunConfig, as_kept(content))[0] if content else None
    if config is None:
        return None
    return TrialRecord(
        number=number,
        params={key: value for key, value in flatten(content).items() if _chosen(key, run)},
        config=config,
        state=_FINISHED[tags["state"]],
        reports=_reports(client, run, began, curves),
        stop_reason=StopReason(tags["stop_reason"]) if "stop_reason" in tags else None,
        error=tags.get("error"),
        started=run.info.start_time / 1000,
        ended=run.info.end_time / 1000 if run.info.end_time else None,
        role=Role(tags.get("role", Role.SEARCH)),
        parent=number_of(tags["parent_trial"]) if "parent_trial" in tags else None,
        rescues=rescues_of(tags.get("rescues", "")),
    )


def _chosen(key: str, run: Run) -> bool:
    return not key.startswith("data.") and "." in key and short_name(key) in run.data.params


def _reports(client: MlflowClient, run: Run, began: int, curves: Collection[str]) -> tuple[dict[str, float], ...]:
    """What was reported, by epoch; metrics beside ``curves`` in the last report only."""
    reports: dict[int, dict[str, float]] = defaultdict(dict)
    for name in [name for name in run.data.metrics if name in curves or name == "epoch"]:
        for metric in client.get_metric_history(run.info.run_id, name):
            reports[metric.step][name] = metric.value
            reports[metric.step]["seconds"] = (metric.timestamp - began) / 1000
    if reports:
        own = {name: value for name, value in run.data.metrics.items() if not name.startswith(SYSTEM)}
        reports[max(reports)] |= own
    steps = sorted(reports)
    filled = accumulate((reports[step] for step in steps), operator.or_)  # a constant is not there again
    return tuple({**report, "epoch": step} for step, report in zip(steps, filled, strict=True) if step)


def _mapping(client: MlflowClient, run: Run, artifact: str) -> dict[str, Any]:
    """A YAML artifact; empty where the run has none."""
    if artifact not in {file.path for file in client.list_artifacts(run.info.run_id)}:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        content = yaml.safe_load(Path(client.download_artifacts(run.info.run_id, artifact, folder)).read_text("utf-8"))
    return content if isinstance(content, dict) else {}
