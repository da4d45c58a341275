"""Finding videos, and decoding one into frames of a fixed size."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import Interpolation, VideoReformatter

from ndvq_tune.errors import DataError

VIDEO_SUFFIXES = frozenset({".mp4", ".mkv", ".avi", ".webm", ".mov", ".gif"})

Frame = npt.NDArray[np.uint8]


def find_videos(folder: Path) -> list[Path]:
    """All videos in a folder and the folders in it, sorted; hidden ones (``.name``) are left out."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in VIDEO_SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def read_frames(path: Path, resolution: int) -> Iterator[Frame]:
    """Decodes a video, frame by frame.

    The shorter side is scaled to ``resolution`` (bicubic; swscale widens its filter when it shrinks, so it does not
    alias), then the centre is cropped.

    Args:
        path: The video file.
        resolution: Height and width in pixels.

    Yields:
        RGB frames of shape ``(resolution, resolution, 3)``, uint8, in the order in which they are shown.

    Raises:
        DataError: The file is empty, is not a video, has no video stream, or is damaged or cut off. Frames from before
            the damage may have been yielded by then.
    """
    # PyAV drops FFmpeg's own messages unless a log level is set, so nothing here writes to stderr.
    try:
        if path.stat().st_size == 0:
            raise DataError(f"{path}: the file is empty")
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise DataError(f"{path}: there is no video stream in it")
            scaler = VideoReformatter()
            for frame in _decode(path, container):
                yield _square(frame, resolution, scaler)
    except (av.FFmpegError, OSError) as error:
        raise DataError(f"{path}: not a readable video ({error.strerror})") from error


def _decode(path: Path, container: Any) -> Iterator[Any]:
    stream = container.streams.video[0]
    stream.thread_type = "AUTO"
    first = end = None
    for packet in container.demux(stream):
        for frame in packet.decode():
            # FFmpeg conceals damage; a model would learn the concealment.
            if packet.is_corrupt or frame.is_corrupt:
                raise DataError(f"{path}: the video is damaged or cut off")
            yield frame
            if frame.time is not None:
                first = frame.time if first is None else first
                end = frame.time + float((frame.duration or 0) * frame.time_base)
        if packet.is_corrupt:
            raise DataError(f"{path}: the video is damaged or cut off")
    if first is None or end is None:
        return
    # A cut-off Matroska or WebM file decodes without a complaint, but its header still tells the full duration. With
    # sound or subtitles beside the picture that duration may be theirs.
    if container.duration is not None and len(container.streams) == 1:
        stated = container.duration / av.time_base
        if stated - (end - first) > max(0.5, 0.1 * stated):
            raise DataError(f"{path}: the video is cut off: it ends after {end - first:.1f} of {stated:.1f} seconds")


def _square(frame: Any, resolution: int, scaler: Any) -> Frame:
    width, height = scaled_size(frame.width, frame.height, resolution)
    # One thread: decoding uses the others. The scaler keeps its tables from one frame to the next.
    scaled = scaler.reformat(frame, width, height, "rgb24", interpolation=Interpolation.BICUBIC, threads=1)
    pixels: Frame = scaled.to_ndarray()
    top, left = (height - resolution) // 2, (width - resolution) // 2
    return np.ascontiguousarray(pixels[top : top + resolution, left : left + resolution])


def scaled_size(width: int, height: int, shorter: int) -> tuple[int, int]:
    """Width and height after scaling so that the shorter side is ``shorter`` pixels."""
    scale = shorter / min(width, height)
    return max(shorter, round(width * scale)), max(shorter, round(height * scale))
