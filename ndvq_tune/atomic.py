"""Files and folders that are there whole or not at all."""

import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_STALE_SECONDS = 24 * 3600


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file to write beside ``path`` that takes its place in the end; nothing changes if the writing fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Fills a folder that appears under its name only when everything is in it.

    The body writes into a temporary sibling, which is renamed at the end and removed on an error. Where another process
    was faster, its folder stays and this one is dropped. What a killed process left is removed a day later.

    Args:
        path: The folder to make; its parents are made too.

    Yields:
        The temporary folder to fill.

    Raises:
        OSError: Nothing can be written there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{path.name}.*"):
        # Another process may just be removing it.
        with suppress(FileNotFoundError):
            if time.time() - left.stat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
    building = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        # mkdtemp closes the folder to others, but a cache or a data set may be shared.
        building.chmod(0o755)
        yield building
        try:
            building.rename(path)
        except OSError:
            if not path.is_dir():
                raise
    finally:
        shutil.rmtree(building, ignore_errors=True)
