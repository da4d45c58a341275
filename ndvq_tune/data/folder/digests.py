"""What is in each file, as a digest; a file that has not changed is read for it only once."""

import hashlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ndvq_tune.atomic import replacing
from ndvq_tune.data.cache.source import Progress
from ndvq_tune.data.folder.files import SourceFile
from ndvq_tune.data.folder.remote import is_remote
from ndvq_tune.errors import DataError

_THREADS = 4
_CHUNK = 1 << 20
# A file may be changed again within the resolution of its time of change: some file systems count in 2 seconds.
_RACY_NS = 2_000_000_000
_UNREADABLE = "unreadable: "

_Memory = dict[str, tuple[int, int, str]]


def digests(root: Path, folder: str, files: Sequence[SourceFile], progress: Progress) -> list[str]:
    """A digest of the content of each file.

    Digests are remembered in ``root / "digests"``, by name, size and time of change. Those of remote files are made of
    these three, so nothing is fetched. The digest of a file that cannot be read says so, and changes when it can be.

    Args:
        root: Where the cache is.
        folder: The folder that the files are in.
        files: What ``find_files`` found in it.
        progress: Told of every file that has to be read.

    Raises:
        DataError: The digests cannot be written down.
    """
    path = root / "digests" / f"{hashlib.sha256(os.fsencode(folder)).hexdigest()[:32]}.json"
    before = _load(path)
    known = {file.name: before[file.name] for file in files if _is_known(file, before)}
    found = {name: digest for name, (_, _, digest) in known.items()}
    try:
        for file, digest, keep in _read([file for file in files if file.name not in known], folder, progress):
            found[file.name] = digest
            if keep:
                known[file.name] = (file.size, file.modified, digest)
    finally:
        # What was read before an interruption need not be read again.
        if known != before:
            _save(path, known)
    return [found[file.name] for file in files]


def _is_known(file: SourceFile, memory: _Memory) -> bool:
    return file.name in memory and memory[file.name][:2] == (file.size, file.modified)


def _read(files: Sequence[SourceFile], folder: str, progress: Progress) -> Iterator[tuple[SourceFile, str, bool]]:
    """Each file with its digest, and whether the digest may be remembered."""
    description = f"Reading {Path(folder).name} files"
    pool = ThreadPoolExecutor(_THREADS)
    try:
        local = [file for file in files if not is_remote(file.uri)]
        for done, (file, (digest, keep)) in enumerate(zip(local, pool.map(_digest, local), strict=True)):
            progress(description, done, len(local))
            yield file, digest, keep
        if local:
            progress(description, len(local), len(local))
    finally:
        pool.shutdown(cancel_futures=True)
    for file in files:
        if is_remote(file.uri):
            described = json.dumps([file.name, file.size, file.modified])
            yield file, _hasher(described.encode()).hexdigest(), False


def _digest(file: SourceFile) -> tuple[str, bool]:
    settled = time.time_ns() - file.modified > _RACY_NS
    hasher = _hasher()
    path = Path(file.uri)
    try:
        if path.is_dir():
            for part in sorted(part for part in path.rglob("*") if part.is_file()):
                hasher.update(json.dumps([part.relative_to(path).as_posix(), part.stat().st_size]).encode())
                _feed(hasher, part)
        else:
            _feed(hasher, path)
    except OSError as error:
        return _UNREADABLE + (error.strerror or str(error)), False
    return hasher.hexdigest(), settled


def _feed(hasher: "hashlib.blake2b", path: Path) -> None:
    with path.open("rb", buffering=0) as content:
        while chunk := content.read(_CHUNK):
            hasher.update(chunk)


def _hasher(content: bytes = b"") -> "hashlib.blake2b":
    return hashlib.blake2b(content, digest_size=16)


def _load(path: Path) -> _Memory:
    """What was remembered; nothing if it is damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {
            str(name): (int(size), int(modified), str(digest)) for name, (size, modified, digest) in content.items()
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _save(path: Path, memory: _Memory) -> None:
    try:
        with replacing(path) as draft:
            draft.write_text(json.dumps(memory), encoding="utf-8")
    except PermissionError:
        return  # a cache of others, which we may only read
    except OSError as error:
        raise DataError(
            f"{path.parent}: cannot be written ({error}); "
            "set the environment variable NDVQ_TUNE_CACHE to a folder with space"
        ) from error
