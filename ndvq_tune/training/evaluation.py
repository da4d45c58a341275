"""Metrics of a model over a whole validation set, on one rank or many."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import distributed as dist

from ndvq_tune.config import ModelConfig
from ndvq_tune.data.batches.loader import batches
from ndvq_tune.data.dataset import Dataset
from ndvq_tune.metrics import bits_per_element, psnr
from ndvq_tune.model import NDimVQVAE, latent_shape
from ndvq_tune.model.quantizers import Quantizer, build_quantizer
from ndvq_tune.training.image_quality import frame_similarities, frames_of

GROUPS = 256  # of test samples, so that a checkpoint of many samples stays small


class Validation(NamedTuple):
    """What was measured of a model.

    Attributes:
        metrics: Those metrics of ``ndvq_tune.metrics`` that a model and its validation samples decide, and
            ``recon_loss_NAME`` of each channel that has a name other than ``pooled``.
        sample_losses: ``recon_loss`` of each sample, ``(N,)``, in their order; of more than 256 samples the means of
            256 groups of neighbours. Trials of a search are measured on the same samples, so that these compare pair
            by pair.
        code_counts: How often each code was chosen, ``(Q, n_codes)``, int64.
    """

    metrics: dict[str, float]
    sample_losses: torch.Tensor
    code_counts: torch.Tensor


@torch.no_grad()
def evaluate(
    model: NDimVQVAE,
    dataset: Dataset,
    batch_size: int,
    rank: int = 0,
    world_size: int = 1,
    similarities: Sequence[str] = (),
) -> Validation:
    """Validate a model.

    Squared errors and code counts are summed over all samples and ranks before anything is averaged: a mean of
    per-batch perplexities would miss codes that batches do not share.

    Args:
        model: The model; it is in evaluation mode meanwhile, so no buffer moves.
        dataset: Its test samples are the validation set.
        batch_size: Samples of one forward pass.
        rank: This rank; each evaluates its share of the samples.
        world_size: How many ranks there are.
        similarities: Metrics of images and frames to measure as well, which take as long as the rest or longer.

    Returns:
        What was measured; equal on every rank.
    """
    samples = dataset.test
    device = model.data_mean.device
    n_groups = min(GROUPS, len(samples))
    group_of = torch.arange(len(samples), device=device) * n_groups // len(samples)
    mse_sums = torch.zeros(n_groups, samples.shape[0], dtype=torch.float64, device=device)
    commitment = torch.zeros((), dtype=torch.float64, device=device)
    counts = torch.zeros(model.quantizer.n_codebooks, model.quantizer.n_codes, dtype=torch.float64, device=device)
    similarity = {name: torch.zeros((), dtype=torch.float64, device=device) for name in similarities}
    was_training = model.training
    model.eval()
    of_rank = batches(samples, batch_size, rank=rank, world_size=world_size, pin_memory=device.type == "cuda")
    groups_of_rank = torch.split(group_of[rank::world_size], batch_size)
    for batch, groups in zip(of_rank, groups_of_rank, strict=False):  # a rank without samples has no batch
        x = samples.scale.to_unit(batch, device)
        _, x_recon, vq_output = model(x)
        mse_sums.index_add_(0, groups, squared_errors(x_recon, x))
        commitment += vq_output["commitment_loss"].double() * len(x)
        counts += vq_output["counts"]
        for name, total in similarity.items():
            total += frame_similarities(name, x_recon, x).double().sum()
    model.train(was_training)
    if dist.is_initialized():
        for total in (mse_sums, commitment, counts, *similarity.values()):
            dist.all_reduce(total)
    mse = mse_sums.sum(0) / len(samples)
    recon_losses = over_variance(mse, model.data_variance)
    metrics = {
        "recon_loss": recon_losses.mean().item(),
        "recon_loss_pooled": mse.mean().item() / dataset.pooled_variance,
        "psnr": psnr(mse.mean().item()),
        **{name: total.item() / (len(samples) * frames_of(samples.shape)) for name, total in similarity.items()},
        "commitment_loss": commitment.item() / len(samples),
        **codebook_metrics(counts, model),
        **static_metrics(model),
    }
    for name, loss in zip(dataset.channel_names, recon_losses, strict=False):  # there may be no names
        metrics.setdefault(f"recon_loss_{name}", loss.item())
    of_groups = over_variance(mse_sums / group_of.bincount()[:, None], model.data_variance)
    return Validation(metrics, of_groups.mean(1), counts.long())


def squared_errors(x_recon: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """MSE of each channel of each sample, ``(B, C)`` in float64, of reconstructions ``(B, C, *S)``."""
    return (x_recon - x).double().square().flatten(2).mean(2)


def over_variance(mse: torch.Tensor, variance: torch.Tensor) -> torch.Tensor:
    """MSE of channels ``(..., C)`` over the variance of the training data; ``recon_loss`` is the mean over channels.

    Args:
        mse: Mean squared errors on data in [0, 1], in float64.
        variance: As a model keeps it: of all values together, or of each channel, ``(C, *1)``.
    """
    return mse / variance.double().flatten()


def codebook_metrics(counts: torch.Tensor, model: NDimVQVAE) -> dict[str, float]:
    """How the codebooks are used.

    Perplexity is the geometric mean over the codebooks, so that ``Q * log2(perplexity)`` is the entropy of a position
    whose codes are coded one by one.

    Args:
        counts: How often each code was chosen, ``(Q, n_codes)``.
        model: The model, for its shapes.
    """
    entropy = torch.special.entr(counts / counts.sum(1, keepdim=True)).sum(1)
    return {
        "perplexity": entropy.mean().exp().item(),
        "codebook_usage": (counts > 0).double().mean().item(),
        "entropy_bits_per_element": _rate(entropy.sum().item() / math.log(2), model.latent_shape, model.input_shape),
    }


def static_metrics(model: NDimVQVAE) -> dict[str, float]:
    """What the configuration alone decides; works on the meta device.

    Example:
        >>> from ndvq_tune.model import build_model_of_shapes
        >>> model = build_model_of_shapes(ModelConfig(n_codes=512, downsample=(2, 4, 4)), (3, 16, 64, 64))
        >>> static_metrics(model)["bits_per_element"]
        0.28125
    """
    return {
        "bits_per_element": _rate(_bits(model.quantizer), model.latent_shape, model.input_shape),
        "parameters": float(sum(parameter.numel() for parameter in model.parameters())),
    }


def rate(config: ModelConfig, sample_shape: Sequence[int]) -> float:
    """The metric ``bits_per_element``, without building a model for it.

    Args:
        config: The model's settings.
        sample_shape: Shape ``(C, *S)`` of a sample.

    Raises:
        ShapeError: If ``sample_shape`` does not fit ``config.n_dims``.

    Example:
        >>> rate(ModelConfig(n_codes=512, downsample=(2, 4, 4)), (3, 16, 64, 64))
        0.28125
    """
    with torch.device("meta"):
        quantizer = build_quantizer(config)
    return _rate(_bits(quantizer), latent_shape(config, sample_shape), sample_shape)


def _bits(quantizer: Quantizer) -> float:
    """Of a position."""
    return quantizer.n_codebooks * math.log2(quantizer.n_codes)


def _rate(bits_per_position: float, positions: Sequence[int], sample_shape: Sequence[int]) -> float:
    return bits_per_element(bits_per_position, math.prod(positions), math.prod(sample_shape[1:]))
