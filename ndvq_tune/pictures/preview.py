"""A picture of what a model will see of a data set."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ndvq_tune.config import DataConfig
from ndvq_tune.data.batches.augment import augmentation
from ndvq_tune.data.batches.loader import batches
from ndvq_tune.data.batches.samples import SampleSet
from ndvq_tune.data.dataset import Dataset
from ndvq_tune.errors import ShapeError
from ndvq_tune.pictures.frames import row, shown_frames, strips
from ndvq_tune.pictures.sheet import TEXT, below, caption, grid, save
from ndvq_tune.pictures.waveforms import BLUE, CHANNELS, Curve, span_of, waveforms

Parts = Sequence[torch.Tensor]

_APART = 8
_WIDTH = 8 * 144 + 7 * _APART  # eight small images
_COLUMNS = 2  # of signals


@dataclass(frozen=True)
class _Look:
    """How samples of some number of dimensions are shown.

    Attributes:
        count: How many, of each split.
        tiles: A picture of each sample of each split.
    """

    count: int
    tiles: Callable[[Parts], list[list[Image.Image]]]


def preview(dataset: Dataset, config: DataConfig, path: Path, samples: int | None = None, seed: int = 0) -> None:
    """Writes a PNG with training samples above and test samples below, all as a model sees them.

    Training samples are the first of a shuffled epoch, cut and changed at random as ``config`` says; test samples are
    spread over the split. Images are a grid; videos, and volumes along their first axis, are strips of frames; signals
    are curves on one scale.

    Args:
        dataset: The data.
        config: What it was opened with.
        path: The PNG to write.
        samples: How many of each split; a pageful, if not given.
        seed: Of the choice and the changes of training samples.

    Raises:
        DataError: The augmentation does not fit the samples.
        ShapeError: Samples have more than 4 dimensions.
    """
    shape = dataset.train.shape
    look = _LOOKS.get(len(shape) - 1)
    if look is None:
        raise ShapeError(f"a preview needs samples of 1 to 4 dimensions, but these are {shape}")
    count = samples or look.count
    train, test = _training(dataset.train, config, count, seed), _spread(dataset.test, count)
    sheet = [caption(_title(dataset, config), _WIDTH, TEXT + 2)]
    tiles = look.tiles([train, test])
    for name, split, pictures in zip(("training", "test"), (dataset.train, dataset.test), tiles, strict=True):
        heading = caption(f"{len(pictures)} of {len(split):,} {name} samples{_excerpt(shape)}", _WIDTH)
        columns = max(1, (_WIDTH + _APART) // (pictures[0].width + _APART))
        sheet.append(below([heading, grid(pictures, columns, _APART)]))
    save(below(sheet, 2 * _APART), path)


def _training(samples: SampleSet, config: DataConfig, count: int, seed: int) -> torch.Tensor:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        change = augmentation(config)
        seen = samples.scale.to_unit(next(batches(samples, count, seed=seed)), torch.device("cpu"))
        return change(seen) if change else seen


def _spread(samples: SampleSet, count: int) -> torch.Tensor:
    chosen = np.linspace(0, len(samples) - 1, min(count, len(samples))).round().astype(np.int64)
    return samples.scale.to_unit(samples[chosen], torch.device("cpu"))


def _title(dataset: Dataset, config: DataConfig) -> str:
    shape = " x ".join(map(str, dataset.train.shape))
    changes = [*config.augment, *(["random crops"] if dataset.train.window.crop else [])]
    dtype = str(dataset.train[:1].dtype).removeprefix("torch.")
    return (
        f"{config.path}: samples of {shape}, {dtype}; {len(dataset.train):,} for training, {len(dataset.test):,} for "
        f"testing; augmentation: {', '.join(changes) or 'none'}"
    )


def _excerpt(shape: tuple[int, ...]) -> str:
    """What is left out of samples."""
    channels, *size = shape
    match size:
        case [_]:
            return f", {CHANNELS} of their {channels} channels" if channels > CHANNELS else ""
        case [_, _]:
            return ""
        case [*first, length, _, _]:
            middle = f", in the middle of the first axis ({first[0] // 2} of {first[0]})" if first else ""
            return f", steps {', '.join(map(str, shown_frames(length)))} of {length}{middle}"
    return ""


def _strips(parts: Parts) -> list[list[Image.Image]]:
    return [[row(strip) for strip in strips(part)] for part in parts]


def _curves(parts: Parts) -> list[list[Image.Image]]:
    """All on one scale."""
    arrays = [part.numpy() for part in parts]
    span = span_of(np.concatenate([values.ravel() for values in arrays]))
    width = (_WIDTH - _APART) // _COLUMNS
    return [[waveforms([Curve("", BLUE, 1.4, signal)], span, width) for signal in signals] for signals in arrays]


_LOOKS = {
    1: _Look(6, _curves),
    2: _Look(24, _strips),
    3: _Look(4, _strips),
    4: _Look(4, _strips),
}
