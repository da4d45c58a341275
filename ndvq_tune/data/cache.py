"""Decoded once: entries on disk, mapped into memory by every process that needs them.

An entry is a folder named after a hash of what its rows depend on: the content of the files, and the settings. It holds
shards and an index of them. Whoever builds one holds its lock; who comes meanwhile waits and then uses it.
"""

import hashlib
import json
import mmap
import os
import shutil
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from pydantic import ByteSize, TypeAdapter, ValidationError

from ndvq_tune.atomic import replacing
from ndvq_tune.data.progress import Progress
from ndvq_tune.data.shards import Recording, Shard, ShardJob, shard_jobs, write_shard
from ndvq_tune.data.source import Item, Rows, Source
from ndvq_tune.errors import DataError

FORMAT = 2
DEFAULT_LIMIT = "100GB"
INDEX = "index.json"
_CHUNK = 2**24

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
    """

    recordings: dict[str, Rows]
    skipped: dict[str, str]
    folder: Path
    maps: dict[str, mmap.mmap]


def cache_root() -> Path:
    """Where decoded data is kept: ``NDVQ_TUNE_CACHE``, or else ``~/.cache/ndvq_tune``."""
    return Path(os.environ.get("NDVQ_TUNE_CACHE") or "~/.cache/ndvq_tune").expanduser()


def cache_limit() -> int:
    """Bytes that the cache may take: ``NDVQ_TUNE_CACHE_LIMIT``, such as ``500GB``.

    Raises:
        DataError: The variable does not hold a size.
    """
    text = os.environ.get("NDVQ_TUNE_CACHE_LIMIT") or DEFAULT_LIMIT
    try:
        return int(TypeAdapter(ByteSize).validate_python(text))
    except ValidationError:
        raise DataError(f"NDVQ_TUNE_CACHE_LIMIT={text}: needs a size such as 500GB or 20GiB") from None


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
    items = source.items(progress)
    entry = cache_root() / _key(source, items)
    try:
        shards = _read(entry)
        if shards is None:
            with _alone(entry, progress):
                shards = _read(entry) or _build(entry, source, items, progress, spread)
            trim(cache_root(), limit, keep=entry)
        with suppress(PermissionError):  # a cache of others, which we may only read
            os.utime(entry / INDEX)
    except OSError as error:
        raise DataError(
            f"{cache_root()}: decoded data cannot be kept there ({error}); "
            "set the environment variable NDVQ_TUNE_CACHE to a folder with space"
        ) from error
    return _mapped(entry, shards, source, items)


def trim(root: Path, limit: int, keep: Path | None = None) -> list[Path]:
    """Removes entries that were not used for longest, until all together fit a limit.

    A process that has an entry open goes on with it: its files live on until it ends.

    Returns:
        The removed entries.
    """
    entries = [index.parent for index in sorted(root.glob(f"*/{INDEX}"), key=_age) if read_index(index.parent)]
    sizes = {entry: folder_bytes(entry) for entry in entries}
    removed: list[Path] = []
    for entry in sizes:
        if sum(sizes.values()) - sum(sizes[gone] for gone in removed) <= limit:
            break
        if entry != keep:
            shutil.rmtree(entry, ignore_errors=True)
            removed.append(entry)
    return removed


def folder_bytes(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _age(index: Path) -> int:
    return index.stat().st_mtime_ns


def _key(source: Source, items: Sequence[Item]) -> str:
    content = [(item.name, item.content) for item in items]
    described = json.dumps({"format": FORMAT, "noun": source.noun, "settings": source.settings, "items": content})
    return hashlib.sha256(described.encode(errors="surrogateescape")).hexdigest()[:32]


@contextmanager
def _alone(entry: Path, progress: Progress) -> Iterator[None]:
    entry.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(entry.parent / f".{entry.name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        progress("Waiting: another process decodes the same data", 0, 1)
        lock.acquire()
        progress("Waiting: another process decodes the same data", 1, 1)
    try:
        yield
    finally:
        lock.release()


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
    _write_index(building, source, shards)
    shutil.rmtree(entry, ignore_errors=True)  # damaged, or it would have been used
    building.rename(entry)
    return shards


def _nothing_decoded(source: Source, skipped: dict[str, str]) -> DataError:
    reasons = "\n".join(f"  {name}: {reason}" for name, reason in list(skipped.items())[:5])
    return DataError(f"{source.place}: none of its {len(skipped)} {source.noun} can be read, for example\n{reasons}")


def _write_index(folder: Path, source: Source, shards: Sequence[Shard]) -> None:
    index = {
        "format": FORMAT,
        "place": source.place,
        "noun": source.noun,
        "settings": source.settings,
        "shards": [asdict(shard) for shard in shards],
        "modified": [(folder / shard.file).stat().st_mtime_ns for shard in shards],
    }
    with replacing(folder / INDEX) as draft:
        draft.write_text(json.dumps(index), encoding="utf-8")


def read_index(entry: Path) -> dict[str, Any] | None:
    """What an entry says of itself: ``place``, ``noun``, ``settings``, ``shards``; None if it is no entry."""
    try:
        index: dict[str, Any] = json.loads((entry / INDEX).read_text(encoding="utf-8"))
        return index if index["format"] == FORMAT else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _read(entry: Path) -> list[Shard] | None:
    """The shards of an entry; None if it is not there, cut off or damaged.

    Size and time stamp tell of a change. Where the time differs, the check sum decides: a copied cache is whole.
    """
    index = read_index(entry)
    try:
        if index is None:
            return None
        shards = [Shard.from_dict(shard) for shard in index["shards"]]
        for shard, modified in zip(shards, index["modified"], strict=True):
            stat = (entry / shard.file).stat()
            if stat.st_size != shard.size or (stat.st_mtime_ns != modified and crc(entry / shard.file) != shard.crc):
                return None
        return shards
    except (OSError, ValueError, TypeError, KeyError):
        return None


def crc(path: Path) -> int:
    """CRC-32 of a file."""
    found = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            found = zlib.crc32(chunk, found)
    return found


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
    return Decoded(recordings, skipped, entry, maps)


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
