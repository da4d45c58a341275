from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

Frames = npt.NDArray[np.uint8]
WriteVideo = Callable[..., Path]
WriteSplits = Callable[..., Path]

CODECS = {
    # Lossless RGB where the container allows it, so that tests can ask for exact pixels.
    ".mp4": ("libx264rgb", "rgb24", {"qp": "0"}),
    ".mkv": ("ffv1", "bgr0", {}),
    ".avi": ("ffv1", "bgr0", {}),
    ".mov": ("libx264rgb", "rgb24", {"qp": "0"}),
    ".webm": ("libvpx-vp9", "yuv420p", {"crf": "4", "b": "0", "deadline": "realtime", "cpu-used": "8"}),
    ".gif": ("gif", "rgb8", {}),
}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "cache"
    monkeypatch.setenv("NDVQ_TUNE_CACHE", str(root))
    return root


@pytest.fixture
def write_video() -> WriteVideo:
    def write(path: Path, frames: Frames, **options: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        codec, pixel_format, codec_options = CODECS[path.suffix.lower()]
        with av.open(str(path), "w", options=options) as container:
            stream = container.add_stream(codec, rate=25, options=codec_options)
            stream.height, stream.width = frames.shape[1:3]
            stream.pix_fmt = pixel_format
            for frame in frames:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
            container.mux(stream.encode())
        return path

    return write


@pytest.fixture
def noise() -> Callable[..., Frames]:
    def make(frames: int, height: int = 16, width: int = 24, seed: int = 0) -> Frames:
        return np.random.default_rng(seed).integers(0, 256, (frames, height, width, 3), dtype=np.uint8)

    return make


@pytest.fixture
def write_splits(tmp_path: Path, write_video: WriteVideo, noise: Callable[..., Frames]) -> WriteSplits:
    """Writes a data set of square noise videos: ``{"train/a.mkv": 20}`` is a video of 20 frames."""

    def write(lengths: dict[str, int], size: int = 16) -> Path:
        for seed, (name, length) in enumerate(lengths.items()):
            write_video(tmp_path / "videos" / name, noise(length, size, size, seed))
        return tmp_path / "videos"

    return write
