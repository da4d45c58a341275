from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ndvq_tune.errors import ShapeError
from ndvq_tune.report import pictures
from ndvq_tune.report.pictures import reconstructions


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
    assert levels == [round(255 * f / 15) for f in np.linspace(0, 15, pictures.FRAMES).round()]


def test_values_outside_the_range_are_cut_off_and_nan_is_black(tmp_path: Path) -> None:
    wild = torch.tensor([2.0, -1.0, float("nan")]).view(1, 3, 1, 1).expand(1, 3, 128, 128)
    reconstructions(torch.full((1, 3, 128, 128), 0.5), wild, tmp_path / "p.png")
    assert share(pixels(tmp_path / "p.png"), (255, 0, 0)) == 128 * 128


@pytest.mark.parametrize("shape", [(2, 1, 16, 16), (9, 3, 100, 40), (1, 5, 8, 8), (1, 3, 1, 9, 7), (5, 2, 30, 200, 10)])
def test_any_video_or_image_has_a_picture(shape: tuple[int, ...], tmp_path: Path) -> None:
    batch = torch.rand(shape, requires_grad=True)
    reconstructions(batch, batch.half(), tmp_path / "p.png")
    height, width = pixels(tmp_path / "p.png").shape[:2]
    assert height > 100
    assert width < 2000


def test_other_shapes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ShapeError, match=r"\(1, 2, 100\)"):
        reconstructions(torch.zeros(1, 2, 100), torch.zeros(1, 2, 100), tmp_path / "p.png")
    with pytest.raises(ShapeError, match="differ"):
        reconstructions(torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 9), tmp_path / "p.png")
    assert not (tmp_path / "p.png").exists()
