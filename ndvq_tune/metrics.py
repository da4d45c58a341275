"""Every metric's name, unit and direction, declared once."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Mode = Literal["min", "max"]


@dataclass(frozen=True)
class Metric:
    """A quantity that a trial reports.

    Attributes:
        name: The name in reports, tables, Optuna and MLflow.
        unit: The unit; ``1`` for a pure number.
        mode: Which way is better; ``None`` where neither is.
        meaning: One line for tables and help.
        constant: Whether it is the same in all reports of a trial, as long as its samples keep their size.
        least_side: For a metric of images and of the frames of videos, which only a trial that is asked for it reports:
            pixels that their sides need.
    """

    name: str
    unit: str
    mode: Mode | None
    meaning: str
    constant: bool = False
    least_side: int | None = None


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("recon_loss", "1", "min", "validation MSE over the variance of the training data, mean over channels"),
        Metric("recon_loss_pooled", "1", "min", "validation MSE of all values together, over their one variance"),
        Metric("psnr", "dB", "max", "peak signal-to-noise ratio on data in [0, 1]"),
        Metric(
            "ssim", "1", "max", "structural similarity of images and frames; measured where asked for", least_side=11
        ),
        Metric("ms_ssim", "1", "max", "the same over five scales; measured where asked for", least_side=11 * 2**4),
        Metric("perplexity", "codes", "max", "exp of the entropy of code use, pooled over the validation set"),
        Metric("codebook_usage", "1", "max", "share of codes used at least once over the validation set"),
        Metric("bits_per_element", "bit", "min", "log2(n_codes) times latent positions, over input positions", True),
        Metric(
            "entropy_bits_per_element", "bit", "min", "log2(perplexity) times latent positions, over input positions"
        ),
        Metric("commitment_loss", "1", "min", "codebook_beta times the MSE between latents and their codes"),
        Metric(
            "train_recon_loss", "1", "min", "training MSE over the variance of the training data, mean over channels"
        ),
        Metric("learning_rate", "1", None, "learning rate of the last step"),
        Metric("samples_per_second", "1/s", "max", "training samples a second, all workers together"),
        Metric("peak_memory_bytes", "B", "min", "highest memory of one worker: the GPU's, or the process's on CPU"),
        Metric(
            "host_memory_bytes", "B", "min", "highest memory of one worker's process, also where it trains on a GPU"
        ),
        Metric("worker_cpu_utilization", "1", None, "share of a worker's threads that were busy while it trained"),
        Metric("parameters", "1", "min", "trainable parameters", True),
        Metric("samples_seen", "1", None, "training samples so far, all workers together"),
        Metric("training_seconds", "s", None, "time in training and validation so far"),
        Metric("fidelity", "1", None, "elements of a sample over those of a full one", True),
        Metric("bf16_layers", "1", None, "share of the layers of encoder and decoder that train in bf16", True),
    )
}


def misfit(name: str, sample_shape: Sequence[int]) -> str | None:
    """Why a metric cannot be measured on samples; None where it can.

    Args:
        name: The metric.
        sample_shape: Shape ``(C, *S)`` of a sample.

    Example:
        >>> misfit("ms_ssim", (3, 64, 64))
        'ms_ssim needs images or frames of at least 176 x 176 pixels; these have 64 x 64'
        >>> misfit("ssim", (3, 64, 64))
    """
    least, (_, *sides) = METRICS[name].least_side, sample_shape
    if least is None:
        return None
    if len(sides) not in (2, 3):
        return f"{name} is for images (2D) and the frames of videos (3D); these samples are {len(sides)}D"
    if min(sides[-2:]) < least:
        return (
            f"{name} needs images or frames of at least {least} x {least} pixels; these have {sides[-2]} x {sides[-1]}"
        )
    return None


def bits_per_element(bits_per_code: float, latent_positions: int, input_positions: int) -> float:
    """Rate of a code grid in bits per input position (a pixel, voxel or sample, whatever its channels).

    Args:
        bits_per_code: ``log2(n_codes)`` for fixed-length codes, ``log2(perplexity)`` for an ideal entropy coder.
        latent_positions: Codes per sample.
        input_positions: Elements per sample, channels not counted.

    Example:
        Clips of 16 x 64 x 64 pixels as 8 x 16 x 16 codes out of 512:

        >>> bits_per_element(9, 8 * 16 * 16, 16 * 64 * 64)
        0.28125
    """
    return bits_per_code * latent_positions / input_positions


def psnr(mse: float) -> float:
    """Peak signal-to-noise ratio in dB for data in [0, 1]; infinite for a perfect reconstruction.

    Args:
        mse: Mean squared error over all values.

    Example:
        >>> psnr(0.001)
        30.0
    """
    return math.inf if mse == 0 else -10 * math.log10(mse)
