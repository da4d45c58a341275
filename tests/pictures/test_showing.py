from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence

from ndvq_tune.config.card import DataCard
from ndvq_tune.data.batches.samples import SampleSet, Scale, Window
from ndvq_tune.data.dataset import Dataset
from ndvq_tune.pictures.showcase import Showcase
from ndvq_tune.pictures.showing import SECONDS, runs, show

RATE, WINDOW = 8_000, 400


class Halving(torch.nn.Module):
    """Makes half of everything, of any shape, and counts how many samples it is given at once."""

    most = 0

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        self.most = max(self.most, len(x))
        return torch.zeros(()), x / 2, torch.zeros(())


def dataset(samples: SampleSet, **card: object) -> Dataset:
    stated = DataCard.model_construct(**{"sample_rate": None, "frame_rate": None, "channels": samples.shape[0]} | card)
    return Dataset(samples, samples, mean=0.5, variance=0.1, pooled_variance=0.1, skipped={}, files=1, card=stated)


def sounds(*seconds: float) -> SampleSet:
    rng = np.random.default_rng(0)
    rows = [rng.uniform(0, 1, (round(length * RATE), 1)).astype(np.float32) for length in seconds]
    return SampleSet(rows, Window(WINDOW, WINDOW), Scale(0, 1))


def clips(*frames: int, size: int = 32) -> SampleSet:
    rng = np.random.default_rng(0)
    rows = [rng.integers(0, 256, (length, size, size, 3), np.uint8) for length in frames]
    return SampleSet(rows, Window(8, 8), Scale(0, 255))


def names(showcase: Showcase) -> list[str]:
    assert all(path.is_file() for path in showcase.files)
    return [path.name for path in showcase.files]


def played(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)[0]


def test_a_run_is_from_the_middle_of_one_of_the_longest_recordings() -> None:
    samples = clips(16, 80, 7, 40)  # 2, 10, 0 and 5 samples
    assert runs(samples, steps=20, most=2) == [range(5, 8), range(13, 16)]
    assert runs(samples, steps=1000, most=9) == [range(2, 12), range(12, 17), range(2)]


def test_samples_without_an_axis_of_time_are_not_joined() -> None:
    volumes = SampleSet([np.zeros((5, 8, 8, 8, 1), np.float32)], Window(), Scale(0, 1))
    assert runs(volumes, steps=48, most=1) == [range(2, 3)]


def test_sounds_are_joined_from_neighbouring_windows(tmp_path: Path) -> None:
    samples, model = sounds(0.4, 2.0, 0.03), Halving()
    found = show(model, dataset(samples, sample_rate=float(RATE)), tmp_path, "trial-0001")
    assert names(found) == [
        "trial-0001.png",
        *(
            f"trial-0001-sound-{number}-{part}.{kind}"
            for number in (1, 2)
            for part in ("input", "reconstruction")
            for kind in ("flac", "png")
        ),
    ]
    original = played(found.sounds[0].original.audio)
    assert len(original) == SECONDS * RATE
    begin = (2 * RATE // WINDOW - round(SECONDS * RATE) // WINDOW) // 2 * WINDOW
    rows = samples._recordings[1][begin : begin + len(original), 0]
    assert np.array_equal(original, np.rint((rows * 2 - 1) * 32767))
    assert np.array_equal(played(found.sounds[0].reconstructed.audio), np.rint((rows - 1) * 32767))
    assert len(played(found.sounds[1].original.audio)) == 0.4 * RATE
    assert model.most == 4  # of 38 windows: memory stays what it is for the picture


@pytest.mark.parametrize(("seconds", "rate"), [(1.0, None), (1.0, 250.0), (0.05, 8_000.0)])
def test_signals_that_are_no_sounds_or_as_short_as_a_click_have_waveforms_only(
    seconds: float, rate: float | None, tmp_path: Path
) -> None:
    assert names(show(Halving(), dataset(sounds(seconds), sample_rate=rate), tmp_path, "trial-0001")) == [
        "trial-0001.png"
    ]


def test_clips_of_a_recording_follow_each_other_at_its_rate(tmp_path: Path) -> None:
    found = show(Halving(), dataset(clips(8, 24), frame_rate=12.5), tmp_path, "trial-0001")
    assert names(found) == ["trial-0001.png", "trial-0001.webp"]
    with Image.open(found.motion) as film:
        assert [frame.copy().info["duration"] for frame in ImageSequence.Iterator(film)] == [80] * 24


def test_images_stand_still_and_data_made_in_memory_has_no_card(tmp_path: Path) -> None:
    images = SampleSet([np.zeros((3, 16, 16, 3), np.uint8)], Window(), Scale(0, 255))
    assert names(show(Halving(), dataset(images), tmp_path, "trial-0001")) == ["trial-0001.png"]
    found = show(Halving(), replace(dataset(clips(16)), card=None), tmp_path, "trial-0002")
    assert names(found) == ["trial-0002.png", "trial-0002.webp"]


def test_what_is_not_there_is_not_shown(tmp_path: Path) -> None:
    found = show(Halving(), dataset(sounds(1.0, 1.0), sample_rate=float(RATE)), tmp_path, "trial-0001")
    found.sounds[0].original.audio.unlink()
    kept = Showcase.places(tmp_path, "trial-0001").kept()
    assert (kept.still, kept.motion, kept.sounds) == (found.still, None, found.sounds[1:])
