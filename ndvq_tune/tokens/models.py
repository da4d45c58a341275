"""Where a model lies, by whatever name people have for it."""

import json
from pathlib import Path

import torch

from ndvq_tune.errors import CheckpointError, ResultsError
from ndvq_tune.model import NDimVQVAE
from ndvq_tune.training import checkpoint
from ndvq_tune.training.files import CONFIG

SUMMARY = "summary.json"
OF_MLFLOW = ("models:/", "runs:/", "mlflow-artifacts:/")


def load_model(source: Path | str, device: torch.device | str = "cpu") -> NDimVQVAE:
    """A trained model, in evaluation mode. Nothing is unpickled.

    ``model.data`` is the card of what it was trained on, and with it ``encode`` refuses what cannot be meant.

    Args:
        source: The results folder of a search, for the model that it recommends; a checkpoint, such as
            ``results/NAME/checkpoints/trial-0003``; or where MLflow has it: ``models:/NAME@champion``,
            ``runs:/RUN/PATH``.
        device: Where the model shall be.

    Raises:
        CheckpointError: If there is no checkpoint, or a damaged one.
        ResultsError: If the search recommends none.
        TrackingError: If MLflow does not have it.
    """
    return checkpoint.load_model(model_folder(source), device)


def model_folder(source: Path | str) -> Path:
    """The checkpoint that a source means, fetched if it is not on this machine.

    Args:
        source: As ``load_model`` takes it.

    Raises:
        CheckpointError: If there is none.
        ResultsError: If the search recommends none.
        TrackingError: If MLflow does not have it.
    """
    if str(source).startswith(OF_MLFLOW):
        from ndvq_tune.tracking.download import fetched_checkpoint  # MLflow takes seconds to import

        return fetched_checkpoint(str(source))
    folder = Path(source)
    if (folder / CONFIG).exists():
        return folder
    if (folder / SUMMARY).exists():
        return _recommended(folder)
    raise CheckpointError(
        f"{folder}: is no checkpoint ({CONFIG} is missing) and no results folder of a search ({SUMMARY} is missing)"
    )


def _recommended(folder: Path) -> Path:
    """The checkpoint of the trial that a search recommends."""
    try:
        best = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))["best"]
        if best is None or best["checkpoint"] is None:
            raise ResultsError(f"{folder}: the search recommends no model that is kept; see its report.html")
        return folder / str(best["checkpoint"])
    except (ValueError, KeyError, TypeError):
        raise ResultsError(f"{folder / SUMMARY}: is damaged; pass a folder in {folder / 'checkpoints'}") from None
