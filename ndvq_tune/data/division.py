"""The two splits of a data set, before samples are cut: given as folders, or divided by a share."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256

from ndvq_tune.config import DataConfig, TorchvisionData
from ndvq_tune.data.cache.decoding import Decoded, Spread, decoded
from ndvq_tune.data.cache.source import Progress, Rows, Source
from ndvq_tune.data.folder.source import FolderSource
from ndvq_tune.data.torchvision.source import TorchvisionSource
from ndvq_tune.errors import DataError

TRAIN, TEST = "train", "test"


@dataclass(frozen=True)
class Split:
    """One split.

    Attributes:
        name: ``train`` or ``test``.
        place: Where it is, for messages.
        noun: What its items are called.
        decoded: Its rows.
    """

    name: str
    place: str
    noun: str
    decoded: Decoded

    def with_recordings(self, recordings: Mapping[str, Rows], skipped: Mapping[str, str]) -> "Split":
        """A copy with other rows.

        Args:
            recordings: By item name, ``(length, *row)``.
            skipped: Items that are left out, with the reason.
        """
        return replace(self, decoded=replace(self.decoded, recordings=dict(recordings), skipped=dict(skipped)))


def source(config: DataConfig, split: str | None) -> Source:
    """Where a split, or all of a data set, comes from.

    Raises:
        DataError: There is no such split, or no such data set.
    """
    return TorchvisionSource(config, split) if isinstance(config, TorchvisionData) else FolderSource.of(config, split)


def splits(config: DataConfig, progress: Progress, spread: Spread) -> tuple[Split, Split]:
    """The training and the test data, decoded.

    Args:
        config: The data; without ``split`` it has a training and a test part of its own.
        progress: Told how many items are decoded.
        spread: Who decodes, see ``cache.decoding.decoded``.

    Raises:
        DataError: One of them is missing or has nothing in it.
    """
    if config.split is None:
        sources = {name: source(config, name) for name in (TRAIN, TEST)}
        train, test = (
            Split(name, found.place, found.noun, decoded(found, progress, spread)) for name, found in sources.items()
        )
        return train, test
    whole = source(config, None)
    divide = {"file": by_file, "time": by_time}[config.split_by]
    return divide(Split("", whole.place, whole.noun, decoded(whole, progress, spread)), config.split)


def by_file(whole: Split, share: float) -> tuple[Split, Split]:
    """Whole recordings to one side or the other, by a hash of their names: a file that is added moves few others.

    Args:
        whole: The data set.
        share: Share of the recordings that is for training; at least one is on each side.

    Raises:
        DataError: There is only one.
    """
    names = sorted(whole.decoded.recordings, key=lambda name: sha256(name.encode(errors="surrogateescape")).digest())
    if len(names) < 2:
        raise DataError(
            f"{whole.place}: one file cannot be split by file; set data.split_by to time to train on its beginning"
        )
    first = min(len(names) - 1, max(1, round(share * len(names))))
    training = frozenset(names[:first])
    return _divided(
        whole,
        {name: rows for name, rows in whole.decoded.recordings.items() if name in training},
        {name: rows for name, rows in whole.decoded.recordings.items() if name not in training},
    )


def by_time(whole: Split, share: float) -> tuple[Split, Split]:
    """The beginning of every recording to training, its end to testing; no row is in both.

    Args:
        whole: The data set.
        share: Share of the rows of each recording that is for training, rounded up to a whole row.
    """
    cuts = {name: math.ceil(share * len(rows)) for name, rows in whole.decoded.recordings.items()}
    return _divided(
        whole,
        {name: rows[: cuts[name]] for name, rows in whole.decoded.recordings.items()},
        {name: rows[cuts[name] :] for name, rows in whole.decoded.recordings.items()},
    )


def _divided(whole: Split, train: Mapping[str, Rows], test: Mapping[str, Rows]) -> tuple[Split, Split]:
    """What could not be decoded, or is of another kind, is counted once, with the training data."""
    return (
        replace(whole, name=TRAIN).with_recordings(train, whole.decoded.skipped),
        replace(whole, name=TEST, decoded=replace(whole.decoded, foreign={})).with_recordings(test, {}),
    )
