"""Decodes a video with scikit-video, which runs ffmpeg in a process of its own.

Nothing else knows of scikit-video, and only one release of it is allowed: its inside, too, is used here alone.
"""

import importlib
import shutil
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt

from ndvq_tune.errors import DataError, UnavailableError

# FFmpegReader takes options in pairs; two that have no value make one. A given rate stands in for the file's time
# stamps, so that ffmpeg neither doubles nor drops a frame to make them regular; what the rate is does not matter.
_INPUT = {"-r": "25", "-noautorotate": "-xerror"}
# Without a number FFmpegReader would decode the whole file once more, to count.
_ALL_FRAMES = str(2**31 - 1)
# What swscale does inside PyAV: colour samples lie on the left of their pixels.
_SCALING = "in_h_chr_pos=0:flags=bicubic+full_chroma_int+accurate_rnd"


def read_frames(path: Path, stream: int, width: int, height: int, pixel_format: str) -> Iterator[npt.NDArray[np.uint8]]:
    """Decodes a video frame by frame. ffmpeg scales, so that no large frames go through the pipe.

    Args:
        path: The video file.
        stream: Index of the stream in the file.
        width: Pixels to scale the width to.
        height: Pixels to scale the height to.
        pixel_format: ``gray`` or ``rgb24``.

    Yields:
        Frames of shape ``(height, width, C)``, uint8, as they are coded: not turned.

    Raises:
        DataError: The video is damaged or cut off.
        UnavailableError: ffmpeg or ffprobe is not on the PATH.
    """
    if not (shutil.which("ffmpeg") and shutil.which("ffprobe")):
        raise UnavailableError(
            f"{path}: reader: scikit-video needs ffmpeg and ffprobe on the PATH; "
            "get them (apt-get install ffmpeg), or use reader: pyav, which brings its own"
        )
    output = {
        "-map": f"0:{stream}",
        "-vf": f"scale={width}:{height}:{_SCALING},format={pixel_format}",
        "-s": f"{width}x{height}",
        "-pix_fmt": pixel_format,
        "-vframes": _ALL_FRAMES,
    }
    reader = _reader_class()(str(path.absolute()), dict(_INPUT), output)
    # Not reader.close(): it may leave pipes open and the process unwaited for.
    with reader.process as process:
        try:
            yield from reader.nextFrame()
            if process.wait() != 0:
                raise DataError(f"{path}: the video is damaged or cut off")
        finally:
            process.kill()


@cache
def _reader_class() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-video imports what scipy is about to drop
        abstract = importlib.import_module("skvideo.io.abstract")
        ffmpeg = importlib.import_module("skvideo.io.ffmpeg")
    # Names that NumPy has dropped, for this one module only.
    abstract.np = SimpleNamespace(**{**vars(np), "int": int, "float": float})  # type: ignore[attr-defined]

    class Reader(ffmpeg.FFmpegReader):  # type: ignore[misc, name-defined]
        """FFmpegReader, but PyAV has looked into the file already: it takes more formats than ffprobe's reader does."""

        def _probe(self) -> dict[str, dict[str, str]]:
            return {"video": {"@width": "0", "@height": "0", "@pix_fmt": "rgb24"}}

        def _getSupportedDecoders(self) -> Any:  # noqa: N802
            return NotImplemented  # no list of suffixes: its own lacks .webm

        @property
        def process(self) -> Any:
            """That of ffmpeg."""
            return self._proc

    return Reader
