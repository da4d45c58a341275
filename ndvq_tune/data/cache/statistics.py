"""Statistics of stored values, channel by channel, computed once and kept beside them."""

import hashlib
import json
import operator
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import reduce
from itertools import islice
from pathlib import Path

import numpy as np

from ndvq_tune.atomic import replacing
from ndvq_tune.data.cache.source import Progress, Rows

_BLOCK = 2**20  # values at once
_GROUP = 16  # blocks of a thread


@dataclass(frozen=True)
class Statistics:
    """Statistics of some values, as they are stored; the sum of two is that of both together.

    Attributes:
        count: How many values.
        mean: Their mean.
        squares: Sum of their squared distances from the mean.
        minimum: The least.
        maximum: The greatest.

    Example:
        >>> both = Statistics.of(np.array([1, 2])) + Statistics.of(np.array([6]))
        >>> both.count, both.mean, round(both.variance, 3)
        (3, 3.0, 4.667)
    """

    count: int
    mean: float
    squares: float
    minimum: float
    maximum: float

    @classmethod
    def of(cls, values: Rows) -> "Statistics":
        """The statistics of an array, in double precision."""
        flat = values.astype(np.float64).ravel()
        mean = flat.mean()
        flat -= mean
        # The mean is rounded; what is left of it (the sum of the distances) belongs to the squares.
        squares = np.dot(flat, flat) - flat.sum() ** 2 / flat.size
        return cls(flat.size, float(mean), float(squares), float(values.min()), float(values.max()))

    @property
    def variance(self) -> float:
        """The mean squared distance from the mean."""
        return max(0.0, self.squares / self.count)

    def __add__(self, other: "Statistics") -> "Statistics":
        """The statistics of both together (Chan, Golub and LeVeque, 1979, eq. 2.1)."""
        count = self.count + other.count
        apart = other.mean - self.mean
        return Statistics(
            count,
            self.mean + apart * other.count / count,
            self.squares + other.squares + apart**2 * self.count * other.count / count,
            min(self.minimum, other.minimum),
            max(self.maximum, other.maximum),
        )


Channels = tuple[Statistics, ...]


def statistics(
    recordings: Mapping[str, Rows], folder: Path, progress: Progress, release: Callable[[], None]
) -> Channels:
    """Statistics of each channel over all values of some recordings.

    Args:
        recordings: By name, each from its first row on, channels last.
        folder: Where the result is kept for the next time.
        progress: Told how many values are done.
        release: Called now and then; lets go of the memory behind what was read.
    """
    kept = folder / f"channels-{_key(recordings)}.json"  # release 0.1 kept statistics-*.json, of all values together
    try:
        return tuple(Statistics(**channel) for channel in json.loads(kept.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        found = _computed(list(recordings.values()), progress, release)
    with suppress(PermissionError), replacing(kept) as draft:  # not in a cache of others, which we may only read
        draft.write_text(json.dumps([asdict(channel) for channel in found]), encoding="utf-8")
    return found


def _key(recordings: Mapping[str, Rows]) -> str:
    lengths = json.dumps([(name, len(rows)) for name, rows in recordings.items()])
    return hashlib.sha256(lengths.encode()).hexdigest()[:16]


def _computed(recordings: Sequence[Rows], progress: Progress, release: Callable[[], None]) -> Channels:
    threads = os.cpu_count() or 1
    total = sum(rows.size for rows in recordings)
    blocks = (block for rows in recordings for block in _blocks(rows))
    parts: list[Channels] = []
    with ThreadPoolExecutor(threads) as pool:
        # Some at a time: a pool takes all that it is given at once, and with it all of the data.
        while group := list(pool.map(_of_channels, islice(blocks, _GROUP * threads))):
            parts.append(reduce(_added, group))
            release()
            done = sum(channel.count for part in parts for channel in part)
            progress("Measuring mean and variance", done, total)
    return reduce(_added, parts)


def _of_channels(block: Rows) -> Channels:
    return tuple(map(Statistics.of, np.ascontiguousarray(block.reshape(-1, block.shape[-1]).T)))


def _added(one: Channels, other: Channels) -> Channels:
    return tuple(map(operator.add, one, other))


def _blocks(rows: Rows) -> Iterator[Rows]:
    step = max(1, _BLOCK * len(rows) // rows.size)
    return (rows[start : start + step] for start in range(0, len(rows), step))
