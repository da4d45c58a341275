"""Decoded once: entries on disk, mapped into memory by every process that needs them.

An entry is a folder named after a hash of what its rows depend on: the content of the files, and the settings. It holds
shards and an index of them. Whoever builds one holds its lock; who comes meanwhile waits and then uses it.
"""

import hashlib
import json
import mmap
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from ndvq_tune.data.cache.index import FORMAT, INDEX, whole_shards, write_index
from ndvq_tune.data.cache.location import cache_limit, cache_root, trim
from ndvq_tune.data.cache.shards import Recording, Shard, ShardJob, shard_jobs, write_shard
from ndvq_tune.data.cache.source import Item, Progress, Rows, Source
from ndvq_tune.errors import DataError
from ndvq_tune.locks import try_lock

Spread = Callable[[Callable[[ShardJob], int], Sequence[ShardJob]], Iterable[int]]
"""Calls a function with each of some jobs, anywhere and in any order, and yields what it returns: ``map`` is one."""


@dataclass(frozen=True)
class Decoded:
    """The rows of a source.

    Attributes:
        recordings: By item name: read-only, mapped from disk, ``(length, *row)``, channels last.
        skipped: Items that could not be decoded, with the reason.
        folder: The entry, where what is derived from it may be kept.
        maps: By item name: the file in memory that its rows lie in.
        settings: What the rows depend on, as the source resolved it.
        rates: By item name: rows a second as the item stated them, where it did.
        foreign: Items of a kind that the source does not take, with the reason.
    """

    recordings: dict[str, Rows]
    skipped: dict[str, str]
    folder: Path
    maps: dict[str, mmap.mmap]
    settings: dict[str, Any] = field(default_factory=dict)
    rates: dict[str, float] = field(default_factory=dict)
    foreign: dict[str, str] = field(default_factory=dict)


def decoded(source: Source, progress: Progress, spread: Spread = map) -> Decoded:
    """The rows of a source, decoded now or by an earlier call of any process.

    Args:
        source: What to decode.
        progress: Told how many items are done.
        spread: Who does the decoding; this process, if not given.

    Raises:
        DataError: No item could be decoded, or the cache cannot be written.
    """
    limit = cache_limit()
    found = source.items(progress)
    items = [item for item in found if not item.foreign]
    entry = cache_root() / _key(source, items)
    try:
        shards = whole_shards(entry)
        if shards is None:
            with _alone(entry, progress):
                shards = whole_shards(entry) or _build(entry, source, items, progress, spread)
            trim(cache_root(), limit, keep=entry)
        with suppress(PermissionError):  # a cache of others, which we may only read
            os.utime(entry / INDEX)  # when it was last used, by which trim chooses
    except OSError as error:
        raise DataError(
            f"{cache_root()}: decoded data cannot be kept there ({error}); "
            "set the environment variable NDVQ_TUNE_CACHE to a folder with space"
        ) from error
    foreign = {item.name: item.problem or "" for item in found if item.foreign}
    return replace(_mapped(entry, shards, source, items), foreign=foreign)


def _key(source: Source, items: Sequence[Item]) -> str:
    content = [(item.name, item.content) for item in items]
    described = json.dumps({"format": FORMAT, "noun": source.noun, "settings": source.settings, "items": content})
    return hashlib.sha256(described.encode(errors="surrogateescape")).hexdigest()[:32]


def _alone(entry: Path, progress: Progress) -> AbstractContextManager[object]:
    """The lock of an entry, at once or when whoever holds it is done."""
    entry.parent.mkdir(parents=True, exist_ok=True)
    path = entry.parent / f".{entry.name}.lock"
    if lock := try_lock(path):
        return lock
    progress("Waiting: another process decodes the same data", 0, 1)
    lock = FileLock(path).acquire()
    progress("Waiting: another process decodes the same data", 1, 1)
    return lock


def _build(entry: Path, source: Source, items: Sequence[Item], progress: Progress, spread: Spread) -> list[Shard]:
    """Writes the shards that an earlier, interrupted build did not, and puts all in place as an entry."""
    building = entry.parent / f".{entry.name}.building"
    building.mkdir(exist_ok=True)
    jobs = shard_jobs(source, items, building)
    missing = [job for job in jobs if job.done is None]
    done = len(items) - sum(len(job.items) for job in missing)
    progress(f"Decoding {source.noun}", done, len(items))
    for count in spread(write_shard, missing):
        done += count
        progress(f"Decoding {source.noun}", done, len(items))
    shards = [shard for job in jobs if (shard := job.done) is not None]
    if len(shards) < len(jobs):
        raise DataError(f"{entry}: decoded data was changed while it was written; run again")
    if not any(shard.recordings for shard in shards):
        shutil.rmtree(building, ignore_errors=True)
        raise _nothing_decoded(source, {name: why for shard in shards for name, why in shard.skipped.items()})
    write_index(building, source, shards)
    shutil.rmtree(entry, ignore_errors=True)  # damaged, or it would have been used
    building.rename(entry)
    return shards


def _nothing_decoded(source: Source, skipped: dict[str, str]) -> DataError:
    reasons = "\n".join(f"  {name}: {reason}" for name, reason in list(skipped.items())[:5])
    return DataError(f"{source.place}: none of its {len(skipped)} {source.noun} can be read, for example\n{reasons}")


def _mapped(entry: Path, shards: Sequence[Shard], source: Source, items: Sequence[Item]) -> Decoded:
    by_name = {item.name: item for item in items}
    recordings: dict[str, Rows] = {}
    skipped: dict[str, str] = {}
    maps: dict[str, mmap.mmap] = {}
    for shard in shards:
        skipped |= shard.skipped
        content = _map(entry / shard.file) if shard.size else None
        for found in shard.recordings:
            if content is None or found.offset < 0:
                recordings[found.name], maps[found.name] = _in_place(source, by_name[found.name], found)
            else:
                rows = np.ndarray(found.shape, np.dtype(found.dtype), content, found.offset)
                recordings[found.name], maps[found.name] = rows, content
    rates = {found.name: found.rate for shard in shards for found in shard.recordings if found.rate is not None}
    return Decoded(recordings, skipped, entry, maps, source.settings, rates)


def _in_place(source: Source, item: Item, expected: Recording) -> tuple[Rows, mmap.mmap]:
    """The rows of a file that is used where it lies, and the map below them."""
    rows = source.mapped(item)
    below: Any = rows
    while below is not None and not isinstance(below, mmap.mmap):
        below = below.base
    if rows is None or below is None or rows.shape != expected.shape:
        raise DataError(f"{source.path_of(item)}: was changed while it was read; run again")
    return rows, below


def _map(path: Path) -> mmap.mmap:
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
