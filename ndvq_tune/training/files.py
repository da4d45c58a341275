"""The files of a checkpoint, as bytes; no torch, so that a lane can hand them on without it.

A checkpoint is a folder of three files. ``model.safetensors`` and ``config.json`` are the tokenizer;
``training.safetensors`` is what training needs beside it to go on as if it had never stopped.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ndvq_tune.errors import CheckpointError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

MODEL, CONFIG, TRAINING = "model.safetensors", "config.json", "training.safetensors"
CODE_COUNTS = "code_counts"
FORMAT = 1

Files = dict[str, bytes]


def epoch_of(files: Mapping[str, bytes]) -> int:
    """Epochs that a checkpoint's training has behind it.

    Raises:
        CheckpointError: If the description is damaged.
    """
    try:
        return int(describe(files)["epoch"])
    except (KeyError, TypeError, ValueError):
        raise CheckpointError(f"{CONFIG} is missing or damaged") from None


def sample_losses_of(folder: Path) -> tuple[float, ...]:
    """``recon_loss`` of the test samples one by one, see ``Validation``; none in a checkpoint of 0.1.

    Raises:
        CheckpointError: If the description is missing or damaged.
    """
    try:
        return tuple(map(float, describe({CONFIG: read_file(folder / CONFIG)}).get("sample_losses", ())))
    except (TypeError, ValueError):
        raise CheckpointError(f"{folder / CONFIG} is damaged: sample_losses are no numbers") from None


def code_counts_of(folder: Path) -> "npt.NDArray[np.int64]":
    """How often each code was chosen for the test samples, ``(Q, n_codes)``, see ``Validation``.

    Checkpoints did not always have these; ``(0, 0)`` then.

    Raises:
        CheckpointError: If the file is missing or damaged.
    """
    import numpy as np
    from safetensors import SafetensorError, safe_open

    path = folder / TRAINING
    try:
        with safe_open(path, "np") as tensors:
            known = CODE_COUNTS in tensors.keys()  # noqa: SIM118 it is no mapping
            counts: npt.NDArray[np.int64] = tensors.get_tensor(CODE_COUNTS) if known else np.zeros((0, 0), np.int64)
    except (OSError, SafetensorError):
        raise CheckpointError(f"{path} is missing or damaged") from None
    return counts


def write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write a checkpoint's files into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def read(folder: Path) -> Files:
    """The files of a checkpoint.

    Raises:
        CheckpointError: If one is missing.
    """
    return {name: read_file(folder / name) for name in (MODEL, CONFIG, TRAINING)}


def read_file(path: Path) -> bytes:
    """One file of a checkpoint.

    Raises:
        CheckpointError: If it is not there or cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError:
        raise CheckpointError(f"{path.parent} is no checkpoint: {path.name} is missing or cannot be read") from None


def describe(files: Mapping[str, bytes]) -> dict[str, Any]:
    """What ``config.json`` says.

    Raises:
        CheckpointError: If it is missing, damaged, or of a format that this version does not read.
    """
    try:
        description: dict[str, Any] = json.loads(files[CONFIG])
    except (KeyError, ValueError):
        raise CheckpointError(f"{CONFIG} is missing or damaged") from None
    if not isinstance(description, dict):
        raise CheckpointError(f"{CONFIG} is missing or damaged")
    if description.get("format") != FORMAT:
        raise CheckpointError(f"checkpoint format {description.get('format')!r} given; this version reads {FORMAT}")
    return description
