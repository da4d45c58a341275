"""One training in a folder of its own: a checkpoint after each epoch, its history, and on after a stop.

While it is under way its last checkpoint is in ``checkpoints/``; at the end the model lies in the folder itself, and
``history.csv`` has a row an epoch, of which the last one is the final evaluation.
"""

import csv
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import torch

from ndvq_tune.atomic import replacing, whole_folder
from ndvq_tune.errors import ResultsError
from ndvq_tune.goals import Report
from ndvq_tune.model import NDimVQVAE
from ndvq_tune.training.checkpoint import pack, unpack
from ndvq_tune.training.files import CONFIG, read, write
from ndvq_tune.training.loop import Training

CHECKPOINTS, HISTORY = "checkpoints", "history.csv"
_FITTED = ("data_mean", "data_variance")  # of the data at hand, and not learned


def check(folder: Path, *, resume: bool) -> None:
    """Make sure that a folder is free for a training, or holds one that can go on.

    Args:
        folder: The folder.
        resume: Whether one is to go on.

    Raises:
        ResultsError: If it holds something else.
    """
    whole, stopped = (folder / CONFIG).exists(), newest(folder) is not None
    if whole:
        raise ResultsError(f"{folder}: already holds a model; give another --output")
    if stopped and not resume:
        raise ResultsError(
            f"{folder}: holds a training that was stopped; go on with --resume, or give another --output"
        )
    if resume and not stopped:
        raise ResultsError(f"{folder}: holds no training to go on with; leave out --resume")


def newest(folder: Path) -> Path | None:
    """The last checkpoint of a training that is under way, or was stopped."""
    found = sorted(path for path in (folder / CHECKPOINTS).glob("epoch-*") if (path / CONFIG).exists())
    return found[-1] if found else None


def saved_epoch(folder: Path) -> int:
    """The epoch after which that was saved; 0 if there is none."""
    checkpoint = newest(folder)
    return int(checkpoint.name.removeprefix("epoch-")) if checkpoint else 0


def resume(training: Training, folder: Path) -> None:
    """Bring a training to where it was stopped.

    Args:
        training: Made from the same configuration; it is changed.
        folder: Where the stopped one lies.

    Raises:
        CheckpointError: If its checkpoint is missing or damaged, or of another model.
    """
    unpack(training, read(newest(folder) or folder))


def start_from(training: Training, model: NDimVQVAE) -> dict[str, str]:
    """Give a training what fits of another model's weights; mean and variance stay those of its own data.

    Args:
        training: A training that has not begun; its weights are changed.
        model: The other model.

    Returns:
        What was not taken, by name, with the reason.
    """
    own, given = training.model.state_dict(), model.state_dict()
    left = dict.fromkeys(own.keys() - given.keys(), "is not in the other model")
    left |= dict.fromkeys(given.keys() - own.keys(), "has no place in this model")
    for name in sorted(own.keys() & given.keys() - set(_FITTED)):
        if own[name].shape == given[name].shape:
            own[name].copy_(given[name])
        else:
            left[name] = f"is {_shape(given[name])} there, and {_shape(own[name])} here"
    return dict(sorted(left.items()))


def run(training: Training, folder: Path, show: Callable[[Report], None]) -> None:
    """Train to the last epoch; the folder has a checkpoint after each, and the model in the end.

    Args:
        training: The training, from its beginning or from a checkpoint of this folder.
        folder: Where it lies.
        show: Is told of each epoch.
    """
    history = [row for row in _history(folder) if int(float(row["epoch"])) <= training.epoch]
    while training.epoch < training.config.training.max_epochs:
        report = training.run_epoch()
        history.append({name: f"{value:.8g}" for name, value in report.items()})
        _save(training, folder)
        _write_history(folder, history)
        show(report)
    write(folder, pack(training))
    shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)


def _save(training: Training, folder: Path) -> None:
    before = newest(folder)
    with whole_folder(folder / CHECKPOINTS / f"epoch-{training.epoch:06}") as draft:
        write(draft, pack(training))
    if before:
        shutil.rmtree(before)


def _history(folder: Path) -> Iterator[Mapping[str, str]]:
    if (folder / HISTORY).exists():
        with (folder / HISTORY).open(encoding="utf-8", newline="") as file:
            yield from csv.DictReader(file)


def _write_history(folder: Path, rows: list[Mapping[str, str]]) -> None:
    with replacing(folder / HISTORY) as draft, draft.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(rows[-1]), extrasaction="ignore", restval="")
        table.writeheader()
        table.writerows(rows)


def _shape(tensor: torch.Tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "one number"
