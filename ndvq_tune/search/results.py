"""What a search leaves behind in its folder."""

from functools import partial
from pathlib import Path

from rich.console import Console

from ndvq_tune.data.dataset import Dataset
from ndvq_tune.diagnosis.finding import Diagnosis
from ndvq_tune.errors import TrackingError
from ndvq_tune.judgement.standing import Standing
from ndvq_tune.pictures.showcase import Showcase
from ndvq_tune.pictures.showing import show
from ndvq_tune.records import TrialRecord
from ndvq_tune.report.code_use import code_uses, write_code_use
from ndvq_tune.report.html import write_html
from ndvq_tune.report.slide import FRONT, write_front
from ndvq_tune.report.summary import write_summary
from ndvq_tune.report.tables import write_tables
from ndvq_tune.search.attempt import attempt
from ndvq_tune.search.folder import PICTURES
from ndvq_tune.search.handover import hand_over
from ndvq_tune.search.space import SearchSpace
from ndvq_tune.tracking.mlflow import MlflowTracker
from ndvq_tune.training.checkpoint import load_model

SHOWN_TRIALS = 4


def write_tables_and_summary(
    standing: Standing, diagnosis: Diagnosis, space: SearchSpace, folder: Path, tracker: MlflowTracker
) -> None:
    """The files that programs read; quick enough for an interrupted search.

    Args:
        standing: The search.
        diagnosis: What is to be thought of it.
        space: The space that it ran.
        folder: The results folder.
        tracker: Where MLflow keeps it, for ``summary.json``.
    """
    write_tables(standing.search, folder)
    mlflow = {
        "tracking_uri": tracker.uri,
        "experiment_id": tracker.experiment_id,
        "parent_run_id": tracker.parent_run_id,
    }
    write_summary(standing, diagnosis, folder, space=space.source, mlflow=mlflow)


def write_outcome(
    standing: Standing,
    diagnosis: Diagnosis,
    dataset: Dataset,
    folder: Path,
    tracker: MlflowTracker,
    console: Console,
) -> None:
    """The files that people look at and listen to, of the best trials, in the folder and in MLflow, and the report.

    Args:
        standing: The search, with checkpoints where they are now.
        diagnosis: What is to be thought of it.
        dataset: Its data, of which test samples are shown.
        folder: The results folder.
        tracker: Gets these files, too; a store that fails is only told of.
        console: Where that is told, and what else could not be made.
    """
    pictures: dict[str, Showcase] = {}
    shown = [trial for trial in standing.recommended if (folder / str(trial.weights)).exists()]
    for trial in shown[:SHOWN_TRIALS]:
        showcase = attempt(console, f"pictures of {trial.name}", partial(_showcase, trial, dataset, folder), None)
        codes = attempt(console, f"use of codes of {trial.name}", partial(_code_use, trial, folder), None)
        if showcase is not None:
            pictures[trial.name] = showcase
        try:
            for path in (*(showcase.files if showcase else ()), *([codes] if codes else ())):
                tracker.attach(path, trial)
        except TrackingError as error:
            console.print(f"MLflow: {error}", markup=False)
    attempt(console, "report.html", partial(write_html, standing, diagnosis, folder, pictures), None)
    attempt(console, FRONT, partial(write_front, standing, folder), None)
    hand_over(standing, dataset, folder, tracker, console)


def _showcase(trial: TrialRecord, dataset: Dataset, folder: Path) -> Showcase:
    return show(load_model(folder / str(trial.weights)), dataset, folder / PICTURES, trial.name)


def _code_use(trial: TrialRecord, folder: Path) -> Path | None:
    path = folder / PICTURES / f"{trial.name}-codes.png"
    return next((write_code_use(use, path) for use in code_uses([trial], folder)), None)
