import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence

from ndvq_tune.pictures.motion import BYTES, FRAMES, motion
from ndvq_tune.pictures.webp import animation, webp

GREEN = torch.tensor([0.0, 1.0, 0.0])


def decoded(path: Path) -> tuple[list[np.ndarray], list[int]]:
    """Frames and how long each is seen, in milliseconds."""
    with Image.open(path) as film:
        shown = [(np.asarray(frame.convert("RGB")), frame.info["duration"]) for frame in ImageSequence.Iterator(film)]
        assert film.info["loop"] == 0  # for ever
    return [frame for frame, _ in shown], [duration for _, duration in shown]


def brightening(frames: int, size: int = 32) -> torch.Tensor:
    """Grey frames ``(1, T, H, W)``, each brighter than the last."""
    return torch.linspace(0, 1, frames).view(1, frames, 1, 1).expand(1, frames, size, size)


def test_the_input_is_at_the_left_and_its_reconstruction_at_the_right(tmp_path: Path) -> None:
    motion(brightening(8), 1 - brightening(8), 25.0, tmp_path / "film.webp")
    frames, _ = decoded(tmp_path / "film.webp")
    assert len(frames) == 8
    assert frames[0].shape == (32, 32 + 4 + 32, 3)  # as they are
    for number, frame in enumerate(frames):
        left, right = (frame[16, column].mean() for column in (16, 32 + 4 + 16))
        assert left == pytest.approx(255 * number / 7, abs=6)
        assert right == pytest.approx(255 * (1 - number / 7), abs=6)


def test_frames_last_as_long_as_those_of_the_data(tmp_path: Path) -> None:
    motion(brightening(30), brightening(30), 30_000 / 1001, tmp_path / "film.webp")
    _, durations = decoded(tmp_path / "film.webp")
    ends = np.cumsum(durations)
    assert len(ends) == 30
    assert np.abs(ends - np.arange(1, 31) * 1001 / 30).max() <= 0.5  # milliseconds: errors of rounding do not add up


def test_of_a_fast_clip_frames_are_left_out_so_that_it_is_not_slowed_down(tmp_path: Path) -> None:
    motion(brightening(24), brightening(24), 120.0, tmp_path / "film.webp")
    _, durations = decoded(tmp_path / "film.webp")
    assert durations == [25] * 8  # every third


def test_without_a_rate_all_of_a_volume_is_passed_through(tmp_path: Path) -> None:
    depth = 3 * FRAMES - 5
    motion(brightening(depth), brightening(depth), None, tmp_path / "film.webp")
    frames, durations = decoded(tmp_path / "film.webp")
    assert len(frames) == math.ceil(depth / 3)
    assert set(durations) == {125}
    assert frames[0][16, 16].mean() < 10
    assert frames[-1][16, 16].mean() > 240


def test_of_a_volume_over_time_the_middle_is_shown(tmp_path: Path) -> None:
    volume = torch.rand(3, 5, 4, 16, 16)
    volume[:, 2] = GREEN.view(3, 1, 1, 1)
    volume[:, 2, 1] = 0  # one frame that differs: equal ones would be joined
    motion(volume, volume, 8.0, tmp_path / "film.webp")
    frames, durations = decoded(tmp_path / "film.webp")
    assert sum(durations) == 500
    assert np.abs(frames[0][8, 8].astype(int) - [0, 255, 0]).max() < 12


@pytest.mark.parametrize("shape", [(3, 200, 24, 24), (1, 1, 8, 8), (2, 5, 300, 40), (4, 3, 6, 20, 30)])
def test_any_clip_moves_within_its_bytes(shape: tuple[int, ...], tmp_path: Path) -> None:
    clip = torch.rand(shape, requires_grad=True) * 3 - 1
    motion(clip, torch.full_like(clip, float("nan")), 25.0, tmp_path / "film.webp")
    with Image.open(tmp_path / "film.webp") as film:
        assert sum(1 for _ in ImageSequence.Iterator(film)) == min(FRAMES, shape[-3])
        assert max(film.size) < 500


def test_the_best_quality_that_fits_is_taken() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (4, 96, 96, 3), np.uint8)
    frames = [Image.fromarray(frame) for frame in noise]
    limits = (16_000, 32_000, BYTES)
    sizes = [len(animation(frames, [40] * 4, most)) for most in limits]
    assert all(size <= most for size, most in zip(sizes, limits, strict=True))
    assert sizes == sorted(set(sizes))
    assert len(animation(frames, [40] * 4, 1)) < sizes[0]  # the least, when none fits


def test_a_picture_loses_nothing_where_that_fits(tmp_path: Path) -> None:
    drawn = Image.new("RGB", (60, 40), (1, 2, 3))
    drawn.paste((200, 10, 30), (5, 5, 20, 20))
    (tmp_path / "exact.webp").write_bytes(webp(drawn, 2_000))
    assert np.array_equal(np.asarray(Image.open(tmp_path / "exact.webp")), np.asarray(drawn))
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8))
    assert len(webp(noise, 8_000)) <= 8_000 < len(webp(noise, 10**6))
