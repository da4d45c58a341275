"""What a search leaves behind in its folder."""

from pathlib import Path

import torch
from rich.console import Console

from ndvq_tune.data.dataset import Dataset
from ndvq_tune.diagnosis.finding import Diagnosis
from ndvq_tune.errors import TrackingError
from ndvq_tune.judgement.standing import Standing
from ndvq_tune.pictures.reconstructions import reconstructions
from ndvq_tune.records import TrialRecord
from ndvq_tune.report.code_use import code_uses, write_code_use
from ndvq_tune.report.html import write_html
from ndvq_tune.report.slide import write_front
from ndvq_tune.report.summary import write_summary
from ndvq_tune.report.tables import write_tables
from ndvq_tune.search.folder import PICTURES
from ndvq_tune.search.handover import hand_over
from ndvq_tune.search.space import SearchSpace
from ndvq_tune.tracking.mlflow import MlflowTracker
from ndvq_tune.training.checkpoint import load_model

PICTURED_TRIALS = 4
PICTURED_SAMPLES = 4


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
    """The files that people look at: pictures of the best trials, in the folder and in MLflow, and the report.

    Args:
        standing: The search, with checkpoints where they are now.
        diagnosis: What is to be thought of it.
        dataset: Its data, of which test samples are pictured.
        folder: The results folder.
        tracker: Gets the pictures, too; a store that fails is only told of.
        console: Where that is told.
    """
    pictures: dict[str, Path] = {}
    shown = [trial for trial in standing.recommended if (folder / str(trial.weights)).exists()]
    for trial in shown[:PICTURED_TRIALS]:
        pictures[trial.name] = _picture(trial, dataset, folder)
        codes = [
            write_code_use(use, folder / PICTURES / f"{trial.name}-codes.png") for use in code_uses([trial], folder)
        ]
        try:
            for path in (pictures[trial.name], *codes):
                tracker.attach(path, trial)
        except TrackingError as error:
            console.print(f"MLflow: {error}", markup=False)
    write_html(standing, diagnosis, folder, pictures)
    write_front(standing, folder)
    hand_over(standing, dataset, folder, tracker, console)


def _picture(trial: TrialRecord, dataset: Dataset, folder: Path) -> Path:
    model = load_model(folder / str(trial.weights))
    count = min(PICTURED_SAMPLES, len(dataset.test))
    spread = [round(index * (len(dataset.test) - 1) / max(1, count - 1)) for index in range(count)]
    x = dataset.test.scale.to_unit(dataset.test[spread], torch.device("cpu"))
    with torch.no_grad():
        x_recon = model(x)[1]
    path = folder / PICTURES / f"{trial.name}.png"
    path.parent.mkdir(exist_ok=True)
    reconstructions(x, x_recon, path)
    return path
