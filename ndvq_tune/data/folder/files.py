"""Finding the files of a data set, on this machine or behind a URI."""

import os
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

from ndvq_tune.data.folder import remote
from ndvq_tune.errors import DataError, UnavailableError

_FOLDER_FORMATS = frozenset({".zarr"})
# What lies beside data without being any: notes, labels, settings, programs. Nobody misses it in a model.
_COMPANIONS = frozenset(
    {
        *("", ".txt", ".md", ".rst", ".pdf", ".html", ".log", ".nfo", ".url", ".srt", ".vtt", ".bib"),
        *(".json", ".jsonl", ".yaml", ".yml", ".xml", ".toml", ".ini", ".cfg", ".csv", ".tsv", ".db", ".xmp"),
        *(".py", ".pyc", ".ipynb", ".sh", ".md5", ".sha1", ".sha256"),
    }
)


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of a data set, or a folder that counts as one (zarr).

    Attributes:
        name: Its path below the folder that was searched, with ``/``.
        uri: Its absolute path, or its URI.
        size: Bytes.
        modified: When it was last changed, in nanoseconds; 0 where the storage does not tell.
    """

    name: str
    uri: str
    size: int
    modified: int


@dataclass(frozen=True)
class Listing:
    """What is in a folder.

    Attributes:
        files: The files, sorted by name.
        unreadable: What may not be read, by name, with the reason.
        others: Names of files of other kinds, sorted; not of companions such as notes and labels.
    """

    files: tuple[SourceFile, ...]
    unreadable: dict[str, str]
    others: tuple[str, ...] = ()


def find_files(folder: str, suffixes: frozenset[str]) -> Listing:
    """All files of some kinds in a folder and the folders in it.

    Hidden ones (``.name``) are left out; those of other kinds are only named. A zarr folder counts as one file: its
    size is the sum of what is in it, its time the newest. Links are followed, except those to a folder that they lie
    in, so loops end; what is reached over two links is there twice.

    Args:
        folder: A path, or a URI as ``ndvq_tune.data.folder.remote`` describes them.
        suffixes: Lower case, with dot; files match in either case.

    Raises:
        DataError: The folder is not there, is a file, may not be read or cannot be reached.
    """
    if remote.is_remote(folder):
        return _listing((_Found(*file) for file in remote.files(folder)), suffixes, partial(remote.join, folder))
    top = _local_path(folder)
    _scan(top).close()
    return _listing(_walk(top, suffixes), suffixes, partial(os.path.join, top))


def has_folder(folder: str, name: str) -> bool:
    """Whether there is a folder of this name in another.

    Raises:
        DataError: It is remote and is not there or cannot be reached.
    """
    if remote.is_remote(folder):
        return f"{name}/" in remote.names(folder)
    return Path(join(folder, name)).is_dir()


def list_folder(folder: str, limit: int) -> list[str]:
    """The first names in a folder, sorted, for messages: folders end with ``/``, hidden ones are left out.

    Raises:
        DataError: The folder is not there, is a file, may not be read or cannot be reached.
    """
    if remote.is_remote(folder):
        names = remote.names(folder)
    else:
        with _scan(_local_path(folder)) as entries:
            names = [_printable(entry.name) + "/" * entry.is_dir() for entry in entries]
    return sorted(name for name in names if not name.startswith("."))[:limit]


def join(folder: str, name: str) -> str:
    """Where something in a folder is: an absolute path, or a URI, whose query stays at its end."""
    return remote.join(folder, name) if remote.is_remote(folder) else f"{_local_path(folder)}/{name}"


@contextmanager
def local(file: SourceFile) -> Iterator[Path]:
    """A file on this machine: itself, or a temporary copy of the same name that is removed afterwards.

    Raises:
        UnavailableError: It cannot be fetched.
    """
    if not remote.is_remote(file.uri):
        yield Path(file.uri)
        return
    with tempfile.TemporaryDirectory(prefix="ndvq_tune_") as folder:
        path = Path(folder) / file.name.rpartition("/")[2]
        try:
            remote.fetch(file.uri, path)
        except DataError as error:
            raise UnavailableError(str(error)) from error
        yield path


class _Found(NamedTuple):
    """Something in a folder, with the reason why it cannot be read, if so."""

    name: str
    size: int = 0
    modified: int = 0
    reason: str = ""


def _listing(found: Iterable[_Found], suffixes: frozenset[str], locate: Callable[[str], str]) -> Listing:
    files: dict[str, SourceFile] = {}
    unreadable: dict[str, str] = {}
    others: set[str] = set()
    for path, size, modified, reason in found:
        # What cannot be looked at and has no suffix may be a folder full of files.
        name = _counted_as(path, suffixes | {""} if reason else suffixes)
        if name is None:
            others |= _other(path)
            continue
        if _printable(name) != name:
            reason = "its name is not valid UTF-8; rename it"
        if reason:
            unreadable.setdefault(_printable(name), reason)
        elif name in files:
            whole = files[name]
            files[name] = SourceFile(name, whole.uri, whole.size + size, max(whole.modified, modified))
        else:
            files[name] = SourceFile(name, locate(name), size, modified)
    readable = (files[name] for name in sorted(files) if name not in unreadable)
    return Listing(tuple(readable), unreadable, tuple(sorted(others)))


def _other(path: str) -> set[str]:
    """What is of another kind, by the name that it has for a person; nothing if it is hidden or a companion."""
    if any(part.startswith(".") for part in path.split("/")):
        return set()
    name = _counted_as(path, _FOLDER_FORMATS) or path
    return set() if suffix(name) in _COMPANIONS else {_printable(name)}


def _counted_as(path: str, suffixes: frozenset[str]) -> str | None:
    """The path itself, that of the zarr folder it is in, or None for what is hidden or of another kind."""
    end = -1
    for part in path.split("/"):
        end += 1 + len(part)
        if part.startswith("."):
            return None
        if suffix(part) in _FOLDER_FORMATS & suffixes:
            return path[:end]
    return path if suffix(part) in suffixes else None


def _walk(top: str, suffixes: frozenset[str]) -> Iterator[_Found]:
    """All that is below a folder; folders themselves only where they are part of a zarr, or cannot be read."""
    status = Path(top).stat()
    waiting = [("", top, frozenset({(status.st_dev, status.st_ino)}))]
    while waiting:
        prefix, folder, above = waiting.pop()
        in_zarr = prefix != "" and _counted_as(prefix, _FOLDER_FORMATS & suffixes) is not None
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.name.startswith(".") and not in_zarr:
                        continue
                    name = prefix + entry.name
                    try:
                        status = entry.stat()
                    except OSError as error:
                        yield _Found(name, reason=_broken(entry, error))
                        continue
                    if not stat.S_ISDIR(status.st_mode):
                        yield _Found(name, status.st_size, status.st_mtime_ns, _barrier(entry.path, status))
                        continue
                    identity = (status.st_dev, status.st_ino)
                    if identity not in above:
                        waiting.append((f"{name}/", entry.path, above | {identity}))
                    if in_zarr or suffix(entry.name) in _FOLDER_FORMATS & suffixes:
                        yield _Found(name, 0, status.st_mtime_ns)
        except OSError as error:
            yield _Found(prefix, reason=_words(error))


def _barrier(path: str, status: os.stat_result) -> str:
    if not stat.S_ISREG(status.st_mode):
        return "neither a file nor a folder"
    return "" if os.access(path, os.R_OK) else "permission denied"


def _broken(entry: os.DirEntry[str], error: OSError) -> str:
    return "the link leads nowhere" if entry.is_symlink() and isinstance(error, FileNotFoundError) else _words(error)


def _words(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def suffix(path: str) -> str:
    """What a name ends with, from its last dot on, in lower case; empty for ``README`` and ``.hidden``."""
    name = path.rpartition("/")[2]
    dot = name.rfind(".")
    return name[dot:].lower() if dot > 0 else ""


def _printable(name: str) -> str:
    """The name with bytes that are not UTF-8 written as escapes."""
    return name.encode("utf-8", "backslashreplace").decode()


def _local_path(folder: str) -> str:
    """The absolute path of a folder on this machine, which may be a ``file://`` URI.

    Raises:
        DataError: The URI names another machine.
    """
    scheme, separator, path = folder.partition("://")
    if not separator or scheme.lower() != "file":
        return str(Path(folder).absolute())
    if not path.startswith("/"):
        raise DataError(f"{folder}: a file URI has three slashes and a whole path: file:///data/videos")
    return str(Path(unquote(path)))


def _scan(folder: str) -> Any:
    try:
        return os.scandir(folder)
    except FileNotFoundError as error:
        raise DataError(f"{folder}: no such folder") from error
    except OSError as error:
        raise DataError(f"{folder}: {_words(error)}") from error
