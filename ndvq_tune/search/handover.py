"""What MLflow gets of a search once it is over: the files that people look at, and the recommended model."""

from pathlib import Path

import torch
from rich.console import Console

from ndvq_tune.data.dataset import Dataset
from ndvq_tune.errors import TrackingError
from ndvq_tune.judgement.standing import Standing
from ndvq_tune.report.slide import FRONT
from ndvq_tune.tracking.mlflow import MlflowTracker

FILES = ("report.html", FRONT, "best.yaml")


def hand_over(standing: Standing, dataset: Dataset, folder: Path, tracker: MlflowTracker, console: Console) -> None:
    """Give MLflow what is whole in the results folder.

    Args:
        standing: The search, with checkpoints where they are now.
        dataset: Its data; a test sample goes with the model.
        folder: The results folder.
        tracker: MLflow; a store that fails is only told of.
        console: Where that is told.
    """
    best = standing.best
    try:
        for path in (folder / name for name in FILES):
            if path.exists():
                tracker.attach(path)
        if best is not None and (folder / str(best.weights)).exists():
            sample = dataset.test.scale.to_unit(dataset.test[:1], torch.device("cpu"))
            tracker.register(best, folder / str(best.weights), sample.numpy())
    except TrackingError as error:
        console.print(f"MLflow: {error}", markup=False)
