"""What each plain method makes of the test samples, measured as models are."""

import math
from bisect import bisect_right
from collections.abc import Callable
from functools import cache

import av
import numpy as np
import numpy.typing as npt
import torch
from av.codec.codec import UnknownCodecError

from ndvq_tune.baselines.codec import Codec
from ndvq_tune.baselines.images import image_codecs
from ndvq_tune.baselines.resampling import RESAMPLING, resampled
from ndvq_tune.baselines.sounds import LAYOUTS, opus
from ndvq_tune.baselines.videos import H264
from ndvq_tune.config import DataConfig, ImageData, RunConfig, SignalData, TorchvisionData, VideoData
from ndvq_tune.data.batches.loader import batches
from ndvq_tune.data.dataset import Dataset
from ndvq_tune.model import latent_shape
from ndvq_tune.model.statistics import broadcast
from ndvq_tune.records import Baseline
from ndvq_tune.training.evaluation import over_variance, rate, squared_errors

POSITIONS = 2**20  # that a codec is tried on, so that it takes seconds
LEAST, RUNS = 8, 8
_CPU = torch.device("cpu")
_CANNOT = (av.FFmpegError, UnknownCodecError, OSError)  # not in this build, or not for such samples


def baselines(dataset: Dataset, config: RunConfig) -> tuple[Baseline, ...]:
    """What plain methods make of the test samples.

    The mean of the training data, and resampling to the grid of a model's codes, are measured on all of them. Codecs
    get samples of about a million positions, but at least 8, spread evenly. One that this machine lacks is left out.

    Args:
        dataset: The data.
        config: Of the model that they are compared with: it says the grid, and how many bits a codec may take.
    """
    shape, batch_size = dataset.test.shape, config.training.batch_size
    mean, grid = broadcast(dataset.mean, shape), latent_shape(config.model, shape)
    plain = (
        Baseline("mean", _loss(mean.expand_as, dataset, batch_size)),
        Baseline(RESAMPLING[len(grid)], _loss(lambda x: resampled(x, grid), dataset, batch_size)),
    )
    bits = rate(config.model, shape)
    sample_rate = dataset.card.sample_rate if dataset.card else None
    found = (at_rate(codec, dataset, bits) for codec in codecs_for(config.data, shape, sample_rate))
    return plain + tuple(baseline for baseline in found if baseline is not None)


def codecs_for(data: DataConfig, shape: tuple[int, ...], sample_rate: float | None = None) -> tuple[Codec, ...]:
    """The codecs that are made for such data: grey and colour pictures, and sounds of one or two channels.

    Args:
        data: Where it is from.
        shape: Shape ``(C, *S)`` of a sample.
        sample_rate: Steps a second, in Hz, where samples are of sounds.
    """
    match data:
        case ImageData() | VideoData() | TorchvisionData() if data.channels in (1, 3):
            return image_codecs() if len(shape) == 3 else (H264,)
        case SignalData(columns=None) if sample_rate and shape[0] in LAYOUTS:
            return (opus(round(sample_rate)),)
        case _:
            return ()


def at_rate(codec: Codec, dataset: Dataset, bits_per_element: float) -> Baseline | None:
    """A codec at the highest quality that takes at most so many bits, or else at its lowest.

    Args:
        codec: The codec.
        dataset: The data.
        bits_per_element: The most that it may take of the samples together; a single one may take more.

    Returns:
        What it made of the samples; None if it cannot be had, or not for these.
    """
    variance = broadcast(dataset.variance, dataset.test.shape)
    positions = math.prod(dataset.test.shape[1:])
    chosen = spread(len(dataset.test), max(LEAST, POSITIONS // positions), RUNS if codec.joins else None)
    x = dataset.test.scale.to_unit(dataset.test.read(chosen), _CPU)

    @cache
    def coded(setting: int) -> tuple[float, float]:
        bits, x_recon = codec.code(x.numpy(), setting)
        loss = over_variance(squared_errors(torch.from_numpy(x_recon), x).mean(0), variance).mean().item()
        return bits / (len(x) * positions), loss

    try:
        within = bisect_right(codec.settings, bits_per_element, key=lambda setting: coded(setting)[0])
        bits, loss = coded(codec.settings[max(0, within - 1)])
    except _CANNOT:
        return None
    return Baseline(codec.name, loss, bits)


def spread(total: int, most: int, runs: int | None = None) -> npt.NDArray[np.int64]:
    """Numbers of samples that stand for all, in order; all of them, if these are no more than wanted.

    Args:
        total: How many there are.
        most: How many are wanted.
        runs: In how many runs of neighbours; one by one if not given.

    Example:
        >>> spread(100, 4), spread(100, 6, runs=2)
        (array([ 0, 33, 66, 99]), array([ 0,  1,  2, 97, 98, 99]))
    """
    if total <= most:
        return np.arange(total)
    length = 1 if runs is None else most // runs
    starts = np.linspace(0, total - length, most // length).astype(np.int64)
    return (starts[:, None] + np.arange(length)).ravel()


def _loss(reconstruct: Callable[[torch.Tensor], torch.Tensor], dataset: Dataset, batch_size: int) -> float:
    """``recon_loss`` over all test samples."""
    samples = dataset.test
    mse = torch.zeros(samples.shape[0], dtype=torch.float64)
    for batch in batches(samples, batch_size):
        x = samples.scale.to_unit(batch, _CPU)
        mse += squared_errors(reconstruct(x), x).sum(0)
    return over_variance(mse / len(samples), broadcast(dataset.variance, samples.shape)).mean().item()
