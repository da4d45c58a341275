import re
from fractions import Fraction

import av
import numpy as np
import pytest

from ndvq_tune.baselines.videos import H264

REMARK = 6  # type of a unit with supplemental information (ITU-T H.264, table 7-1)


def clips(channels: int, count: int = 2, size: tuple[int, int, int] = (6, 26, 34)) -> np.ndarray:
    """Waves ``(N, C, T, H, W)`` of whole bytes that move, and a little noise."""
    rng = np.random.default_rng(channels)
    t, y, x = np.mgrid[: size[0], : size[1], : size[2]]
    waves = [
        np.sin(rng.uniform(0.1, 0.4) * (x + t) + rng.uniform(0.1, 0.4) * y + rng.uniform(0, 6))
        for _ in range(count * channels)
    ]
    noisy = np.array(waves).reshape(count, channels, *size) + rng.normal(0, 0.05, (count, channels, *size))
    return (np.rint(127.5 + 80 * noisy).clip(0, 255) / 255).astype(np.float32)


def units(clip: np.ndarray, rate_factor: int) -> list[bytes]:
    """The units that x264 writes of a grey clip ``(1, T, H, W)``, headers apart, with a start code of 4 or 3 bytes."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.height, encoder.width = clip.shape[2:]
    encoder.pix_fmt, encoder.framerate, encoder.time_base = "gray", 25, Fraction(1, 25)
    encoder.flags |= av.codec.context.Flags.global_header
    encoder.thread_count = 1
    encoder.options = {"crf": str(rate_factor), "tune": "psnr"}
    pixels = np.rint(255 * clip[0]).astype(np.uint8)
    frames = [av.VideoFrame.from_ndarray(picture, format="gray") for picture in pixels]
    stream = b"".join(bytes(packet) for frame in [*frames, None] for packet in encoder.encode(frame))
    return re.findall(rb"\0?\0\0\x01(?:(?!\0?\0\0\x01).)*", stream, re.DOTALL)


@pytest.mark.parametrize("rate_factor", [5, 30, 51])
def test_the_bits_are_those_of_packets_without_remarks(rate_factor):
    video = clips(channels=1)
    found = [unit for clip in video for unit in units(clip, rate_factor)]
    remarks = [unit for unit in found if unit.lstrip(b"\0")[1] & 31 == REMARK]
    assert len(remarks) == len(video)
    assert sum(map(len, remarks)) > 1000
    expected = 8 * (sum(map(len, found)) - sum(map(len, remarks)))
    # The filter may write a start code of one byte more or less.
    assert H264.code(video, rate_factor)[0] == pytest.approx(expected, abs=8 * len(found))


def test_grey_video_at_the_highest_quality_is_what_it_was():
    video = clips(channels=1)
    np.testing.assert_array_equal(np.rint(255 * H264.code(video, 0)[1]), np.rint(255 * video))


def test_colour_at_the_highest_quality_has_the_errors_of_changing_the_colour_space_alone():
    video = clips(channels=3)
    bits, decoded = H264.code(video, 0)
    assert decoded.shape == video.shape
    np.testing.assert_allclose(decoded, video, atol=5 / 255)
    assert bits > 0


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(1, 8, 8), (5, 27, 33)])
def test_any_number_of_frames_and_odd_sizes_are_coded(channels, size):
    video = clips(channels, size=size)
    coded = [H264.code(video, rate_factor) for rate_factor in (45, 30, 10)]
    errors = [np.square(decoded - video).mean() for _, decoded in coded]
    assert coded[0][0] < coded[1][0] < coded[2][0]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 1e-3


@pytest.mark.parametrize("colour", [(0.4,), (0.8, 0.2, 0.4)])
def test_a_constant_clip_is_kept_in_few_bits(colour):
    video = np.broadcast_to(np.array(colour, np.float32)[:, None, None, None], (len(colour), 8, 64, 64))[None]
    bits, decoded = H264.code(video, 25)
    np.testing.assert_allclose(decoded, video, atol=3 / 255)
    assert bits < 0.05 * 8 * 64 * 64


def test_settings_begin_with_the_lowest_quality():
    assert (H264.settings[0], H264.settings[-1], len(H264.settings)) == (51, 0, 52)
