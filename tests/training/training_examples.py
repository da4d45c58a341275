"""A data set in memory and a configuration that trains on it in milliseconds."""

from typing import Any

import numpy as np
import torch

from ndvq_tune.config import AttentionConfig, ModelConfig, RunConfig, TrainingConfig, VideoData
from ndvq_tune.data.batches.samples import SampleSet, Scale, Window
from ndvq_tune.data.dataset import Dataset

CLIP_LENGTH, SIZE = 2, 8
TIMING = ("samples_per_second", "peak_memory_bytes", "host_memory_bytes", "worker_cpu_utilization", "training_seconds")


def clips(count: int, seed: int, size: int = SIZE) -> SampleSet:
    """Clips of coloured bars that move, so that there is something to learn."""
    rng = np.random.default_rng(seed)
    phase, speed = rng.uniform(0, 6, (count, 1, 1, 1, 3)), rng.uniform(0.5, 1.5, (count, 1, 1, 1, 3))
    time, x = np.arange(CLIP_LENGTH)[:, None, None, None], np.arange(size)[:, None]
    bars = 0.5 + 0.4 * np.sin(speed * (x + time) + phase) + 0 * np.arange(size)[:, None, None]
    frames = np.round(255 * bars).astype(np.uint8).reshape(count * CLIP_LENGTH, size, size, 3)
    return SampleSet([frames], Window(CLIP_LENGTH, CLIP_LENGTH), Scale(0, 255))


def values(samples: SampleSet) -> np.ndarray:
    """All clips ``(N, C, T, H, W)`` in float64, in [0, 1]."""
    return samples[:].numpy().astype(np.float64) / 255


def floats(samples: SampleSet) -> torch.Tensor:
    """All clips as the model sees them."""
    return samples.scale.to_unit(samples[:], torch.device("cpu"))


def dataset(train: int = 16, test: int = 6, size: int = SIZE) -> Dataset:
    training = clips(train, 1, size)
    pixels, of_channel = values(training), (0, 2, 3, 4)
    mean, variance = tuple(pixels.mean(of_channel).tolist()), tuple(pixels.var(of_channel).tolist())
    return Dataset(training, clips(test, 2, size), mean, variance, float(pixels.var()), {}, files=2)


def config(model: dict[str, Any] | None = None, **training: Any) -> RunConfig:
    defaults = {
        "n_codes": 16,
        "embedding_dim": 4,
        "downsample": (1, 2, 2),
        "n_hiddens": 8,
        "n_res_layers": 1,
        "attention": AttentionConfig(type="axial", n_head=2, dropout=0.2),
    }
    return RunConfig(
        data=VideoData(clip_length=CLIP_LENGTH, resolution=SIZE),
        model=ModelConfig(**(defaults | (model or {}))),
        training=TrainingConfig(**({"batch_size": 4, "max_epochs": 4, "learning_rate": 3e-3} | training)),
    )


def timeless(report: dict[str, float]) -> dict[str, float]:
    """A report without what differs from run to run."""
    return {name: value for name, value in report.items() if name not in TIMING}
