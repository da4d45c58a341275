from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange

from ndvq_tune.data.video import find_videos, read_frames, scaled_size
from ndvq_tune.errors import DataError

SUFFIXES = [".mp4", ".mkv", ".avi", ".webm", ".mov", ".gif"]


def decode(path: Path, resolution: int) -> np.ndarray:
    return np.stack(list(read_frames(path, resolution)))


def test_finds_videos_of_every_kind_nested_and_sorted(tmp_path: Path) -> None:
    names = ["a.mp4", "b/c d/e.MKV", "b/f.avi", "g.webm", "Änderung été.mov", "日本.gif"]
    for name in [*names, "notes.txt", "h.mp4.part", ".hidden.mp4", ".trash/i.mp4"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "folder.mp4").mkdir()

    found = find_videos(tmp_path)

    assert {path.relative_to(tmp_path).as_posix() for path in found} == set(names)
    assert found == sorted(found)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".mov"])
def test_lossless_video_comes_back_exactly(tmp_path: Path, write_video, noise, suffix: str) -> None:
    frames = noise(13, 16, 16)
    assert np.array_equal(decode(write_video(tmp_path / f"a{suffix}", frames), 16), frames)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_container_gives_its_colours_in_order(tmp_path: Path, write_video, suffix: str) -> None:
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [0, 0, 0], [255, 255, 255]], np.uint8)
    frames = np.broadcast_to(colours[:, None, None], (5, 48, 64, 3))
    decoded = decode(write_video(tmp_path / f"clip één{suffix}", np.ascontiguousarray(frames)), 32)
    assert decoded.shape == (5, 32, 32, 3)
    assert decoded.dtype == np.uint8
    # The median, as writing a GIF dithers.
    assert np.abs(np.median(decoded, axis=(1, 2)) - colours).max() <= 6


@pytest.mark.parametrize(("height", "width"), [(16, 30), (30, 16), (17, 16), (16, 17)])
def test_centre_is_cropped(tmp_path: Path, write_video, noise, height: int, width: int) -> None:
    frames = noise(3, height, width)
    top, left = (height - 16) // 2, (width - 16) // 2
    expected = frames[:, top : top + 16, left : left + 16]
    assert np.array_equal(decode(write_video(tmp_path / "a.mkv", frames), 16), expected)


def test_scaling_keeps_a_gradient_where_it_was(tmp_path: Path, write_video) -> None:
    gradient = np.broadcast_to(np.arange(128, dtype=np.uint8)[:, None, None] * 2, (2, 128, 128, 3))
    decoded = decode(write_video(tmp_path / "a.mkv", np.ascontiguousarray(gradient)), 32)
    block_means = gradient.reshape(2, 32, 4, 32, 4, 3).mean(axis=(2, 4))
    assert np.abs(decoded[:, 1:-1] - block_means[:, 1:-1]).max() <= 1.5


def test_scaling_down_does_not_alias(tmp_path: Path, write_video) -> None:
    checkers = (np.indices((128, 128)).sum(0) % 2 * 255).astype(np.uint8)
    frames = np.ascontiguousarray(np.broadcast_to(checkers[None, :, :, None], (2, 128, 128, 3)))
    decoded = decode(write_video(tmp_path / "a.mkv", frames), 32).astype(int)
    assert np.abs(decoded - 127).max() <= 4


def test_small_videos_are_scaled_up(tmp_path: Path, write_video, noise) -> None:
    assert decode(write_video(tmp_path / "a.mkv", noise(2, 9, 7)), 32).shape == (2, 32, 32, 3)


@pytest.mark.parametrize(
    ("size", "expected"), [((1280, 720), (228, 128)), ((720, 1280), (128, 228)), ((5, 5), (128, 128))]
)
def test_scaled_size(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert scaled_size(*size, 128) == expected


def empty(path: Path) -> None:
    path.write_bytes(b"")


def text(path: Path) -> None:
    path.write_text("this is not a video\n" * 100)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])


@pytest.mark.parametrize(
    ("damage", "suffix", "reason"),
    [
        (empty, ".mp4", "the file is empty"),
        (text, ".mp4", "not a readable video"),
        (text, ".avi", "not a readable video"),
        (truncate, ".mp4", "not a readable video"),
        (truncate, ".mkv", "cut off"),
        (truncate, ".webm", "cut off"),
        (truncate, ".avi", "cut off"),
    ],
)
def test_damaged_files_are_named_with_a_reason(
    tmp_path: Path, write_video, noise, capfd: pytest.CaptureFixture[str],
    damage: Callable[[Path], None], suffix: str, reason: str,
) -> None:  # fmt: skip
    path = write_video(tmp_path / f"bad{suffix}", noise(75, 64, 64))
    damage(path)
    with pytest.raises(DataError) as caught:
        decode(path, 16)
    assert str(caught.value).startswith(f"{path}: ")
    assert reason in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_cut_off_streaming_mp4_is_noticed(tmp_path: Path, write_video, noise) -> None:
    # With its index at the front, a cut-off file opens as if it were whole.
    path = write_video(tmp_path / "a.mp4", noise(50, 64, 64), movflags="+faststart")
    truncate(path)
    with pytest.raises(DataError, match="cut off"):
        decode(path, 16)


def test_bytes_overwritten_in_the_middle_are_noticed(tmp_path: Path, write_video, noise) -> None:
    path = write_video(tmp_path / "a.mp4", noise(50, 64, 64))
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 2000] = np.random.default_rng(1).bytes(2000)
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.mp4: (the video is damaged|not a readable video)"):
        decode(path, 16)


def test_sound_alone_is_not_a_video(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), "fltp", "mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
        container.mux(stream.encode())
    with pytest.raises(DataError, match="no video stream"):
        decode(path, 16)


@pytest.mark.parametrize("color_range", [ColorRange.MPEG, ColorRange.JPEG])
def test_studio_and_full_range_give_the_same_greys(tmp_path: Path, color_range: ColorRange) -> None:
    levels = [0, 64, 128, 255]
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"qp": "0"})
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        stream.codec_context.color_range = color_range
        for level in levels:
            grey = av.VideoFrame.from_ndarray(np.full((32, 32, 3), level, np.uint8), "rgb24")
            container.mux(stream.encode(grey.reformat(format="yuv420p", dst_color_range=color_range)))
        container.mux(stream.encode())
    decoded = decode(tmp_path / "a.mp4", 32)
    assert np.abs(decoded - np.array(levels)[:, None, None, None]).max() <= 2
