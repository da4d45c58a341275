"""A data set, checked and ready for training."""

import operator
from collections import Counter
from dataclasses import dataclass
from functools import reduce

import numpy as np

from ndvq_tune.config import ArrayData, DataConfig, ImageData, SignalData, TorchvisionData, VideoData
from ndvq_tune.config.card import DataCard
from ndvq_tune.data.batches.augment import augmentation
from ndvq_tune.data.batches.samples import SampleSet, Scale, Window, release
from ndvq_tune.data.cache.decoding import Spread
from ndvq_tune.data.cache.source import Progress, Rows, silent
from ndvq_tune.data.cache.statistics import Channels, Statistics, statistics
from ndvq_tune.data.card import channel_names, data_card
from ndvq_tune.data.division import TRAIN, Split, splits
from ndvq_tune.data.folder.source import FolderSource
from ndvq_tune.data.readers.array import sample_shape_of
from ndvq_tune.data.sample_data import ensure_samples
from ndvq_tune.errors import DataError

_EXAMPLES = 5
_LEAST_VARIANCE = 1e-12  # of values in [0, 1]: below, float32 rounds away much of what varies


Statistic = float | tuple[float, ...]
"""Of all values together, or of each channel."""


@dataclass(frozen=True)
class Dataset:
    """What a model is trained on and judged by.

    Attributes:
        train: Samples for training; with a small stride or hop they overlap.
        test: Samples for validation; they never overlap, so that nothing counts twice.
        mean: Mean of each channel of the training values, or of all together, as ``normalise`` says; on the scale where
            samples lie in [0, 1].
        variance: Their variance, never 0: a constant channel has the one of all values.
        pooled_variance: The variance of all values together.
        skipped: Files that are left out, as ``train/name.mp4``, with the reason; those of another kind come last.
        files: How many files there are, with those.
        channel_names: What the channels are called; empty where that is not known.
        card: All of this for whoever uses the model later; None of data that was made in memory.
    """

    train: SampleSet
    test: SampleSet
    mean: Statistic
    variance: Statistic
    pooled_variance: float
    skipped: dict[str, str]
    files: int
    channel_names: tuple[str, ...] = ()
    card: DataCard | None = None


def open_dataset(config: DataConfig, progress: Progress | None = None, spread: Spread = map) -> Dataset:
    """Opens a data set; the first time, it is decoded into the cache.

    Args:
        config: Where the data is, and how samples are cut from it.
        progress: Called as ``progress(description, done, total)`` while samples are made and files decoded.
        spread: Who decodes; this process alone, if not given.

    Raises:
        DataError: A folder is missing or empty, or more than ``max_bad`` of the files in a split cannot be used. Fewer
            than that are only left out, and named in ``skipped``.
    """
    report = progress or silent
    augmentation(config)  # what is wrong with it is said before anything is decoded
    ensure_samples(config, report)
    both = splits(config, report, spread)
    layout = _most_common_layout(both[0], config)
    train, test = (_usable(split, layout, config) for split in both)
    rows, maps = train.decoded.recordings, train.decoded.maps
    channels = statistics(rows, train.decoded.folder, report, lambda: release(maps.values()))
    pooled = reduce(operator.add, channels)
    if pooled.variance == 0:
        raise DataError(f"{train.place}: every value for training is {pooled.mean:g}, so there is nothing to learn")
    scale = Scale.of(layout[0], pooled.minimum, pooled.maximum)
    if isinstance(config, SignalData):
        scale = scale.about_zero()
    pooled_mean, pooled_variance = _in_unit(pooled, scale)
    of_all = config.normalise == "pooled"
    mean, variance = (pooled_mean, pooled_variance) if of_all else _of_each(channels, pooled_variance, scale)
    train_samples = _samples(train, window_of(config, training=True), scale)
    test_samples = _samples(test, window_of(config, training=False), scale)
    return Dataset(
        train=train_samples,
        test=test_samples,
        mean=mean,
        variance=variance,
        pooled_variance=pooled_variance,
        skipped={
            f"{split.name}/{name}": reason
            for split in (train, test)
            for name, reason in (split.decoded.skipped | split.decoded.foreign).items()
        },
        # By place and name: with split_by: time, one file is on both sides.
        files=len({(split.place, name) for split in (train, test) for name in _names(split)}),
        channel_names=channel_names(config),
        card=data_card(config, train, test, train_samples, test_samples, pooled),
    )


def _of_each(channels: Channels, pooled_variance: float, scale: Scale) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and variance of each channel, where samples lie in [0, 1]."""
    means, variances = zip(*(_in_unit(channel, scale) for channel in channels), strict=True)
    return means, tuple(each if each > _LEAST_VARIANCE else pooled_variance for each in variances)


def _in_unit(found: Statistics, scale: Scale) -> tuple[float, float]:
    return (found.mean - scale.low) / (scale.high - scale.low), found.variance / (scale.high - scale.low) ** 2


def sample_shape(config: DataConfig) -> tuple[int, ...]:
    """Shape ``(C, *S)`` of a sample, without decoding anything.

    Raises:
        DataError: The files have to be asked, and there are none, or the first of them is unreadable.
    """
    if not isinstance(config, ArrayData):
        return config.sample_shape
    ensure_samples(config, silent)
    with FolderSource.of(config, None if config.split else TRAIN).first_file() as path:
        return sample_shape_of(path, config)


def window_of(config: DataConfig, *, training: bool) -> Window:
    """How samples are cut from recordings.

    Args:
        config: The data.
        training: Whether for training, where samples may overlap; those for testing never do.

    Example:
        >>> config = VideoData(clip_length=8, clip_stride=4)
        >>> window_of(config, training=True).stride, window_of(config, training=False).stride
        (4, 8)
    """
    crop = None if isinstance(config, SignalData | ArrayData) or config.crop == "centre" else config.resolution
    match config:
        case VideoData():
            clip = Window(config.clip_length, step=config.frame_stride, crop=crop)
            stride = config.clip_stride if training else None
            return Window(clip.length, stride or clip.span, clip.step, crop)
        case TorchvisionData():
            return Window(config.clip_length, config.clip_length or 1, crop=crop)
        case SignalData():
            return Window(config.window, (config.hop if training else None) or config.window)
        case ImageData() | ArrayData():
            return Window(crop=crop)


def _names(split: Split) -> set[str]:
    found = split.decoded
    return found.recordings.keys() | found.skipped.keys() | found.foreign.keys()


def _samples(split: Split, window: Window, scale: Scale) -> SampleSet:
    recordings, maps = split.decoded.recordings, split.decoded.maps
    return SampleSet(list(recordings.values()), window, scale, [maps[name] for name in recordings])


Layout = tuple[np.dtype[np.generic], tuple[int, ...]]


def _layout(rows: Rows, window: Window) -> Layout:
    """Type and shape of a row, as far as all have to agree: frames that are cropped later may differ in size."""
    return rows.dtype, rows.shape[-1:] if window.crop else rows.shape[1:]


def _most_common_layout(split: Split, config: DataConfig) -> Layout:
    window = window_of(config, training=True)
    return Counter(_layout(rows, window) for rows in split.decoded.recordings.values()).most_common(1)[0][0]


def _usable(split: Split, layout: Layout, config: DataConfig) -> Split:
    """A split without the recordings that are too short for a sample, or of another layout than the others."""
    window = window_of(config, training=True)
    recordings: dict[str, Rows] = {}
    skipped = dict(split.decoded.skipped)
    for name, rows in split.decoded.recordings.items():
        if len(rows) < window.span:
            skipped[name] = _too_short(len(rows), window.span, config)
        elif (own := _layout(rows, window)) != layout:
            skipped[name] = f"is {_described(own)}, the others are {_described(layout)}"
        else:
            recordings[name] = rows
    total = len(recordings) + len(skipped)
    if not recordings or len(skipped) > config.max_bad * total:
        raise _too_many_bad(split, skipped, total, config)
    return split.with_recordings(recordings, skipped)


def _too_short(length: int, span: int, config: DataConfig) -> str:
    if isinstance(config, SignalData):
        return f"has {length} steps, but data.window is {span}"
    if isinstance(config, ArrayData):
        return "has too few samples to give some to this side"
    return f"has {length} frames, but a clip needs {span} (data.clip_length)"


def _described(layout: Layout) -> str:
    dtype, row = layout
    return f"{dtype} of {' x '.join(map(str, row[:-1])) + ' and ' if row[:-1] else ''}{row[-1]} channels"


def _too_many_bad(split: Split, skipped: dict[str, str], total: int, config: DataConfig) -> DataError:
    examples = "\n".join(f"  {name}: {reason}" for name, reason in list(skipped.items())[:_EXAMPLES])
    if len(skipped) == total:
        return DataError(f"{split.place}: none of its {total} {split.noun} can be used, for example\n{examples}")
    return DataError(
        f"{split.place}: {len(skipped)} of its {total} {split.noun} cannot be used, more than data.max_bad: "
        f"{config.max_bad:g} allows; mend or remove them, or raise it. For example\n{examples}"
    )
