"""What training minimises between a reconstruction and the data, beside the quantizer's own loss."""

import torch
from torch.nn import functional as F  # noqa: N812

from ndvq_tune.config import LossConfig
from ndvq_tune.errors import ShapeError
from ndvq_tune.model.statistics import mean_over_channels
from ndvq_tune.training.image_quality import similarity_maps

FFT_SIZES = (2048, 512, 128, 32)  # long ones tell pitches apart, short ones when a sound begins
SILENCE = 1e-6  # of the power of white noise with the data's variance: 60 dB below it


def reconstruction_loss(
    x_recon: torch.Tensor, x: torch.Tensor, config: LossConfig, variance: torch.Tensor | float
) -> torch.Tensor:
    """The weighted sum of the terms that ``config`` asks for; a scalar.

    No term depends on the scale of the data, except SSIM, which takes data in [0, 1]: a weight means the same for any
    data. Pointwise terms are means over channels, each on its own scale. All is computed in float32 at least, also
    under autocast.

    Args:
        x_recon: The reconstruction ``(B, C, *S)``.
        x: The data, in the same shape.
        config: The terms and their weights; a term of weight 0 is not computed.
        variance: Variance of the training data, of all values together or of each channel, ``(C, *1)``.

    Raises:
        ShapeError: If a term with a weight is not defined for data of this many dimensions.

    Example:
        >>> x = torch.zeros(2, 3, 16, 16)
        >>> reconstruction_loss(x + 0.5, x, LossConfig(type="l1"), variance=0.25).item()  # one standard deviation
        1.0
    """
    dtype = torch.promote_types(x_recon.dtype, torch.float32)
    with torch.autocast(x.device.type, enabled=False):
        x_recon, x, std = x_recon.to(dtype), x.to(dtype), variance**0.5
        match config.type:
            case "l2":
                loss = mean_over_channels(F.mse_loss, x_recon, x, variance)
            case "l1":
                loss = mean_over_channels(F.l1_loss, x_recon, x, std)
            case "smooth_l1":
                loss = F.smooth_l1_loss(x_recon / std, x / std)
        if config.spectral_weight:
            loss = loss + config.spectral_weight * _spectral_loss(x_recon, x, std)
        if config.ssim_weight:
            loss = loss + config.ssim_weight * _ssim_loss(x_recon, x)
        return config.recon_loss_factor * loss


def _spectral_loss(x_recon: torch.Tensor, x: torch.Tensor, std: torch.Tensor | float) -> torch.Tensor:
    """Multi-resolution STFT loss of signals ``(B, C, L)``.

    Yamamoto et al., 2020, eq. 6; https://arxiv.org/abs/1910.11480. One FFT of the whole signal where all are longer.
    """
    if x.ndim != 3:
        raise ShapeError(_only_for("spectral_weight", "1-dimensional data (B, C, L)", x))
    # Silence is not 0 in data in [0, 1]: the constant would drown the sound in the norms.
    offset = x.mean(dim=-1, keepdim=True)
    recon, data = (((signal - offset) / std).flatten(0, 1) for signal in (x_recon, x))
    length = x.shape[-1]
    sizes = [size for size in FFT_SIZES if size <= length] or [length]
    return torch.stack([_stft_loss(_magnitudes(recon, size), _magnitudes(data, size)) for size in sizes]).mean()


def _stft_loss(recon: torch.Tensor, data: torch.Tensor) -> torch.Tensor:
    """Spectral convergence and log-magnitude distance of STFT magnitudes (Yamamoto et al., 2020, eq. 4 and 5).

    One norm for the batch: that of a silent signal alone would be a division by nearly 0.
    """
    convergence: torch.Tensor = torch.linalg.vector_norm(data - recon) / torch.linalg.vector_norm(data)
    return convergence + F.l1_loss(recon.log(), data.log())


def _magnitudes(signals: torch.Tensor, n_fft: int) -> torch.Tensor:
    """STFT magnitudes ``(N, n_fft // 2 + 1, frames)`` of ``(N, L)``, where those of unit white noise are about 1."""
    window = torch.hann_window(n_fft, dtype=signals.dtype, device=signals.device)
    spectrum = torch.stft(
        signals, n_fft, max(1, n_fft // 4), window=window / window.norm(), return_complex=True, pad_mode="reflect"
    )
    # The root and the logarithm of 0 have no gradient.
    return (spectrum.real.square() + spectrum.imag.square() + SILENCE).sqrt()


def _ssim_loss(x_recon: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """``1 - SSIM`` of images ``(B, C, H, W)`` or of all frames of ``(B, C, T, H, W)``, data in [0, 1]."""
    if x.ndim not in (4, 5):
        raise ShapeError(_only_for("ssim_weight", "images (B, C, H, W) or (B, C, T, H, W)", x))
    luminance, contrast = similarity_maps(x_recon, x)
    return 1 - (luminance * contrast).mean()


def _only_for(setting: str, allowed: str, x: torch.Tensor) -> str:
    return f"training.loss.{setting} is for {allowed}; it must be 0 for data of the shape {tuple(x.shape)}"
