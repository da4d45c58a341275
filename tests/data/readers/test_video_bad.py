"""Files that are no videos, or no longer whole ones: each is named with a reason, by either reader."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from ndvq_tune.config import VideoData
from ndvq_tune.data.readers.video import read_video
from ndvq_tune.errors import DataError

SCIKIT_VIDEO = pytest.param(
    "scikit-video", marks=pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not on the PATH")
)

Decode = Callable[[Path], np.ndarray]


@pytest.fixture(params=["pyav", SCIKIT_VIDEO])
def decode(request: pytest.FixtureRequest) -> Decode:
    config = VideoData(reader=request.param, resolution=16)
    return lambda path: np.concatenate(list(read_video(path, config)))


def write_with_sound(path: Path, frames: np.ndarray, seconds: float) -> Path:
    """Frames at 25 a second beside a sound of ``seconds``."""
    codecs = {".webm": ("libvpx-vp9", "libopus"), ".avi": ("ffv1", "pcm_s16le"), ".mkv": ("ffv1", "pcm_s16le")}
    picture_codec, sound_codec = codecs.get(path.suffix, ("libx264", "aac"))
    noise = np.random.default_rng(0).integers(-9999, 9999, (1, int(48000 * seconds)), dtype=np.int16)
    with av.open(str(path), "w") as container:
        fast = {"deadline": "realtime", "cpu-used": "8"} if path.suffix == ".webm" else {}
        picture = container.add_stream(picture_codec, rate=25, options=fast)
        picture.height, picture.width, picture.pix_fmt = *frames.shape[1:3], "yuv420p"
        sound = container.add_stream(sound_codec, rate=48000)
        sound.layout = "mono"
        samples = av.AudioFrame.from_ndarray(noise, "s16", "mono")
        samples.sample_rate = 48000
        for frame in frames:
            container.mux(picture.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        container.mux([*picture.encode(), *sound.encode(samples), *sound.encode()])
    return path


def cut(path: Path, share: float) -> None:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])


def reason(decode: Decode, path: Path) -> str:
    with pytest.raises(DataError) as caught:
        decode(path)
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value).removeprefix(f"{path}: ")


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".gif"])
def test_empty_files_and_text_are_no_videos(tmp_path: Path, decode: Decode, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"")
    assert reason(decode, path) == "the file is empty"
    path.write_text("this is not a video\n" * 100)
    assert "not a readable video" in reason(decode, path)


def test_files_that_cannot_be_opened_are_named(tmp_path: Path, write_video, noise, decode: Decode) -> None:
    assert "No such file" in reason(decode, tmp_path / "gone.mp4")
    (tmp_path / "folder.mp4").mkdir()
    assert "not a readable video" in reason(decode, tmp_path / "folder.mp4")
    (tmp_path / "loop.mp4").symlink_to(tmp_path / "loop.mp4")
    assert "symbolic links" in reason(decode, tmp_path / "loop.mp4")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_unreadable_permissions_are_named(tmp_path: Path, write_video, noise, decode: Decode) -> None:
    path = write_video(tmp_path / "a.mkv", noise(2))
    path.chmod(0)
    assert "Permission denied" in reason(decode, path)


# What is missing is noticed before frames are decoded, so one reader is enough here; damage is not.
@pytest.mark.parametrize("decode", ["pyav"], indirect=True)
@pytest.mark.parametrize("share", [0.1, 0.35, 0.6, 0.85])
@pytest.mark.parametrize(
    ("suffix", "movflags"),
    [
        (".mp4", ""),
        (".mp4", "+faststart"),  # with its index at the front, a cut-off file opens as if it were whole
        (".mp4", "+frag_keyframe+empty_moov"),
        (".mov", ""),
        (".mkv", ""),
        (".webm", ""),
        (".avi", ""),
        (".gif", ""),
    ],
)
def test_cut_off_videos_are_noticed(
    tmp_path: Path, write_video, noise, decode: Decode, capfd: pytest.CaptureFixture[str],
    suffix: str, movflags: str, share: float,
) -> None:  # fmt: skip
    path = write_video(tmp_path / f"a{suffix}", noise(75, 32, 32), **({"movflags": movflags} if movflags else {}))
    assert len(decode(path)) == 75
    cut(path, share)
    assert any(words in reason(decode, path) for words in ("cut off", "not a readable video", "no frame"))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("decode", ["pyav"], indirect=True)
@pytest.mark.parametrize("seconds", [1.0, 3.0, 6.0])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm", ".avi"])
def test_cut_off_videos_with_sound_are_noticed(
    tmp_path: Path, noise, decode: Decode, suffix: str, seconds: float
) -> None:
    path = write_with_sound(tmp_path / f"a{suffix}", noise(75, 32, 32), seconds)
    assert len(decode(path)) == 75
    cut(path, 0.6)
    assert any(words in reason(decode, path) for words in ("cut off", "not a readable video"))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_overwritten_bytes_are_noticed(tmp_path: Path, write_video, noise, decode: Decode, suffix: str) -> None:
    path = write_video(tmp_path / f"a{suffix}", noise(50, 64, 64))
    assert len(decode(path)) == 50
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 2000] = np.random.default_rng(1).bytes(2000)
    path.write_bytes(content)
    assert any(words in reason(decode, path) for words in ("damaged", "not a readable video"))


def test_sound_alone_is_not_a_video(tmp_path: Path, decode: Decode) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), "fltp", "mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
        container.mux(stream.encode())
    assert reason(decode, path) == "there is no video stream in it"


@pytest.mark.parametrize("with_picture", [False, True])
def test_cover_art_is_not_a_video(tmp_path: Path, noise, decode: Decode, with_picture: bool) -> None:
    path = tmp_path / "a.mp4"
    frames = np.full((5, 16, 16, 3), 200, np.uint8)
    with av.open(str(path), "w") as container:
        cover = container.add_stream("mjpeg", rate=25)
        cover.height, cover.width, cover.pix_fmt = 64, 64, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        picture = container.add_stream("libx264" if with_picture else "aac", rate=25 if with_picture else 8000)
        if with_picture:
            picture.height, picture.width, picture.pix_fmt = 16, 16, "yuv420p"
        container.mux(cover.encode(av.VideoFrame.from_ndarray(noise(1, 64, 64)[0], "rgb24")))
        container.mux(cover.encode())
        if with_picture:
            for frame in frames:
                container.mux(picture.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        else:
            sound = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), "fltp", "mono")
            sound.sample_rate = 8000
            container.mux(picture.encode(sound))
        container.mux(picture.encode())
    if with_picture:
        assert np.abs(decode(path).astype(int) - frames).max() <= 3
    else:
        assert reason(decode, path) == "there is no video stream in it"


@pytest.mark.parametrize("share", [0.0001, 0.001, 0.002, 0.005])
@pytest.mark.parametrize("suffix", [".mkv", ".avi", ".gif"])
def test_a_few_bytes_of_a_video_are_none(
    tmp_path: Path, write_video, noise, decode: Decode, suffix: str, share: float
) -> None:
    path = write_video(tmp_path / f"a{suffix}", noise(50, 32, 32))
    cut(path, share)
    assert any(words in reason(decode, path) for words in ("cut off", "not a readable video", "empty"))


def test_a_recording_of_unknown_length_is_whole(tmp_path: Path, noise, decode: Decode) -> None:
    class Pipe:
        def __init__(self) -> None:
            self.content = b""

        def write(self, content: bytes) -> int:
            self.content += bytes(content)
            return len(content)

    pipe = Pipe()
    with av.open(pipe, "w", format="matroska") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.height, stream.width, stream.pix_fmt = 16, 16, "bgr0"
        for frame in noise(5, 16, 16):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        container.mux(stream.encode())
    path = tmp_path / "live.mkv"
    path.write_bytes(pipe.content)
    assert np.array_equal(decode(path), noise(5, 16, 16))


def test_where_only_the_duration_is_known_it_tells_what_is_missing(
    tmp_path: Path, write_video, noise, decode: Decode
) -> None:
    path = write_video(tmp_path / "a.mkv", noise(75, 32, 32))
    content = bytearray(path.read_bytes())
    size = content.index(b"\x18\x53\x80\x67") + 4
    content[size : size + 8] = b"\x01" + b"\xff" * 7
    path.write_bytes(content)
    assert len(decode(path)) == 75
    cut(path, 0.6)
    assert "of 3.0 seconds" in reason(decode, path)


def test_padding_after_a_gif_is_no_damage(tmp_path: Path, write_video, noise, decode: Decode) -> None:
    path = write_video(tmp_path / "a.gif", noise(5, 16, 16))
    path.write_bytes(path.read_bytes() + bytes(100))
    assert len(decode(path)) == 5
