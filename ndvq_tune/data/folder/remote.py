"""Folders behind URIs: S3, Google Cloud Storage, Azure, HDFS, and whatever fsspec knows.

``s3://bucket/folder``, ``gs://``, ``abfs://`` and ``hdfs://`` are read by pyarrow; they take the credentials that the
storage's own tools take: environment variables (``AWS_ACCESS_KEY_ID`` and ``AWS_SECRET_ACCESS_KEY``), files in the home
folder, or the machine's role. An S3 server of one's own, such as MinIO, is named by the environment variable
``AWS_ENDPOINT_URL=http://host:9000``, or in the URI: ``s3://bucket/folder?endpoint_override=http://host:9000``; as for
all of these, ``region=`` may be given there as well. Environment variables must be set on every node that decodes.

Other schemes (``sftp://``, ``http://``, ``memory://``) go through fsspec and the package that it asks for.
"""

import importlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, unquote, urlsplit

from ndvq_tune.errors import DataError, message_of

_ARROW = frozenset({"s3", "gs", "gcs", "abfs", "abfss", "hdfs", "viewfs"})
_HINTS = {
    "s3": "credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; a server of your own: AWS_ENDPOINT_URL",
    "gs": "credentials: GOOGLE_APPLICATION_CREDENTIALS; a public bucket: gs://anonymous@bucket/folder",
    "abfs": "abfs://container@account.dfs.core.windows.net/folder, and the login of the Azure command line",
    "hdfs": "it needs Java, and Hadoop's files in CLASSPATH and ARROW_LIBHDFS_DIR",
}
_SECONDS = 10
_ATTEMPTS = 3
_TIMES = ("mtime", "LastModified", "last_modified", "updated", "created")


def is_remote(path: str) -> bool:
    """Whether a path is a URI of something that is not on this machine.

    Example:
        >>> is_remote("s3://bucket/videos"), is_remote("file:///data/videos"), is_remote("videos")
        (True, False, False)
    """
    return "://" in path and _scheme(path) != "file"


def join(uri: str, name: str) -> str:
    """The URI of something in a folder, by its name with ``/``.

    Example:
        >>> join("s3://bucket/videos?region=eu", "train/a b.mp4")
        's3://bucket/videos/train/a%20b.mp4?region=eu'
    """
    path, mark, query = uri.partition("?")
    # What pyarrow reads is a URI; what fsspec reads is taken as it stands.
    return path.rstrip("/") + "/" + (quote(name) if _scheme(uri) in _ARROW else name) + mark + query


def shown(uri: str) -> str:
    """The URI, or a message with URIs in it, without the passwords.

    Example:
        >>> shown("sftp://ann:secret@host/videos")
        'sftp://***@host/videos'
    """
    # After the colon comes a password, unless it is a port; a slash in it, which is not allowed, may cut it short.
    return re.sub(r"://[^/@:\s]*:(?!\d+(?![\w@]))([^@\s]*@|[^/\s]*/)", "://***@", uri)


def files(folder: str) -> list[tuple[str, int, int]]:
    """Name below the folder, bytes and time in nanoseconds (0 if not known) of all files in it and the folders in it.

    Raises:
        DataError: The folder is not there or cannot be reached, or the scheme is not known.
    """
    with _explained(folder):
        storage, path = _storage(folder)
        return [(entry.name, entry.size, entry.modified) for entry in storage.list(path, True) if not entry.is_folder]


def names(folder: str) -> list[str]:
    """Names in the folder; those of folders end with ``/``.

    Raises:
        DataError: The folder is not there or cannot be reached, or the scheme is not known.
    """
    with _explained(folder):
        storage, path = _storage(folder)
        return [entry.name + "/" * entry.is_folder for entry in storage.list(path, False)]


def fetch(uri: str, target: Path) -> None:
    """Copies a file, or a folder with all that is in it, to this machine.

    Raises:
        DataError: It is not there or cannot be reached, or ``target`` cannot be written.
    """
    with _explained(uri):
        storage, path = _storage(uri)
        storage.fetch(path, target)


@dataclass(frozen=True)
class _Entry:
    name: str
    is_folder: bool
    size: int
    modified: int


class _Storage(Protocol):
    def list(self, path: str, nested: bool) -> list[_Entry]: ...

    def fetch(self, path: str, target: Path) -> None: ...


@dataclass(frozen=True)
class _Arrow:
    filesystem: Any

    def list(self, path: str, nested: bool) -> list[_Entry]:
        from pyarrow.fs import FileSelector, FileType

        if self.filesystem.get_file_info(path).type == FileType.NotFound:
            raise FileNotFoundError
        return [
            _Entry(_below(path, info.path), info.type == FileType.Directory, info.size or 0, info.mtime_ns or 0)
            for info in self.filesystem.get_file_info(FileSelector(path, recursive=nested))
        ]

    def fetch(self, path: str, target: Path) -> None:
        from pyarrow.fs import FileType, LocalFileSystem, copy_files

        # Of a missing source, copy_files makes an empty folder.
        if self.filesystem.get_file_info(path).type == FileType.NotFound:
            raise FileNotFoundError
        copy_files(path, str(target), source_filesystem=self.filesystem, destination_filesystem=LocalFileSystem())


@dataclass(frozen=True)
class _Fsspec:
    filesystem: Any

    def list(self, path: str, nested: bool) -> list[_Entry]:
        # It remembers what it listed before.
        self.filesystem.invalidate_cache()
        if not self.filesystem.isdir(path):
            raise FileNotFoundError
        found = self.filesystem.find(path, maxdepth=None if nested else 1, withdirs=True, detail=True)
        return [
            _Entry(_below(path, name), info["type"] == "directory", info.get("size") or 0, _nanoseconds(info))
            for name, info in found.items()
            if name.strip("/") != path.strip("/")
        ]

    def fetch(self, path: str, target: Path) -> None:
        self.filesystem.get(path, str(target), recursive=True)


def _storage(uri: str) -> tuple[_Storage, str]:
    if _scheme(uri) not in _ARROW:
        return _fsspec(uri)
    parts = urlsplit(uri, allow_fragments=False)
    filesystem, top = _filesystem(parts._replace(path="/").geturl())
    path = unquote(parts.path).strip("/")
    return _Arrow(filesystem), f"{top.rstrip('/')}/{path}".rstrip("/") or "/"


@lru_cache(maxsize=16)
def _filesystem(uri: str) -> tuple[Any, str]:
    """The file system of a bucket or server, for all of the files in it, and its folder at the top."""
    from pyarrow.fs import FileSystem

    if _scheme(uri) in {"gs", "gcs"} and "retry_limit_seconds" not in uri:
        # It tries for 15 minutes otherwise.
        uri += f"{'&' if '?' in uri else '?'}retry_limit_seconds={_SECONDS}"
    filesystem, top = FileSystem.from_uri(uri)
    return _impatient(filesystem), top


def _impatient(filesystem: Any) -> Any:
    """A file system that gives up after some attempts, where pyarrow has a setting for that which URIs have not."""
    if filesystem.type_name != "s3":
        return filesystem
    from pyarrow.fs import AwsStandardS3RetryStrategy, S3FileSystem

    _, (options,) = filesystem.__reduce__()  # its arguments, as they are pickled
    retries = AwsStandardS3RetryStrategy(max_attempts=_ATTEMPTS)
    return S3FileSystem(**{**options, "connect_timeout": 5, "request_timeout": _SECONDS, "retry_strategy": retries})


def _fsspec(uri: str) -> tuple[_Storage, str]:
    try:
        fsspec = importlib.import_module("fsspec")
    except ImportError as error:
        raise DataError(f"{shown(uri)}: needs the package fsspec: pip install 'ndvq-tune[remote]'") from error
    filesystem, path = fsspec.core.url_to_fs(uri)
    return _Fsspec(filesystem), path


def _scheme(uri: str) -> str:
    return uri.partition("://")[0].lower()


def _below(folder: str, path: str) -> str:
    return path.strip("/").removeprefix(folder.strip("/")).strip("/")


def _nanoseconds(info: dict[str, Any]) -> int:
    time = next((info[key] for key in _TIMES if info.get(key) is not None), 0)
    seconds = time.timestamp() if hasattr(time, "timestamp") else time
    return round(seconds * 1e9) if isinstance(seconds, (int, float)) else 0


@contextmanager
def _explained(uri: str) -> Iterator[None]:
    """Turns whatever goes wrong into a DataError; each storage has exceptions of its own, without a common base."""
    try:
        yield
    except DataError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"{shown(uri)}: no such folder, file or bucket") from error
    except Exception as error:
        reason = shown(message_of(error)).partition("\n")[0]
        hint = next((hint for scheme, hint in _HINTS.items() if _scheme(uri).startswith(scheme)), "")
        raise DataError(f"{shown(uri)}: cannot be read: {reason}" + (f" ({hint})" if hint else "")) from error
