"""Decoded once: a split's frames on disk, mapped into memory by every process that needs them.

An entry is a folder named after a hash of what its frames depend on. It holds the frames one after another as raw
bytes, and an index of the videos that they come from.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from ndvq_tune.data.folders import whole_folder
from ndvq_tune.data.progress import Progress
from ndvq_tune.data.video import Frame, read_frames
from ndvq_tune.errors import DataError

_FORMAT = 1
_FRAMES = "frames.u8"
_INDEX = "index.json"


@dataclass(frozen=True)
class CachedVideo:
    """One video in a cache entry.

    Attributes:
        name: Its path in the split's folder.
        start: Its first frame in the entry's array.
        frames: How many frames it has.
        total: Sum of all of its uint8 values.
        total_of_squares: Sum of their squares.
    """

    name: str
    start: int
    frames: int
    total: int
    total_of_squares: int


@dataclass(frozen=True)
class CachedSplit:
    """The decoded frames of a split.

    Attributes:
        frames: Read-only and mapped from disk, uint8 of shape ``(N, H, W, 3)``, one video after another.
        videos: Where each video is.
        skipped: Files that could not be decoded, with the reason.
    """

    frames: npt.NDArray[np.uint8]
    videos: tuple[CachedVideo, ...]
    skipped: dict[str, str]


def cache_root() -> Path:
    """Where decoded frames are kept: ``NDVQ_TUNE_CACHE``, or else ``~/.cache/ndvq_tune``."""
    return Path(os.environ.get("NDVQ_TUNE_CACHE") or "~/.cache/ndvq_tune").expanduser()


def cached_split(folder: Path, files: Sequence[Path], resolution: int, progress: Progress) -> CachedSplit:
    """The frames of these videos, decoded now or by an earlier call of any process.

    Args:
        folder: The split's folder.
        files: The videos in it.
        resolution: Height and width of the frames.
        progress: Told of every video that has to be decoded.

    Raises:
        DataError: No file could be decoded, or the cache cannot be written.
    """
    entry = cache_root() / _key(folder, files, resolution)
    found = _open(entry, resolution)
    if found is None:
        try:
            with whole_folder(entry) as building:
                _build(building, folder, files, resolution, progress)
                # What is there by now is whole if another process was faster, and damaged otherwise.
                if _open(entry, resolution) is None:
                    shutil.rmtree(entry, ignore_errors=True)
        except OSError as error:
            raise DataError(
                f"{cache_root()}: decoded frames cannot be written there ({error}); "
                "set the environment variable NDVQ_TUNE_CACHE to a folder with space"
            ) from error
        found = _open(entry, resolution)
    if found is None:
        raise DataError(f"{entry}: the cache was changed while it was read; run again")
    return found


def _key(folder: Path, files: Sequence[Path], resolution: int) -> str:
    stats = [(path.relative_to(folder).as_posix(), path.stat()) for path in files]
    # A file that may not be read now may be allowed later, without another size or time.
    readable = [os.access(path, os.R_OK) for path in files]
    content = [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]
    described = json.dumps({"format": _FORMAT, "resolution": resolution, "files": content, "readable": readable})
    return hashlib.sha256(described.encode()).hexdigest()[:32]


def _open(entry: Path, resolution: int) -> CachedSplit | None:
    """The entry, or None if it is not there, cut off or damaged."""
    try:
        index: dict[str, Any] = json.loads((entry / _INDEX).read_text(encoding="utf-8"))
        videos = tuple(CachedVideo(**video) for video in index["videos"])
        skipped: dict[str, str] = index["skipped"]
        shape = (sum(video.frames for video in videos), resolution, resolution, 3)
        if (entry / _FRAMES).stat().st_size != np.prod(shape):
            return None
        return CachedSplit(np.memmap(entry / _FRAMES, np.uint8, "r", shape=shape), videos, skipped)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _build(building: Path, folder: Path, files: Sequence[Path], resolution: int, progress: Progress) -> None:
    videos: list[CachedVideo] = []
    skipped: dict[str, str] = {}
    with (building / _FRAMES).open("wb") as out:
        for done, path in enumerate(files):
            progress(f"Decoding {folder.name} videos", done, len(files))
            name = path.relative_to(folder).as_posix()
            start = sum(video.frames for video in videos)
            end = out.tell()
            try:
                videos.append(_append(out, path, name, start, resolution))
            except DataError as error:
                out.seek(end)
                out.truncate()
                skipped[name] = str(error).removeprefix(f"{path}: ")
        progress(f"Decoding {folder.name} videos", len(files), len(files))
        out.flush()
        # On disk before the rename: after a power cut the entry must not be there with holes in it.
        os.fsync(out.fileno())
    if not videos:
        reasons = "\n".join(f"  {name}: {reason}" for name, reason in list(skipped.items())[:5])
        raise DataError(f"{folder}: none of its {len(files)} videos can be read, for example\n{reasons}")
    index = {"videos": [asdict(video) for video in videos], "skipped": skipped}
    (building / _INDEX).write_text(json.dumps(index), encoding="utf-8")


def _append(out: BinaryIO, path: Path, name: str, start: int, resolution: int) -> CachedVideo:
    frames = total = total_of_squares = 0
    for frame in read_frames(path, resolution):
        out.write(frame.tobytes())
        frames += 1
        total += int(frame.sum(dtype=np.int64))
        total_of_squares += _sum_of_squares(frame)
    if frames == 0:
        raise DataError(f"{path}: there are no frames in it")
    return CachedVideo(name, start, frames, total, total_of_squares)


def _sum_of_squares(frame: Frame) -> int:
    values = np.bincount(frame.ravel(), minlength=256)
    return int(values @ np.arange(256, dtype=np.int64) ** 2)
