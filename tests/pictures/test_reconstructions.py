from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ndvq_tune.errors import ShapeError
from ndvq_tune.pictures.frames import FRAMES
from ndvq_tune.pictures.reconstructions import reconstructions
from ndvq_tune.pictures.waveforms import BLUE, ORANGE, ticks


def pixels(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.asarray(Image.open(path))


def share(picture: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], colour: tuple[int, int, int]) -> int:
    return int((picture == colour).all(axis=-1).sum())


def test_inputs_stand_above_reconstructions_of_the_same_frames(tmp_path: Path) -> None:
    red = torch.zeros(1, 3, 4, 32, 32)
    red[:, 0] = 1
    blue = torch.zeros(1, 3, 4, 32, 32)
    blue[:, 2] = 1
    reconstructions(red, blue, tmp_path / "p.png")
    picture = pixels(tmp_path / "p.png")
    assert share(picture, (255, 0, 0)) == share(picture, (0, 0, 255)) == 4 * 128 * 128  # 4 frames, each pixel 4 x 4
    reds, blues = (np.argwhere((picture == colour).all(-1))[:, 0] for colour in ((255, 0, 0), (0, 0, 255)))
    assert reds.max() < blues.min()


def test_frames_are_spread_over_the_clip(tmp_path: Path) -> None:
    frames = 16
    clip = torch.linspace(0, 1, frames).view(1, 1, frames, 1, 1).expand(1, 1, frames, 8, 8)
    reconstructions(clip, clip, tmp_path / "p.png")
    picture = pixels(tmp_path / "p.png")
    row = picture[picture.shape[0] // 4]
    assert share(picture, (0, 0, 0)) == 2 * 128 * 128  # the first frame, in both rows
    levels = [level for level in np.unique(row[:, 0]) if (row[:, 0] == level).sum() >= 128]
    assert levels == [round(255 * f / 15) for f in np.linspace(0, 15, FRAMES).round()]


def test_values_outside_the_range_are_cut_off_and_nan_is_black(tmp_path: Path) -> None:
    wild = torch.tensor([2.0, -1.0, float("nan")]).view(1, 3, 1, 1).expand(1, 3, 128, 128)
    reconstructions(torch.full((1, 3, 128, 128), 0.5), wild, tmp_path / "p.png")
    assert share(pixels(tmp_path / "p.png"), (255, 0, 0)) == 128 * 128


@pytest.mark.parametrize(
    "shape",
    [
        (2, 1, 16, 16),
        (9, 3, 100, 40),
        (1, 5, 8, 8),
        (1, 3, 1, 9, 7),
        (5, 2, 30, 200, 10),
        (1, 3, 2, 700, 900),
        (1, 1, 3, 4, 8, 8),
        (1, 1, 1),
        (9, 20, 70_000),
    ],
)
def test_any_sample_has_a_picture(shape: tuple[int, ...], tmp_path: Path) -> None:
    batch = torch.rand(shape, requires_grad=True)
    reconstructions(batch, batch.half(), tmp_path / "p.png")
    height, width = pixels(tmp_path / "p.png").shape[:2]
    assert height > 100
    assert width < 2000


def test_of_four_dimensions_the_middle_of_the_first_is_shown(tmp_path: Path) -> None:
    volumes = torch.zeros(1, 3, 5, 4, 16, 16)
    volumes[:, 0] = 1
    volumes[:, :, 2] = torch.tensor([0.0, 1, 0]).view(1, 3, 1, 1, 1)
    reconstructions(volumes, volumes, tmp_path / "p.png")
    picture = pixels(tmp_path / "p.png")
    assert share(picture, (0, 255, 0)) == 2 * 4 * 128 * 128
    assert share(picture, (255, 0, 0)) == 0


def test_of_two_channels_the_first_is_grey(tmp_path: Path) -> None:
    images = torch.stack([torch.full((128, 128), 0.2), torch.ones(128, 128)])[None]
    reconstructions(images, images, tmp_path / "p.png")
    assert share(pixels(tmp_path / "p.png"), (51, 51, 51)) == 2 * 128 * 128


def test_large_frames_are_reduced_to_their_means(tmp_path: Path) -> None:
    board = torch.zeros(1, 3, 512, 512)
    board[:, 0, :, ::2] = 1
    reconstructions(board, board, tmp_path / "p.png")
    assert share(pixels(tmp_path / "p.png"), (128, 0, 0)) == 2 * 256 * 256


def rows_of(picture: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], colour: tuple[int, int, int]) -> np.ndarray:
    """Rows in which a curve runs; antialiasing leaves its middle as it is. The legend, at the top, is left out."""
    rows = np.argwhere((picture == colour).all(-1))[:, 0]
    return rows[rows > 35]


def test_a_signals_reconstruction_lies_over_its_input(tmp_path: Path) -> None:
    ramp = torch.linspace(0, 1, 200).view(1, 1, 200)
    reconstructions(ramp, torch.full_like(ramp, 0.25), tmp_path / "p.png")
    picture = pixels(tmp_path / "p.png")
    blue, orange = rows_of(picture, BLUE), rows_of(picture, ORANGE)
    assert blue.size > 100
    assert np.ptp(orange) <= 1  # the flat line
    assert orange.mean() == pytest.approx(np.quantile([blue.min(), blue.max()], 0.75), abs=2)  # 0 at the bottom
    assert (picture[:35] == BLUE).all(-1).any()
    assert (picture[:35] == ORANGE).all(-1).any()


def test_channels_of_a_signal_share_a_scale(tmp_path: Path) -> None:
    loud = torch.tensor([0.0, 1.0]).repeat(50)
    quiet = 0.5 + 0.1 * (loud - 0.5)
    signal = torch.stack([loud, quiet])[None]
    reconstructions(signal, torch.full_like(signal, 0.5), tmp_path / "p.png")
    blue = (pixels(tmp_path / "p.png") == BLUE).all(-1)[35:].any(axis=1).nonzero()[0]
    first, second = np.split(blue, [int(np.argmax(np.diff(blue))) + 1])  # the widest gap is that between the lanes
    assert np.ptp(second) < 0.25 * np.ptp(first)


def test_peaks_of_long_signals_are_not_lost(tmp_path: Path) -> None:
    signal = torch.full((1, 1, 100_000), 0.5)
    signal[..., 31_337] = 1
    signal[..., 71_337] = 0
    reconstructions(signal, torch.full_like(signal, 0.5), tmp_path / "p.png")
    assert np.ptp(rows_of(pixels(tmp_path / "p.png"), BLUE)) > 80


def test_signals_that_go_wild_stay_in_their_lane(tmp_path: Path) -> None:
    signal = torch.linspace(0, 1, 64).view(1, 1, 64)
    wild = torch.tensor([1e30, -1e30, float("nan"), float("inf")]).repeat(16).view(1, 1, 64)
    reconstructions(signal, signal, tmp_path / "tame.png")
    reconstructions(signal, wild, tmp_path / "wild.png")
    tame, picture = pixels(tmp_path / "tame.png"), pixels(tmp_path / "wild.png")
    assert tame.shape == picture.shape
    assert np.array_equal(tame[-20:], picture[-20:])  # the axis


def test_what_leaves_the_lane_runs_along_its_edge(tmp_path: Path) -> None:
    signal = torch.linspace(0, 1, 64).view(1, 1, 64)
    for name, value in (("near", 9.0), ("far", 1e9)):
        reconstructions(signal, torch.full_like(signal, value), tmp_path / f"{name}.png")
    near, far = pixels(tmp_path / "near.png"), pixels(tmp_path / "far.png")
    assert np.array_equal(near, far)
    reddish = (far[35:, :, 0] > 200) & (far[35:, :, 2] < 180)
    assert reddish.any(axis=0).sum() > 800  # all along the top


@pytest.mark.parametrize(
    ("span", "most", "expected"),
    [
        ((0, 1), 4, [0, 0.5, 1]),
        ((-0.08, 1.08), 4, [0, 0.5, 1]),
        ((0, 1023), 6, [0, 200, 400, 600, 800, 1000]),
        ((0.42, 0.58), 3, [0.45, 0.5, 0.55]),
        ((6.1, 9.9), 2, [8]),
        ((0, 1), 6, [0, 0.2, 0.4, 0.6, 0.8, 1]),
    ],
)
def test_ticks_are_round(span: tuple[float, float], most: int, expected: list[float]) -> None:
    assert ticks(*span, most) == pytest.approx(expected)


def test_other_shapes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ShapeError, match=r"\(2, 100\)"):
        reconstructions(torch.zeros(2, 100), torch.zeros(2, 100), tmp_path / "p.png")
    with pytest.raises(ShapeError, match="differ"):
        reconstructions(torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 9), tmp_path / "p.png")
    assert not (tmp_path / "p.png").exists()
