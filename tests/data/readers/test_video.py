import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange

from ndvq_tune.config import VideoData
from ndvq_tune.data.readers.video import frame_rate_of, read_video, scaled_size

SUFFIXES = [".mp4", ".mkv", ".avi", ".webm", ".mov", ".gif"]
SCIKIT_VIDEO = pytest.param(
    "scikit-video", marks=pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not on the PATH")
)

Decode = Callable[..., np.ndarray]


@pytest.fixture(params=["pyav", SCIKIT_VIDEO])
def decode(request: pytest.FixtureRequest) -> Decode:
    def decode(path: Path, resolution: int, **settings: Any) -> np.ndarray:
        config = VideoData(reader=request.param, resolution=resolution, **settings)
        return np.concatenate(list(read_video(path, config)))

    return decode


def write(
    path: Path, frames: np.ndarray, codec: str = "ffv1", *, source: str = "rgb24", pixel_format: str = "bgr0",
    options: dict[str, str] | None = None, times: list[int] | None = None, **stream_settings: Any,
) -> Path:  # fmt: skip
    """Writes frames of the format ``source``, at ``times`` in hundredths of a second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options or {})
        # One thread: several left rows of 10 bit frames unwritten now and then.
        frames_av = [
            av.VideoFrame.from_ndarray(frame, source).reformat(format=pixel_format, threads=1) for frame in frames
        ]
        stream.width, stream.height = frames_av[0].width, frames_av[0].height
        stream.pix_fmt = pixel_format
        if times:
            stream.codec_context.time_base = Fraction(1, 100)
        for name, value in stream_settings.items():
            setattr(stream.codec_context, name, value)
        for index, frame in enumerate(frames_av):
            if times:
                frame.pts, frame.time_base = times[index], Fraction(1, 100)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize(
    ("times", "rate"),
    [
        ([4 * frame for frame in range(20)], 25.0),
        ([0] * 20, 100.0),  # all that is left is the unit of time; the average would be 500
        ([*range(0, 40, 4), *range(40, 240, 20)], 20 / 2.4),  # a guess would be 25
    ],
)
def test_the_rate_of_a_video_is_that_of_its_frames(tmp_path: Path, noise, times: list[int], rate: float) -> None:
    path = write(tmp_path / "a.mp4", noise(20, 16, 16), "libx264", pixel_format="yuv420p", times=times)
    assert frame_rate_of(path) == pytest.approx(rate, rel=0.3)


def test_what_is_no_video_has_no_rate(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no video")
    assert frame_rate_of(tmp_path / "a.mp4") is None


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".mov"])
def test_lossless_video_comes_back_exactly(tmp_path: Path, write_video, noise, decode: Decode, suffix: str) -> None:
    frames = noise(13, 16, 16)
    assert np.array_equal(decode(write_video(tmp_path / f"a{suffix}", frames), 16), frames)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_container_gives_its_colours_in_order(tmp_path: Path, write_video, decode: Decode, suffix: str) -> None:
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [0, 0, 0], [255, 255, 255]], np.uint8)
    frames = np.broadcast_to(colours[:, None, None], (5, 48, 64, 3))
    decoded = decode(write_video(tmp_path / f"clip één: -日本{suffix}", np.ascontiguousarray(frames)), 32)
    assert decoded.shape == (5, 32, 32, 3)
    assert decoded.dtype == np.uint8
    # The median, as writing a GIF dithers.
    assert np.abs(np.median(decoded, axis=(1, 2)) - colours).max() <= 6


@pytest.mark.parametrize("name", ["-i.mkv", "50%d.mkv", "a:b.mkv", "http:.mkv", "UPPER.MKV", "new\nline'\".mkv"])
def test_names_are_not_taken_for_options_or_addresses(
    tmp_path: Path, write_video, noise, decode: Decode, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    frames = noise(2, 16, 16)
    write_video(tmp_path / name, frames)
    monkeypatch.chdir(tmp_path)
    assert np.array_equal(decode(Path(name), 16), frames)


@pytest.mark.parametrize(("height", "width"), [(16, 30), (30, 16), (17, 16), (16, 17)])
def test_centre_is_cropped(tmp_path: Path, write_video, noise, decode: Decode, height: int, width: int) -> None:
    frames = noise(3, height, width)
    top, left = (height - 16) // 2, (width - 16) // 2
    expected = frames[:, top : top + 16, left : left + 16]
    assert np.array_equal(decode(write_video(tmp_path / "a.mkv", frames), 16), expected)


def test_random_crops_get_the_frames_whole(tmp_path: Path, write_video, noise, decode: Decode) -> None:
    frames = noise(3, 16, 30)
    path = write_video(tmp_path / "a.mkv", frames)
    assert np.array_equal(decode(path, 8, resize=16, crop="random"), frames)
    assert np.array_equal(decode(path, 8, resize=16), frames[:, 4:12, 11:19])


def test_blocks_stay_small_however_long_the_video(tmp_path: Path, noise) -> None:
    frames = noise(60, 256, 256)
    blocks = list(read_video(write(tmp_path / "a.mkv", frames), VideoData(resolution=256)))
    assert len(blocks) == 3
    assert all(block.nbytes <= 4 * 2**20 and block.flags.c_contiguous for block in blocks)
    assert np.array_equal(np.concatenate(blocks), frames)


def test_scaling_keeps_a_gradient_where_it_was(tmp_path: Path, write_video, decode: Decode) -> None:
    gradient = np.broadcast_to(np.arange(128, dtype=np.uint8)[:, None, None] * 2, (2, 128, 128, 3))
    decoded = decode(write_video(tmp_path / "a.mkv", np.ascontiguousarray(gradient)), 32)
    block_means = gradient.reshape(2, 32, 4, 32, 4, 3).mean(axis=(2, 4))
    assert np.abs(decoded[:, 1:-1] - block_means[:, 1:-1]).max() <= 1.5


def test_scaling_down_does_not_alias(tmp_path: Path, write_video, decode: Decode) -> None:
    checkers = (np.indices((128, 128)).sum(0) % 2 * 255).astype(np.uint8)
    frames = np.ascontiguousarray(np.broadcast_to(checkers[None, :, :, None], (2, 128, 128, 3)))
    decoded = decode(write_video(tmp_path / "a.mkv", frames), 32).astype(int)
    assert np.abs(decoded - 127).max() <= 4


def test_scaling_down_keeps_the_colour_of_each_column(tmp_path: Path, decode: Decode) -> None:
    # Red and blue stripes, each one pixel wide after scaling and eight before: 4:2:0 holds their colours.
    stripes = np.zeros((2, 128, 128, 3), np.uint8)
    stripes[:, :, np.arange(128) // 8 % 2 == 0, 0] = stripes[:, :, np.arange(128) // 8 % 2 == 1, 2] = 200
    decoded = decode(write(tmp_path / "a.mkv", stripes, pixel_format="yuv420p"), 16)
    assert decoded[:, :, 2:-2:2, 0].min() > 150 > 100 > decoded[:, :, 3:-2:2, 0].max()


def test_small_videos_are_scaled_up(tmp_path: Path, write_video, noise, decode: Decode) -> None:
    assert decode(write_video(tmp_path / "a.mkv", noise(2, 9, 7)), 32).shape == (2, 32, 32, 3)


@pytest.mark.parametrize(
    ("size", "expected"), [((1280, 720), (228, 128)), ((720, 1280), (128, 228)), ((5, 5), (128, 128))]
)
def test_scaled_size(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert scaled_size(*size, 128) == expected


def test_grey_is_the_luma_of_rgb(tmp_path: Path, write_video, noise, decode: Decode) -> None:
    frames = noise(4, 16, 16)
    decoded = decode(write_video(tmp_path / "a.mkv", frames), 16, channels=1)
    assert decoded.shape == (4, 16, 16, 1)
    assert np.abs(decoded - frames @ np.array([[0.299], [0.587], [0.114]])).max() <= 1


def test_grey_goes_from_black_to_white(tmp_path: Path, decode: Decode) -> None:
    # Studio luma, 16 to 235, with colour that must not matter.
    luma = np.arange(16, 236, dtype=np.uint8)[:, None, None]
    planes = np.concatenate([np.tile(luma, (1, 16, 16)), np.full((220, 8, 16), 90, np.uint8)], axis=1)
    decoded = decode(write(tmp_path / "a.mkv", planes, source="yuv420p", pixel_format="yuv420p"), 16, channels=1)
    assert np.abs(decoded[..., 0] - (luma.astype(float) - 16) * 255 / 219).max() <= 1


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("color_range", [ColorRange.MPEG, ColorRange.JPEG])
def test_studio_and_full_range_give_the_same_greys(
    tmp_path: Path, decode: Decode, color_range: ColorRange, channels: int
) -> None:
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
    decoded = decode(tmp_path / "a.mp4", 32, channels=channels)
    assert np.abs(decoded - np.array(levels)[:, None, None, None]).max() <= 2


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_rotated_videos_come_upright(tmp_path: Path, noise, decode: Decode, quarters: int, mirrored: bool) -> None:
    frames = noise(3, 16, 24)
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264rgb", rate=25, options={"qp": "0"})
        stream.height, stream.width, stream.pix_fmt = 16, 24, "rgb24"
        stream.set_display_rotation(90 * quarters, hflip=mirrored)
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        container.mux(stream.encode())
    upright = np.rot90(frames, quarters, axes=(1, 2))
    expected = upright[:, :, ::-1] if mirrored else upright
    assert np.array_equal(decode(tmp_path / "a.mp4", 16, crop="random"), expected)


def test_every_coded_frame_comes_once_whatever_its_duration(tmp_path: Path, noise, decode: Decode) -> None:
    frames = noise(8, 16, 16)
    times = [50, 51, 53, 90, 91, 200, 460, 461]
    path = write(
        tmp_path / "a.mkv", frames, "libx264rgb", pixel_format="rgb24", options={"qp": "0", "bf": "3"}, times=times
    )
    with av.open(str(path)) as container:
        assert [round(100 * frame.time) for frame in container.decode(video=0)] == times
    assert np.array_equal(decode(path, 16), frames)


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv444p", "yuv420p10le", "yuv444p10le", "gray", "bgra"])
def test_odd_sizes_and_pixel_formats_are_read(tmp_path: Path, decode: Decode, pixel_format: str) -> None:
    gradient = np.arange(17, dtype=np.uint8)[:, None] * 9 + np.arange(23, dtype=np.uint8) * 4
    frames = np.broadcast_to(gradient[None, :, :, None], (2, 17, 23, 3))
    decoded = decode(write(tmp_path / "a.mkv", np.ascontiguousarray(frames), pixel_format=pixel_format), 17)
    assert np.abs(decoded.astype(int) - frames[:, :, 3:20]).max() <= 2


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_single_frame_is_a_video(tmp_path: Path, write_video, noise, decode: Decode, suffix: str) -> None:
    assert decode(write_video(tmp_path / f"a{suffix}", noise(1, 32, 32)), 32).shape == (1, 32, 32, 3)


def test_frames_that_change_size_are_scaled_to_that_of_the_first(tmp_path: Path, decode: Decode) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj444p"
        for index, (width, height) in enumerate([(64, 48), (32, 24), (128, 96)]):
            encoder = av.CodecContext.create("mjpeg", "w")
            encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = (
                width,
                height,
                "yuvj444p",
                Fraction(1, 25),
            )
            frame = av.VideoFrame.from_ndarray(np.full((height, width, 3), 60 * index + 50, np.uint8), "rgb24")
            for packet in encoder.encode(frame.reformat(format="yuvj444p")) + encoder.encode():
                packet.stream, packet.pts, packet.dts, packet.time_base = stream, index, index, Fraction(1, 25)
                container.mux(packet)
    decoded = decode(path, 24, crop="random")
    assert decoded.shape == (3, 24, 32, 3)
    assert np.abs(decoded - np.array([50, 110, 170])[:, None, None, None]).max() <= 2


def test_pixels_become_square(tmp_path: Path, noise, decode: Decode) -> None:
    for name, aspect, shape in [("wide.mkv", Fraction(4, 3), (16, 32)), ("tall.mp4", Fraction(1, 2), (21, 16))]:
        path = write(tmp_path / name, noise(2, 16, 24), "libx264rgb", pixel_format="rgb24", sample_aspect_ratio=aspect)
        assert decode(path, 16, crop="random").shape == (2, *shape, 3)


def test_alpha_is_dropped(tmp_path: Path, decode: Decode) -> None:
    colour = np.full((3, 32, 32, 4), [200, 40, 90, 0], np.uint8)
    colour[1:, :, :, 3] = 128
    path = write(
        tmp_path / "a.webm", colour, "libvpx-vp9", source="rgba", pixel_format="yuva420p",
        options={"crf": "4", "b": "0", "deadline": "realtime", "cpu-used": "8", "auto-alt-ref": "0"},
    )  # fmt: skip
    assert np.abs(decode(path, 32) - np.array([200.0, 40, 90])).max() <= 4


def test_interlaced_frames_are_left_as_they_are(tmp_path: Path, noise, decode: Decode) -> None:
    frames = noise(4, 32, 32)
    path = write(
        tmp_path / "a.mkv", frames, "libx264rgb", pixel_format="rgb24",
        options={"qp": "0", "x264-params": "interlaced=1"},
    )  # fmt: skip
    with av.open(str(path)) as container:
        assert next(container.decode(video=0)).interlaced_frame
    assert np.array_equal(decode(path, 32), frames)


def test_the_first_of_several_videos_in_a_file_is_read(tmp_path: Path, noise, decode: Decode) -> None:
    small, large = noise(3, 16, 16), noise(3, 64, 64, seed=1)
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        streams = [container.add_stream("ffv1", rate=25) for _ in range(2)]
        for stream, frames in zip(streams, (small, large), strict=True):
            (stream.height, stream.width), stream.pix_fmt = frames.shape[1:3], "bgr0"
        for pair in zip(small, large, strict=True):
            for stream, frame in zip(streams, pair, strict=True):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        for stream in streams:
            container.mux(stream.encode())
    assert np.array_equal(decode(tmp_path / "a.mkv", 16), small)
