"""What a search leaves behind in its folder."""

import shutil
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console

from ndvq_tune.data.dataset import Dataset
from ndvq_tune.errors import CheckpointError, TrackingError
from ndvq_tune.judgement.standing import Standing
from ndvq_tune.pictures.reconstructions import reconstructions
from ndvq_tune.records import SearchRecord, TrialRecord
from ndvq_tune.report.html import write_html
from ndvq_tune.report.summary import write_summary
from ndvq_tune.report.tables import write_tables
from ndvq_tune.search.handover import hand_over
from ndvq_tune.search.space import SearchSpace
from ndvq_tune.tracking.mlflow import MlflowTracker
from ndvq_tune.training.checkpoint import load_model
from ndvq_tune.training.files import sample_losses_of

PICTURED_TRIALS = 4
KEPT_BESIDE_FRONT = 3  # as many as search.confirm repeats, also if it is asked for when a search goes on
PICTURED_SAMPLES = 4


def keep_checkpoints(search: SearchRecord, folder: Path, *, final: bool) -> SearchRecord:
    """Put the checkpoints of the front and of the best trials under ``checkpoints/``; at the end, drop all others.

    Args:
        search: The search; its trials' checkpoints are paths below ``folder``.
        folder: The results folder.
        final: Whether the search is over, so that what is not kept can go.

    Returns:
        The search with the checkpoints where they are now, and what they say of single test samples.
    """
    standing = Standing(search)
    wanted = [*standing.recommended, *standing.ranked[:KEPT_BESIDE_FRONT]]
    kept = {trial.number: Path("checkpoints") / trial.name for trial in wanted}
    for trial in search.trials:
        if trial.checkpoint is None:
            continue
        source = folder / trial.checkpoint
        if trial.number in kept and source.exists():
            shutil.copytree(source, folder / kept[trial.number], ignore=_tune_files, dirs_exist_ok=True)
        if final and trial.state.final:
            shutil.rmtree(source.parent, ignore_errors=True)
    return replace(
        search,
        trials=tuple(
            _with_kept(trial, kept[trial.number], folder) if trial.number in kept else trial for trial in search.trials
        ),
    )


def _with_kept(trial: TrialRecord, checkpoint: Path, folder: Path) -> TrialRecord:
    kept = replace(trial, checkpoint=checkpoint.as_posix())
    if trial.checkpoint_epoch != trial.metrics["epoch"]:
        return kept
    try:
        return replace(kept, sample_losses=sample_losses_of(folder / checkpoint))
    except CheckpointError:
        return kept  # gone or damaged, which whoever loads it will say; no reason to end without tables


def _tune_files(folder: str, names: list[str]) -> set[str]:
    """What Ray Tune adds to a checkpoint: pickles, of no use to anyone else."""
    return {name for name in names if name.startswith(".")}


def write_tables_and_summary(standing: Standing, space: SearchSpace, folder: Path, tracker: MlflowTracker) -> None:
    """The files that programs read; quick enough for an interrupted search.

    Args:
        standing: The search.
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
    write_summary(standing, folder, space=space.source, mlflow=mlflow)


def write_outcome(standing: Standing, dataset: Dataset, folder: Path, tracker: MlflowTracker, console: Console) -> None:
    """The files that people look at: pictures of the best trials, in the folder and in MLflow, and the report.

    Args:
        standing: The search, with checkpoints where they are now.
        dataset: Its data, of which test samples are pictured.
        folder: The results folder.
        tracker: Gets the pictures, too; a store that fails is only told of.
        console: Where that is told.
    """
    pictures: dict[str, Path] = {}
    shown = [trial for trial in standing.recommended if (folder / str(trial.checkpoint)).exists()]
    for trial in shown[:PICTURED_TRIALS]:
        pictures[trial.name] = _picture(trial, dataset, folder)
        try:
            tracker.attach(pictures[trial.name], trial)
        except TrackingError as error:
            console.print(f"MLflow: {error}", markup=False)
    write_html(standing, folder, pictures)
    hand_over(standing, dataset, folder, tracker, console)


def _picture(trial: TrialRecord, dataset: Dataset, folder: Path) -> Path:
    model = load_model(folder / str(trial.checkpoint))
    count = min(PICTURED_SAMPLES, len(dataset.test))
    spread = [round(index * (len(dataset.test) - 1) / max(1, count - 1)) for index in range(count)]
    x = dataset.test.scale.to_unit(dataset.test[spread], torch.device("cpu"))
    with torch.no_grad():
        x_recon = model(x)[1]
    path = folder / "pictures" / f"{trial.name}.png"
    path.parent.mkdir(exist_ok=True)
    reconstructions(x, x_recon, path)
    return path
