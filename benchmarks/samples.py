"""Real data of 1, 2 and 3 dimensions, all out of the sample clips: one source, so that results compare."""

from dataclasses import dataclass

import av
import numpy as np
import torch

from ndvq_tune.config import VideoData
from ndvq_tune.data.batches.samples import SampleSet
from ndvq_tune.data.dataset import open_dataset
from ndvq_tune.data.sample_data.installed import clips

TILE, WINDOW = 32, 256
SOUND_CLIP, TRAIN_SHARE = "bigbuckbunny.mp4", 0.8


@dataclass(frozen=True)
class Samples:
    """Data in [0, 1], split by time.

    Attributes:
        name: What it is, in words.
        downsample: Factor of each dimension, for models of this data.
        batch: Samples a step.
        train: Training samples ``(N, 3, *S)``.
        validation: Samples of later times.
    """

    name: str
    downsample: tuple[int, ...]
    batch: int
    train: torch.Tensor
    validation: torch.Tensor


def video() -> Samples:
    """Clips of 8 frames, 32 pixels square."""
    train, validation = _tiles(clip_length=8, clip_stride=4)
    return Samples("3D video 8x32x32", (2, 4, 4), 4, train, validation)


def images() -> Samples:
    """Single frames of the same clips, 32 pixels square."""
    train, validation = _tiles(clip_length=1, clip_stride=1)
    return Samples("2D frames 32x32", (4, 4), 16, train.squeeze(2), validation.squeeze(2))


def sound() -> Samples:
    """The sound of a clip in windows of 256 samples at 48 kHz: front left, front right and centre."""
    waves = _sound_track()
    windows = waves[:, : waves.shape[1] // WINDOW * WINDOW].unflatten(1, (-1, WINDOW)).transpose(0, 1)
    split = round(TRAIN_SHARE * len(windows))
    scaled = windows / (2 * windows[:split].abs().max()) + 0.5
    return Samples("1D sound 256", (4,), 32, scaled[:split], scaled[split:])


def _tiles(clip_length: int, clip_stride: int) -> list[torch.Tensor]:
    config = VideoData(clip_length=clip_length, clip_stride=clip_stride, resolution=2 * TILE)
    dataset = open_dataset(config)
    return [_four_tiles(clips) for clips in (dataset.train, dataset.test)]


def _four_tiles(clips: SampleSet) -> torch.Tensor:
    """Quarters ``(4 * N, C, T, TILE, TILE)`` of all clips."""
    quarters = clips[:].unfold(3, TILE, TILE).unfold(4, TILE, TILE)
    return quarters.movedim((3, 4), (1, 2)).flatten(0, 2).float() / 255


def _sound_track() -> torch.Tensor:
    """Waves ``(3, L)`` in [-1, 1]."""
    (clip,) = clips([SOUND_CLIP])
    with av.open(str(clip)) as container:
        frames = [frame.to_ndarray() for frame in container.decode(audio=0)]
    return torch.from_numpy(np.concatenate(frames, axis=1)[:3])
