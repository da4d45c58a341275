"""Reaching an MLflow store: quietly, and with an end to the waiting."""

import os
import re
import sqlite3
import warnings
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import TypeVar
from urllib.parse import urlencode

from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from ndvq_tune.errors import TrackingError, first_line
from ndvq_tune.goals import Objective

DEFAULT_URI = "sqlite:///mlflow.db"
ANSWER_WITHIN = 15.0
_SQLITE = "sqlite:///"
# Without it the pages for agents and traces are what MLflow shows first.
_EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}
T = TypeVar("T")


def resolve_uri(uri: str | None) -> str:
    """Which store is meant: the one given, else ``MLFLOW_TRACKING_URI``, else the one that ``mlflow ui`` opens here.

    A path to an SQLite file comes back absolute, so that it holds wherever the results are read later.
    """
    uri = uri or os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI
    if not uri.startswith(_SQLITE):
        return uri
    return f"{_SQLITE}{database(uri).resolve()}"


def database(uri: str) -> Path:
    """The file behind an ``sqlite:///`` URI."""
    return Path(uri.removeprefix(_SQLITE))


def ui_command(uri: str) -> str | None:
    """What to type in the current folder to see a store in a browser; nothing where a server does that already."""
    if uri.startswith("http"):
        return None
    return (
        "mlflow ui" if uri == f"{_SQLITE}{database(DEFAULT_URI).resolve()}" else f"mlflow ui --backend-store-uri {uri}"
    )


def ui_address(uri: str, experiment_id: str, first: Objective) -> str:
    """The page of an experiment's runs, on the server or where ``mlflow ui`` serves it, the best trial first.

    Ordered by time, as MLflow does by itself, trials are folded up under their search.

    Args:
        uri: The store.
        experiment_id: The experiment in it.
        first: What makes a trial good, first of all.
    """
    server = uri.rstrip("/") if uri.startswith("http") else "http://127.0.0.1:5000"
    order = urlencode({"orderByKey": f"metrics.`{first.metric}`", "orderByAsc": str(first.mode == "min").lower()})
    return f"{server}/#/experiments/{experiment_id}/runs?workflowType=machine_learning&{order}"


@dataclass(frozen=True)
class Store:
    """A store that has answered.

    Attributes:
        uri: Where it is.
        client: What talks to it.
        experiment_id: The experiment in it.
        server: Address of what serves its pages, where that is not the store itself.
    """

    uri: str
    client: MlflowClient
    experiment_id: str
    server: str | None = None


def connect(uri: str | None, experiment: str) -> Store:
    """A store that answers, with an experiment, which is made if it is not there.

    Args:
        uri: Tracking URI; if not given, ``MLFLOW_TRACKING_URI``, or ``sqlite:///mlflow.db`` in the current folder.
        experiment: The experiment's name.

    Raises:
        TrackingError: The store does not answer within about 15 s, or cannot be used; names the URI and what to do.
    """
    uri = resolve_uri(uri)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # SQLAlchemy warns of how MLflow uses it
            if uri.startswith(_SQLITE):
                _check_database(database(uri))
                # No limit: making the tables of a new file takes 7 s of computing, and longer on a busy machine.
                return _open(uri, experiment)
            return _within(ANSWER_WITHIN, lambda: _open(uri, experiment))
    except TimeoutError as error:
        raise TrackingError(_advice(uri, f"no answer in {ANSWER_WITHIN:.0f} s")) from error
    except TrackingError:
        raise
    except Exception as error:  # whatever the store's own libraries raise: there are many
        raise TrackingError(_advice(uri, first_line(error))) from error


def _advice(uri: str, reason: str) -> str:
    return (
        f"MLflow cannot be used at {uri}: {reason}. Start a server there, give another --tracking-uri, "
        f"or leave it out to use {DEFAULT_URI} in the current folder"
    )


def _check_database(path: Path) -> None:
    """Fails at once where MLflow would try again for 100 s: no such folder, no permission, not a database."""
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path)
    try:
        connection.execute("PRAGMA schema_version")
    finally:
        connection.close()


def _open(uri: str, experiment: str) -> Store:
    client = MlflowClient(tracking_uri=uri)
    found = client.get_experiment_by_name(experiment)
    if found is None:
        return Store(uri, client, _create_experiment(client, uri, experiment))
    if found.lifecycle_stage != "active":
        raise TrackingError(
            f"the MLflow experiment {experiment!r} at {uri} is deleted: restore it with "
            f"`mlflow experiments restore --experiment-id {found.experiment_id}`, or choose another tracking.experiment"
        )
    return Store(uri, client, str(found.experiment_id))


def _create_experiment(client: MlflowClient, uri: str, experiment: str) -> str:
    location = None
    if uri.startswith(_SQLITE):
        # Beside the database: MLflow would take the current folder, which on a cluster is gone after the job.
        location = str(database(uri).parent / "mlruns" / re.sub(r"[^\w.-]+", "-", experiment))
    try:
        return str(client.create_experiment(experiment, location, _EXPERIMENT_TAGS))
    except MlflowException:
        found = client.get_experiment_by_name(experiment)  # another search was faster
        if found is None:
            raise
        return str(found.experiment_id)


def _within(seconds: float, work: Callable[[], T]) -> T:
    """Runs something that may hang in a thread that nobody has to wait for."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except Exception as error:
            future.set_exception(error)

    Thread(target=run, daemon=True).start()
    return future.result(seconds)
