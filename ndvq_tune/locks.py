"""Locks between processes, on files."""

from contextlib import AbstractContextManager
from pathlib import Path

from filelock import FileLock, Timeout


def try_lock(path: Path) -> AbstractContextManager[object] | None:
    """Takes a lock unless another process holds it; nobody waits.

    Args:
        path: The lock's file; its folder is made if it is not there.

    Returns:
        What gives the lock back at the end of a ``with``; None where it is held by another.

    Raises:
        OSError: The file cannot be written.
    """
    try:
        return FileLock(path).acquire(timeout=0)
    except Timeout:
        return None
