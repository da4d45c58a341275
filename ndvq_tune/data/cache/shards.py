"""Shards: the rows of some items, one after another in one file. Written wherever there is a core to spare."""

import json
import os
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from ndvq_tune.atomic import replacing
from ndvq_tune.data.cache.source import Item, Rows, Source
from ndvq_tune.errors import DataError, UnavailableError

SHARD_BYTES = 16 * 2**20  # of what is decoded: enough to be worth a process, little enough to share out evenly


@dataclass(frozen=True)
class Recording:
    """The rows of one item.

    Attributes:
        name: The item's name.
        offset: Its first byte in the shard; -1 where the file itself is mapped and nothing is in the shard.
        shape: ``(length, *row)``, channels last.
        dtype: NumPy's name of the type.
        rate: Rows a second as the item stated them, see ``Content``; entries did not always have it.
    """

    name: str
    offset: int
    shape: tuple[int, ...]
    dtype: str
    rate: float | None = None


@dataclass(frozen=True)
class Shard:
    """What is in a shard.

    Attributes:
        file: Its name in the entry's folder.
        size: Its bytes.
        crc: CRC-32 of them.
        recordings: In the order of the items.
        skipped: Items that could not be decoded, with the reason.
    """

    file: str
    size: int
    crc: int
    recordings: tuple[Recording, ...]
    skipped: dict[str, str]

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Shard":
        """A shard from its index, which is ``asdict`` of it as JSON."""
        recordings = tuple(Recording(**found | {"shape": tuple(found["shape"])}) for found in values["recordings"])
        return cls(**values | {"recordings": recordings})


@dataclass(frozen=True)
class ShardJob:
    """A shard to write: it holds all that a process elsewhere needs for it."""

    source: Source
    items: tuple[Item, ...]
    folder: Path
    number: int

    @property
    def done(self) -> Shard | None:
        """The shard, if it is there and whole."""
        try:
            shard = Shard.from_dict(json.loads(self._index.read_text(encoding="utf-8")))
            return shard if (self.folder / shard.file).stat().st_size == shard.size else None
        except (OSError, ValueError, TypeError, KeyError):
            return None

    @property
    def _index(self) -> Path:
        return self.folder / f"{self.number:05}.json"

    def write(self) -> None:
        """Decode the items into the shard's file, then say what is in it."""
        with tempfile.NamedTemporaryFile(dir=self.folder, suffix=".part", delete=False) as out:
            shard = _fill(out, f"{self.number:05}.bin", self.source, self.items)
            out.flush()
            # On disk before it has its name: after a power cut it must not be there with holes in it.
            os.fsync(out.fileno())
        Path(out.name).replace(self.folder / shard.file)
        with replacing(self._index) as draft:
            draft.write_text(json.dumps(asdict(shard)), encoding="utf-8")


def shard_jobs(source: Source, items: Sequence[Item], folder: Path) -> list[ShardJob]:
    """Shares items out to shards: consecutive ones, of at most ``SHARD_BYTES`` together; a larger one is on its own.

    Args:
        source: What the items are of.
        items: All items, in the order in which their rows shall be.
        folder: Where the shards are written.
    """
    return [ShardJob(source, tuple(group), folder, number) for number, group in enumerate(_groups(items))]


def write_shard(job: ShardJob) -> int:
    """Writes a job's shard, and returns how many items that took. A function, which can be sent to another process."""
    job.write()
    return len(job.items)


def _groups(items: Sequence[Item]) -> Iterator[list[Item]]:
    group: list[Item] = []
    size = 0
    for item in items:
        if group and size + item.size > SHARD_BYTES:
            yield group
            group, size = [], 0
        group.append(item)
        size += item.size
    if group:
        yield group


def _fill(out: IO[bytes], file: str, source: Source, items: Sequence[Item]) -> Shard:
    recordings: list[Recording] = []
    skipped: dict[str, str] = {}
    crc = 0
    for item in items:
        offset = out.tell()
        try:
            if item.problem:
                raise DataError(item.problem)
            mapped = source.mapped(item)
            if mapped is None:
                recording, crc = _append(out, source, item, crc)
            else:
                recording = _checked(source, item, mapped)
            recordings.append(recording)
        except UnavailableError:
            raise  # later it may be read: it must not be left out of the cache for good
        except DataError as error:
            out.seek(offset)
            out.truncate()
            skipped[item.name] = str(error).removeprefix(f"{source.path_of(item)}: ")
    return Shard(file, out.tell(), crc, tuple(recordings), skipped)


def _append(out: IO[bytes], source: Source, item: Item, crc: int) -> tuple[Recording, int]:
    # Aligned, so that rows of any type can be looked at where they lie.
    out.write(padding := bytes(-out.tell() % 16))
    crc = zlib.crc32(padding, crc)
    offset, length, row, dtype = out.tell(), 0, None, None
    with source.read(item) as content:
        for block in content.blocks:
            if row is not None and (block.shape[1:], block.dtype) != (row, dtype):
                raise DataError(f"{source.path_of(item)}: its parts differ in shape or type")
            row, dtype = block.shape[1:], block.dtype
            values = np.ascontiguousarray(block).data
            out.write(values)
            crc = zlib.crc32(values, crc)
            length += len(block)
    if row is None or dtype is None:
        raise DataError(f"{source.path_of(item)}: there is nothing in it")
    return Recording(item.name, offset, (length, *row), dtype.str, content.rate), crc


def _checked(source: Source, item: Item, mapped: Rows) -> Recording:
    """A file that is used where it lies; read once, because only reading finds values that are not finite."""
    if np.issubdtype(mapped.dtype, np.inexact):
        with source.read(item) as content:
            for _ in content.blocks:
                pass
    return Recording(item.name, -1, mapped.shape, mapped.dtype.str)
