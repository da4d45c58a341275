from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ndvq_tune.config import ArrayData, ImageData
from ndvq_tune.data.batches.samples import SampleSet, Scale, Window
from ndvq_tune.data.dataset import Dataset
from ndvq_tune.errors import ShapeError
from ndvq_tune.pictures.preview import preview
from ndvq_tune.pictures.waveforms import BLUE

RED, GREEN, CYAN = (255, 0, 0), (0, 255, 0), (0, 255, 255)


def of_colours(colours: list[tuple[int, int, int]], *size: int) -> np.ndarray:
    """A recording of samples of one colour each, ``(N, *size, 3)``."""
    rows = np.array(colours, np.uint8).reshape(len(colours), *(1 for _ in size), 3)
    return np.ascontiguousarray(np.broadcast_to(rows, (len(colours), *size, 3)))


def dataset(train: np.ndarray, test: np.ndarray, window: Window | None = None) -> Dataset:
    scale = Scale.of(train.dtype, float(train.min()), float(train.max()))
    samples, held_out = (SampleSet([rows], window or Window(), scale) for rows in (train, test))
    return Dataset(samples, held_out, mean=0.5, variance=0.1, pooled_variance=0.1, skipped={}, files=2)


def shown(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def places(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """Rows and columns of pixels of a colour."""
    return np.argwhere((picture == colour).all(-1))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep er" / "preview.png"


def test_training_samples_stand_above_test_samples(path: Path) -> None:
    preview(dataset(of_colours([RED] * 5, 16, 16), of_colours([GREEN] * 3, 16, 16)), ArrayData(), path)
    reds, greens = (places(shown(path), colour) for colour in (RED, GREEN))
    assert (len(reds), len(greens)) == (5 * 128 * 128, 3 * 128 * 128)
    assert reds[:, 0].max() < greens[:, 0].min()


def test_so_many_samples_as_were_asked_for(path: Path) -> None:
    data = dataset(of_colours([RED] * 50, 16, 16), of_colours([GREEN] * 50, 16, 16))
    preview(data, ArrayData(), path, samples=11)
    assert len(places(shown(path), RED)) == len(places(shown(path), GREEN)) == 11 * 128 * 128


def test_test_samples_are_spread_over_the_split(path: Path) -> None:
    colours = [(level, 0, 9) for level in range(0, 200, 2)]
    preview(dataset(of_colours([RED] * 2, 16, 16), of_colours(colours, 16, 16)), ArrayData(), path, samples=3)
    found = {colour for colour in colours if len(places(shown(path), colour)) == 128 * 128}
    assert found == {colours[0], colours[50], colours[-1]}


def test_training_samples_are_shuffled_by_the_seed(path: Path) -> None:
    colours = [(level, 0, 9) for level in range(0, 200, 2)]
    data = dataset(of_colours(colours, 8, 8), of_colours([GREEN], 8, 8))
    pictures = []
    for seed in (0, 0, 1):
        preview(data, ArrayData(), path, samples=4, seed=seed)
        pictures.append(shown(path))
    assert np.array_equal(pictures[0], pictures[1])
    assert not np.array_equal(pictures[0], pictures[2])


def test_training_samples_are_changed_as_in_training_and_test_samples_are_not(path: Path) -> None:
    config = ImageData(resolution=16, augment={"RandomInvert": {"p": 1.0}})
    before = torch.get_rng_state()
    preview(dataset(of_colours([RED] * 5, 16, 16), of_colours([RED] * 3, 16, 16)), config, path)
    picture = shown(path)
    assert len(places(picture, CYAN)) == 5 * 128 * 128
    assert len(places(picture, RED)) == 3 * 128 * 128
    assert torch.equal(torch.get_rng_state(), before)


def test_training_samples_are_cropped_at_random_and_test_samples_at_the_centre(path: Path) -> None:
    frames = of_colours([RED] * 4, 32, 32)
    frames[:, 8:24, 8:24] = GREEN
    preview(dataset(frames, frames, Window(crop=16)), ImageData(resolution=16, resize=32, crop="random"), path)
    reds, greens = (places(shown(path), colour) for colour in (RED, GREEN))
    assert len(greens) > 4 * 128 * 128  # the test samples, which have nothing else, and parts of training samples
    assert len(reds) > 0
    assert reds[:, 0].max() < greens[:, 0].max() - 128


def test_random_crops_are_named_in_the_title(path: Path) -> None:
    frames = of_colours([RED] * 4, 16, 16)
    pictures = []
    for window in (Window(), Window(crop=16)):
        preview(dataset(frames, frames, window), ImageData(resolution=16, crop="random"), path)
        pictures.append(shown(path))
    assert not np.array_equal(pictures[0][:32], pictures[1][:32])
    assert np.array_equal(pictures[0][32:, :600], pictures[1][32:, :600])


def test_clips_are_strips_of_frames_over_time(path: Path) -> None:
    clip = of_colours([(10 * frame, 0, 9) for frame in range(20)], 16, 16)
    preview(dataset(clip, clip, Window(20, 20)), ArrayData(), path)
    picture = shown(path)
    lefts = [
        places(picture, (10 * frame, 0, 9))[:, 1].min() for frame in np.linspace(0, 19, 8).round().astype(int).tolist()
    ]
    assert lefts == sorted(set(lefts))
    assert len(places(picture, (0, 0, 9))) == 2 * 128 * 128


def test_volumes_are_strips_over_their_first_axis(path: Path) -> None:
    volumes = of_colours([GREEN] * 3, 6, 16, 16)
    volumes[:, 4] = RED
    preview(dataset(volumes, volumes), ArrayData(), path, samples=2)
    reds, greens = (places(shown(path), colour) for colour in (RED, GREEN))
    assert (len(reds), len(greens)) == (4 * 128 * 128, 4 * 5 * 128 * 128)
    assert (np.unique(greens[:, 1]) > reds[:, 1].max()).sum() == 128  # one slice is behind the fifth


def test_signals_are_curves_on_one_scale(path: Path) -> None:
    steps = np.linspace(-7, 7, 64, dtype=np.float32)[:, None]
    preview(dataset(steps, steps / 10, Window(64, 64)), ArrayData(), path)
    rows = np.unique(places(shown(path), BLUE)[:, 0])
    train, test = np.split(rows, [int(np.argmax(np.diff(rows))) + 1])
    assert np.ptp(test) < 0.2 * np.ptp(train)


def test_every_number_of_dimensions_has_a_picture(path: Path) -> None:
    random = np.random.default_rng(0)
    for size in ((64,), (9, 5), (3, 9, 5), (2, 3, 9, 5)):
        rows = random.random((4, *size, 2))
        preview(dataset(rows, rows), ArrayData(), path)
        assert shown(path).shape[0] > 200
        path.unlink()


def test_five_dimensions_are_refused(path: Path) -> None:
    rows = np.random.default_rng(0).random((1, 2, 2, 2, 2, 2, 1))
    with pytest.raises(ShapeError, match="1 to 4 dimensions"):
        preview(dataset(rows, rows), ArrayData(), path)
    assert not path.exists()
