"""Sample videos: three real clips, cut by time into train and test."""

import math
from pathlib import Path
from typing import Any

import av
from av.video.frame import PictureType
from av.video.reformatter import ColorRange, Interpolation

from ndvq_tune.data.cache.source import Progress
from ndvq_tune.data.readers.video import scaled_size
from ndvq_tune.data.sample_data import installed

SHORTER_SIDE = 128

_TEST_SHARE = 0.2
_TEST_MULTIPLE = 16


def make(folder: Path, progress: Progress) -> None:
    """Fills ``folder/train`` and ``folder/test``.

    Raises:
        DataError: The clips are not installed.
    """
    clips = installed.clips()
    for done, clip in enumerate(clips):
        progress("Cutting sample clips", done, len(clips))
        cut(clip, folder / "train" / clip.name, folder / "test" / clip.name)
    progress("Cutting sample clips", len(clips), len(clips))


def train_frames(frames: int) -> int:
    """How many of a clip's frames are for training; the rest, at its end, is for testing.

    The test part is a fifth, rounded up to a multiple of 16, so that clips of 8 or 16 frames fill it whole.
    """
    return frames - math.ceil(frames * _TEST_SHARE / _TEST_MULTIPLE) * _TEST_MULTIPLE


def sample_size(stream: Any) -> tuple[int, int]:
    """Width and height of a video's frames with square pixels and a shorter side of 128."""
    return scaled_size(stream.width * (stream.sample_aspect_ratio or 1), stream.height, SHORTER_SIDE)


def cut(source: Path, train: Path, test: Path) -> None:
    """Cuts a video by time: its first frames into one file, the rest into another, no frame in both.

    Args:
        source: A video whose container states its number of frames.
        train: The file to write the first ``train_frames`` to, scaled to a shorter side of 128 pixels.
        test: The file to write the rest to.
    """
    with av.open(str(source)) as container:
        stream = container.streams.video[0]
        first_test = train_frames(stream.frames)
        size = sample_size(stream)
        with _Writer(train, stream.average_rate, size) as train_file, _Writer(test, stream.average_rate, size) as rest:
            for index, frame in enumerate(container.decode(stream)):
                (train_file if index < first_test else rest).write(frame)


class _Writer:
    """An H.264 file, written frame by frame at a quality where nothing is seen to be lost."""

    def __init__(self, path: Path, rate: Any, size: tuple[int, int]) -> None:
        self._container, self._rate, self._frames = av.open(str(path), "w"), rate, 0
        self._stream = self._container.add_stream("libx264", rate=rate, options={"crf": "14", "preset": "veryfast"})
        # 4:2:0 colour needs even sides.
        self._stream.width, self._stream.height = (side + side % 2 for side in size)
        self._stream.pix_fmt = "yuv420p"

    def __enter__(self) -> "_Writer":
        return self

    def write(self, frame: Any) -> None:
        scaled = frame.reformat(
            self._stream.width,
            self._stream.height,
            format="yuv420p",
            interpolation=Interpolation.BICUBIC,
            # What players take an untagged file for, whatever the source's range.
            dst_color_range=ColorRange.MPEG,
        )
        # The source's time stamps and frame types are not ours; its time base would stay where none is given.
        scaled.pts, scaled.time_base = self._frames, 1 / self._rate
        self._frames += 1
        scaled.pict_type = PictureType.NONE
        self._container.mux(self._stream.encode(scaled))

    def __exit__(self, *error: object) -> None:
        self._container.mux(self._stream.encode())
        self._container.close()
