"""Final states as Optuna, Ray Tune and MLflow keep them, each read through its own client."""

import json
import warnings
from pathlib import Path
from typing import Any

import optuna
from mlflow import MlflowClient
from mlflow.entities import Run
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial

OPTUNA = {"COMPLETE": "completed", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "running"}
MLFLOW = {"completed": "FINISHED", "pruned": "FINISHED", "failed": "FAILED", "running": "RUNNING"}


def optuna_points(results: Path) -> list[FrozenTrial]:
    """Everything that Optuna knows, also points that were never trained here."""
    storage = JournalStorage(JournalFileBackend(str(results / "optuna.journal")))
    return optuna.load_study(study_name=results.name, storage=storage).get_trials()


def optuna_trials(results: Path) -> list[FrozenTrial]:
    """The trials, by the numbers that they have in the search; Optuna's own count rejected points, too."""
    trials = [point for point in optuna_points(results) if "started" in point.user_attrs]
    for trial in trials:
        trial.number = trial.user_attrs["number"]
    assert [trial.number for trial in trials] == list(range(len(trials)))
    return trials


def optuna_states(results: Path) -> dict[int, str]:
    return {trial.number: OPTUNA[trial.state.name] for trial in optuna_trials(results)}


def mlflow_runs(folder: Path) -> tuple[Run, dict[int, Run]]:
    """The search's run, and the trials' runs by number; fails where there are two of a trial."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SQLAlchemy warns of how MLflow uses it
        client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
        experiments = [experiment.experiment_id for experiment in client.search_experiments()]
        runs = client.search_runs(experiments)
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    children = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    numbers = [int(run.data.tags["ndvq_tune.trial"]) for run in children]
    assert len(set(numbers)) == len(numbers) == len(runs) - 1
    return parent, dict(zip(numbers, children, strict=True))


def mlflow_states(folder: Path) -> dict[int, str]:
    """States as the tags say; fails where a status says something else."""
    runs = mlflow_runs(folder)[1]
    found = {number: run.data.tags["state"] for number, run in runs.items()}
    assert {number: run.info.status for number, run in runs.items()} == {n: MLFLOW[s] for n, s in found.items()}
    return found


def tune_results(results: Path) -> dict[int, tuple[str, dict[str, Any]]]:
    """Status and last result of each of Tune's trials."""
    (path,) = (results / "ray").glob("experiment_state-*.json")
    trials = [tuple(map(json.loads, both)) for both in json.loads(path.read_text())["trial_data"]]
    return {int(trial["trial_id"][-4:]): (trial["status"], data["last_result"]) for trial, data in trials}


def tune_states(results: Path) -> dict[int, str]:
    """Tune tells stopped trials from completed ones only by what we put into their last result."""
    return {
        number: {"ERROR": "failed", "TERMINATED": last.get("state")}.get(status, status)
        for number, (status, last) in tune_results(results).items()
    }
