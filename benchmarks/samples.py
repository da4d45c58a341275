"""Real data of 1, 2 and 3 dimensions: out of the sample clips, or speech and rendered levels that are downloaded."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import av
import numpy as np
import torch

from benchmarks import downloads
from ndvq_tune.config import SignalData, VideoData
from ndvq_tune.data.batches.samples import SampleSet, Scale, Window
from ndvq_tune.data.dataset import open_dataset
from ndvq_tune.data.sample_data.installed import clips

TILE, CLIP_LENGTH, WINDOW = 32, 8, 1024
SOUND_CLIP, TRAIN_SHARE = "bigbuckbunny.mp4", 0.8


@dataclass(frozen=True)
class Samples:
    """Data in [0, 1], and what models of it have in common.

    Attributes:
        name: What it is, in words.
        downsample: Factor of each dimension.
        batch: Samples a step.
        train: Training samples ``(N, C, *S)``.
        validation: Samples of later times, or of other recordings.
        n_codebooks: Codebooks a position, each for what those before it left.
    """

    name: str
    downsample: tuple[int, ...]
    batch: int
    train: torch.Tensor
    validation: torch.Tensor
    n_codebooks: int = 1

    @property
    def mean(self) -> list[float]:
        """The mean of each channel of the training data."""
        return [channel.mean().item() for channel in self.train.unbind(1)]

    @property
    def variance(self) -> list[float]:
        """The variance of each channel."""
        return [channel.var(correction=0).item() for channel in self.train.unbind(1)]


def sample_video() -> Samples:
    """Clips of 8 frames, 32 pixels square."""
    dataset = open_dataset(VideoData(clip_length=CLIP_LENGTH, clip_stride=4, resolution=2 * TILE))
    return _video("sample clips", dataset.train, dataset.test)


def sample_images() -> Samples:
    """Single frames of the same clips, 32 pixels square."""
    dataset = open_dataset(VideoData(clip_length=1, clip_stride=1, resolution=2 * TILE))
    return _images("sample clips", dataset.train, dataset.test)


def sample_sound() -> Samples:
    """The sound of a clip at 48 kHz: front left, front right and centre."""
    waves = _sound_track()
    windows = waves[:, : waves.shape[1] // WINDOW * WINDOW].unflatten(1, (-1, WINDOW)).transpose(0, 1)
    split = round(TRAIN_SHARE * len(windows))
    scaled = windows / (2 * windows[:split].abs().max()) + 0.5
    return _sound("sample clip, 48 kHz", scaled[:split], scaled[split:])


def downloaded_video() -> Samples:
    """Clips of walks through levels; the last levels are for validation."""
    return _video("rendered levels", *_levels(Window(CLIP_LENGTH, CLIP_LENGTH)))


def downloaded_images() -> Samples:
    """Single frames of the same levels."""
    return _images("rendered levels", *_levels(Window(1)))


def downloaded_sound() -> Samples:
    """Recordings of one speaker at 8 kHz; a tenth of them is for validation."""
    dataset = open_dataset(SignalData(path=str(downloads.speech()), window=WINDOW, split=0.9))
    return _sound("speech, 8 kHz", *(part.scale.to_unit(part[:], _CPU) for part in (dataset.train, dataset.test)))


Loaders = Mapping[int, Callable[[], Samples]]

_CPU = torch.device("cpu")
INSTALLED: Loaders = {1: sample_sound, 2: sample_images, 3: sample_video}
DOWNLOADED: Loaders = {1: downloaded_sound, 2: downloaded_images, 3: downloaded_video}


def _sound(name: str, train: torch.Tensor, validation: torch.Tensor) -> Samples:
    return Samples(f"1D {name}, windows of {WINDOW}", (16,), 16, train, validation, n_codebooks=4)


def _images(name: str, train: SampleSet, validation: SampleSet) -> Samples:
    shape = f"{TILE}x{TILE}"
    return Samples(f"2D {name}, {shape}", (4, 4), 16, _four_tiles(train).squeeze(2), _four_tiles(validation).squeeze(2))


def _video(name: str, train: SampleSet, validation: SampleSet) -> Samples:
    shape = f"{CLIP_LENGTH}x{TILE}x{TILE}"
    return Samples(f"3D {name}, {shape}", (2, 4, 4), 4, _four_tiles(train), _four_tiles(validation))


def _four_tiles(clips: SampleSet) -> torch.Tensor:
    """Quarters ``(4 * N, C, T, TILE, TILE)`` of all clips."""
    quarters = clips[:].unfold(3, TILE, TILE).unfold(4, TILE, TILE)
    return quarters.movedim((3, 4), (1, 2)).flatten(0, 2).float() / 255


def _levels(window: Window) -> list[SampleSet]:
    levels = downloads.levels(2 * TILE)
    split = round(TRAIN_SHARE * len(levels))
    return [SampleSet(part, window, Scale(0, 255)) for part in (levels[:split], levels[split:])]


def _sound_track() -> torch.Tensor:
    """Waves ``(3, L)`` in [-1, 1]."""
    (clip,) = clips([SOUND_CLIP])
    with av.open(str(clip)) as container:
        frames = [frame.to_ndarray() for frame in container.decode(audio=0)]
    return torch.from_numpy(np.concatenate(frames, axis=1)[:3])
