"""Where decoded data is kept, and how much of it."""

import os
import shutil
from pathlib import Path

from pydantic import ByteSize, TypeAdapter, ValidationError

from ndvq_tune.data.cache.index import INDEX, read_index
from ndvq_tune.errors import DataError

DEFAULT_LIMIT = "100GB"


def cache_root() -> Path:
    """Where decoded data is kept: ``NDVQ_TUNE_CACHE``, or else ``~/.cache/ndvq_tune``."""
    return Path(os.environ.get("NDVQ_TUNE_CACHE") or "~/.cache/ndvq_tune").expanduser()


def cache_limit() -> int:
    """Bytes that the cache may take: ``NDVQ_TUNE_CACHE_LIMIT``, such as ``500GB``; 100 GB if that is not set.

    Raises:
        DataError: The variable does not hold a size.
    """
    text = os.environ.get("NDVQ_TUNE_CACHE_LIMIT") or DEFAULT_LIMIT
    try:
        return int(TypeAdapter(ByteSize).validate_python(text))
    except ValidationError:
        raise DataError(f"NDVQ_TUNE_CACHE_LIMIT={text}: needs a size such as 500GB or 20GiB") from None


def trim(root: Path, limit: int, keep: Path | None = None) -> list[Path]:
    """Removes entries that were not used for longest, until all together fit a limit.

    A process that has an entry open goes on with it: its files live on until it ends.

    Args:
        root: The cache.
        limit: Bytes that all entries together may take.
        keep: An entry that stays even if it does not fit: the one that is about to be used.

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
