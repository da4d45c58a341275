"""Decodes a video into frames of one size, as a player would show them."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import av
import numpy as np
import numpy.typing as npt
from av.stream import Disposition
from av.video.reformatter import Interpolation, VideoReformatter

from ndvq_tune.config import VideoData
from ndvq_tune.data.readers import scikit_video
from ndvq_tune.data.readers.truncation import video_is_cut_off
from ndvq_tune.errors import DataError

SUFFIXES = frozenset({".mp4", ".mkv", ".avi", ".webm", ".mov", ".gif"})
SETTINGS = ("reader", "channels", "resolution", "resize", "crop")

Frame = npt.NDArray[np.uint8]

_BLOCK_BYTES = 4 * 2**20
_PIXEL_FORMATS = {1: "gray", 3: "rgb24"}
# swscale widens its bicubic filter when it shrinks, so it does not alias. Without FULL_CHR_H_INT two neighbours share
# one colour in what comes out, however small that is. scikit_video.py asks for the same.
_SCALING = Interpolation.BICUBIC | Interpolation.FULL_CHR_H_INT | Interpolation.ACCURATE_RND


def read_video(path: Path, config: VideoData) -> Iterator[Frame]:
    """Decodes a video, block by block.

    Frames come as a player shows them: upright (a phone's rotation is applied), with square pixels, in the order of
    display. Each coded frame comes once, whatever its duration, and interlaced ones are left as they are. An alpha
    channel is dropped. Where the size changes within the video, frames are scaled to what the first one was scaled to.

    The shorter side is scaled to ``config.shorter_side``. Then the centre is cropped, or, with ``crop: random``,
    frames come whole.

    Args:
        path: The video file.
        config: Names the reader, and tells channels and size.

    Yields:
        Blocks of some megabytes of shape ``(n, H, W, C)``, uint8. Grey is luma from 0 (black) to 255 (white).

    Raises:
        DataError: The file is empty, is not a video, has no video stream, or is damaged or cut off. Frames from before
            the damage may have been yielded by then. Or ``reader: scikit-video`` finds no ffmpeg.
    """
    # PyAV drops FFmpeg's own messages unless a log level is set, so nothing here writes to stderr.
    try:
        if path.stat().st_size == 0:
            raise DataError(f"{path}: the file is empty")
        if video_is_cut_off(path):
            raise DataError(f"{path}: the video is cut off: the end of the file is missing")
        with av.open(str(path.absolute()), metadata_errors="replace") as container:
            yield from _blocks(_frames(path, container, config))
    except (av.FFmpegError, OSError) as error:
        raise DataError(f"{path}: not a readable video ({error.strerror})") from error


def frame_rate_of(path: Path) -> float | None:
    """Frames a second, on average, as a video states them; None where it states none or is not a readable video.

    The average is thousands where all time stamps are the same; what FFmpeg guesses is, where frames come unevenly, the
    rate of the densest. So the lower of the two is meant.
    """
    try:
        with av.open(str(path.absolute()), metadata_errors="replace") as container:
            stream = _pictures(path, container)
            return min((float(rate) for rate in (stream.average_rate, stream.guessed_rate) if rate), default=None)
    except (av.FFmpegError, OSError, DataError):
        return None


def scaled_size(width: float, height: float, shorter: int) -> tuple[int, int]:
    """Width and height in whole pixels, scaled with their ratio kept.

    Args:
        width: Width, in square pixels.
        height: Height.
        shorter: Pixels that the shorter side gets.

    Example:
        >>> scaled_size(640, 360, 128)
        (228, 128)
    """
    scale = shorter / min(width, height)
    return max(shorter, round(width * scale)), max(shorter, round(height * scale))


def _frames(path: Path, container: Any, config: VideoData) -> Iterator[Frame]:
    stream = _pictures(path, container)
    packets = _packets(path, container, stream)
    decoded = _decode(path, packets)
    first = next(decoded, None)
    if first is None:
        raise DataError(f"{path}: there is no frame in it")
    view = _View.of(first, stream, config)
    pixel_format = _PIXEL_FORMATS[config.channels]
    if config.reader == "pyav":
        scaled = _scale(itertools.chain([first], decoded), view.width, view.height, pixel_format)
    else:
        for _ in packets:  # notices what is missing; nothing is decoded here
            pass
        scaled = scikit_video.read_frames(path, stream.index, view.width, view.height, pixel_format)
    for frame in scaled:
        yield view.show(frame.reshape(view.height, view.width, config.channels))


def _pictures(path: Path, container: Any) -> Any:
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            stream.thread_type = "AUTO"
            return stream
    raise DataError(f"{path}: there is no video stream in it")


def _packets(path: Path, container: Any, stream: Any) -> Iterator[Any]:
    """The packets of one stream; notices a file that was cut off."""
    ends = 0.0
    for packet in container.demux():
        if packet.pts is not None:
            ends = max(ends, float((packet.pts + (packet.duration or 0)) * packet.time_base))
        if packet.stream is stream:
            if packet.is_corrupt:
                raise DataError(f"{path}: the video is damaged or cut off")
            yield packet
    # The duration in the header is that of the longest stream, which may be sound or subtitles.
    stated = (container.duration or 0) / av.time_base
    if stated - ends > max(0.5, 0.1 * stated):
        raise DataError(f"{path}: the video is cut off: it ends after {ends:.1f} of {stated:.1f} seconds")


def _decode(path: Path, packets: Iterator[Any]) -> Iterator[Any]:
    for packet in packets:
        for frame in packet.decode():
            # FFmpeg conceals damage; a model would learn the concealment.
            if frame.is_corrupt:
                raise DataError(f"{path}: the video is damaged or cut off")
            yield frame


def _scale(frames: Iterator[Any], width: int, height: int, pixel_format: str) -> Iterator[Frame]:
    # The scaler keeps its tables from one frame to the next. One thread: decoding uses the others.
    scaler = VideoReformatter()
    for frame in frames:
        scaled: Any = scaler.reformat(frame, width, height, pixel_format, interpolation=_SCALING, threads=1)
        yield scaled.to_ndarray()


@dataclass(frozen=True)
class _View:
    """How coded frames become what is shown.

    Attributes:
        width: Pixels that a frame's width is scaled to, before it is turned.
        height: Pixels that its height is scaled to.
        transpose: Whether rows become columns, to turn by a quarter.
        flips: Steps along the turned frame's rows and columns; -1 mirrors.
        square: Side of the square to cut out of the centre; None leaves frames whole.
    """

    width: int
    height: int
    transpose: bool
    flips: tuple[int, int]
    square: int | None

    @classmethod
    def of(cls, frame: Any, stream: Any, config: VideoData) -> Self:
        pixel_aspect = stream.sample_aspect_ratio or 1
        width, height = scaled_size(float(frame.width * pixel_aspect), frame.height, config.shorter_side)
        square = None if config.crop == "random" else config.resolution
        matrix = frame.side_data.get("DISPLAYMATRIX")
        if matrix is None:
            return cls(width, height, False, (1, 1), square)
        # x, y are shown at a x + c y, b x + d y.
        a, b, _, c, d = (int(value) for value in np.frombuffer(bytes(matrix), np.int32)[:5])
        return cls(width, height, abs(b) > abs(a), (-1 if b + d < 0 else 1, -1 if a + c < 0 else 1), square)

    def show(self, frame: Frame) -> Frame:
        turned = frame.swapaxes(0, 1) if self.transpose else frame
        turned = turned[:: self.flips[0], :: self.flips[1]]
        if self.square is None:
            return turned
        top, left = ((side - self.square) // 2 for side in turned.shape[:2])
        return turned[top : top + self.square, left : left + self.square]


def _blocks(frames: Iterator[Frame]) -> Iterator[Frame]:
    for first in frames:
        rest = itertools.islice(frames, max(0, _BLOCK_BYTES // first.nbytes - 1))
        yield np.stack([first, *rest])
