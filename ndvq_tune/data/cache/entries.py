"""What is in the cache, for people who look after it."""

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ndvq_tune.data.cache.index import INDEX, crc, read_index
from ndvq_tune.data.cache.location import folder_bytes
from ndvq_tune.data.cache.shards import Shard
from ndvq_tune.errors import DataError
from ndvq_tune.locks import try_lock

_KEY = "[0-9a-f]{32}"


@dataclass(frozen=True)
class Entry:
    """One split of a data set, decoded.

    Attributes:
        folder: Where it is.
        place: The folder or URI that it was decoded from.
        noun: What its items are called.
        settings: What its rows depend on.
        shards: Its files.
        size: Bytes of all of them.
        used: When it was last opened, in seconds since 1970.
    """

    folder: Path
    place: str
    noun: str
    settings: dict[str, Any]
    shards: tuple[Shard, ...]
    size: int
    used: float

    @property
    def rows(self) -> list[int]:
        """How many rows each item has that could be decoded."""
        return [recording.shape[0] for shard in self.shards for recording in shard.recordings]

    @property
    def skipped(self) -> int:
        """How many items could not be decoded."""
        return sum(len(shard.skipped) for shard in self.shards)

    def damaged(self) -> list[str]:
        """Names of its files that are missing, or that are not what was written; all are read for that."""
        return [shard.file for shard in self.shards if not _is_whole(self.folder / shard.file, shard)]


def entries(root: Path) -> list[Entry]:
    """All entries of a cache, the last used first. Folders that the cache did not write are none."""
    found = [_entry(folder) for folder in _named(root, _KEY) if folder.is_dir()]
    return sorted((entry for entry in found if entry), key=lambda entry: entry.used, reverse=True)


def leftovers(root: Path, before: float) -> list[Path]:
    """What lies in a cache beside entries: folders of builds that did not end, digests of files, locks.

    Args:
        root: The cache.
        before: Only what was last changed before this time, in seconds since 1970.
    """
    found = [
        *_named(root, rf"\.{_KEY}\.building"),
        *_named(root / "digests", rf"{_KEY}\.json"),
        *_named(root, rf"\.{_KEY}\.lock"),
    ]
    return [path for path in found if path.stat().st_mtime < before]


def bytes_of(paths: Sequence[Path]) -> int:
    """Bytes of some files, and of all files in some folders."""
    return sum(folder_bytes(path) if path.is_dir() else path.stat().st_size for path in paths)


def remove(root: Path, paths: Sequence[Path]) -> list[Path]:
    """Removes entries and leftovers, but nothing that a process is about to write.

    A process that has an entry open goes on with it: its files live on until it ends.

    Returns:
        What was left alone.

    Raises:
        DataError: This user may not remove it.
    """
    busy = []
    for path in paths:
        key = path.name.strip(".").partition(".")[0]
        try:
            if not _removed(path, root / f".{key}.lock"):
                busy.append(path)
        except OSError as error:
            raise DataError(f"{path}: cannot be removed: {error}") from error
    return busy


def _named(folder: Path, pattern: str) -> list[Path]:
    """What is in a folder under such a name. Links lead elsewhere, and are left out."""
    if not folder.is_dir():
        return []
    return [path for path in folder.iterdir() if re.fullmatch(pattern, path.name) and not path.is_symlink()]


def _entry(folder: Path) -> Entry | None:
    index = read_index(folder)
    if index is None:
        return None
    shards = tuple(Shard.from_dict(shard) for shard in index["shards"])
    used = (folder / INDEX).stat().st_mtime
    return Entry(folder, index["place"], index["noun"], index["settings"], shards, folder_bytes(folder), used)


def _is_whole(path: Path, shard: Shard) -> bool:
    return path.is_file() and path.stat().st_size == shard.size and crc(path) == shard.crc


def _removed(path: Path, lock_file: Path) -> bool:
    """Removes something with its lock, unless another process holds that."""
    lock = try_lock(lock_file)
    if lock is None:
        return False
    with lock:
        try:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        finally:
            # While it is held: whoever waits for it sees that the file is gone, and makes another.
            lock_file.unlink(missing_ok=True)
    return True
