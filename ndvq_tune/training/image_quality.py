"""How alike reconstructions and data look: SSIM and MS-SSIM of images and of the frames of videos, data in [0, 1].

Reconstructions are taken as they are, not clamped to [0, 1], as for PSNR. Ours and not torchmetrics', which measures
windows beyond the edges, too, in mirrored pixels, and which takes each worker seconds and 165 MiB to import.
"""

import math
from collections.abc import Iterable, Sequence

import torch
from torch.nn.functional import avg_pool2d

from ndvq_tune.errors import ShapeError
from ndvq_tune.metrics import misfit

WINDOW, SIGMA = 11, 1.5  # pixels; these and the constants are those of Wang et al., 2004, section III-C
C1, C2 = 0.01**2, 0.03**2
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang et al., 2003, section 3.2; the finest scale first


def check_fit(names: Iterable[str], sample_shape: Sequence[int]) -> None:
    """Make sure that samples ``(C, *S)`` have these metrics.

    Raises:
        ShapeError: If they do not.
    """
    for name in names:
        if reason := misfit(name, sample_shape):
            raise ShapeError(f"training.validation_metrics: {reason}")


def frames_of(sample_shape: Sequence[int]) -> int:
    """Images of a sample ``(C, H, W)`` or ``(C, T, H, W)``."""
    return math.prod(sample_shape[1:-2])


def frame_similarities(name: str, x_recon: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """A metric of each image of a batch, or of each frame of its videos, ``(N,)``.

    Args:
        name: ``ssim`` or ``ms_ssim``.
        x_recon: The reconstruction ``(B, C, H, W)`` or ``(B, C, T, H, W)``.
        x: The data, in the same shape.
    """
    recon, data = (y.movedim(1, -3).flatten(0, -4) for y in (x_recon, x))
    return _MEASURES[name](recon, data)


def _ssim(recon: torch.Tensor, data: torch.Tensor) -> torch.Tensor:
    luminance, contrast = similarity_maps(recon, data)
    return (luminance * contrast).mean(dim=(1, 2, 3))


def _ms_ssim(recon: torch.Tensor, data: torch.Tensor) -> torch.Tensor:
    """Wang et al., 2003, eq. 7, with the mean over windows and channels at each scale, and 0 for what is below it.

    https://ieeexplore.ieee.org/document/1292216
    """
    contrasts = []
    for _ in SCALE_WEIGHTS[:-1]:
        contrasts.append(similarity_maps(recon, data)[1].mean(dim=(1, 2, 3)))
        recon, data = avg_pool2d(recon, 2), avg_pool2d(data, 2)
    scales = torch.stack([*contrasts, _ssim(recon, data)]).relu()
    return (scales ** scales.new_tensor(SCALE_WEIGHTS)[:, None]).prod(dim=0)


def similarity_maps(recon: torch.Tensor, data: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """How alike images are in luminance, and in contrast and structure; SSIM is their product.

    Wang et al., 2004, eq. 13, in all windows inside the images; https://ieeexplore.ieee.org/document/1284395.

    Args:
        recon: The reconstruction ``(*N, H, W)``.
        data: The data in [0, 1], in the same shape.

    Returns:
        Both as ``(*N, H', W')``, a value for each window.
    """
    # Written in sum and difference, 2 pq + c over p^2 + q^2 + c does not round when the images are alike.
    both = torch.stack([recon + data, recon - data])
    squared_means = _local_means(both).square()
    variances = _local_means(both.square()) - squared_means
    return _similarity(squared_means, C1), _similarity(variances, C2)


def _similarity(squares: torch.Tensor, constant: float) -> torch.Tensor:
    """``(2 pq + c) / (p^2 + q^2 + c)`` from the squares of ``p + q`` and of ``p - q``."""
    return 1 - squares[1] / (squares.mean(dim=0) + constant)


def _local_means(images: torch.Tensor) -> torch.Tensor:
    """Gaussian means ``(*N, H', W')`` in all windows inside images ``(*N, H, W)``."""
    height, width = images.shape[-2:]
    # Faster than convolutions at the sizes that are trained on, and these may round to TF32 on a GPU: too coarse for
    # the difference of nearly equal squares.
    return _windows(height, images) @ images @ _windows(width, images).T


def _windows(size: int, like: torch.Tensor) -> torch.Tensor:
    """The Gaussian at every place inside ``size`` pixels, a row for each; narrower where ``size`` is."""
    width = min(WINDOW, size)
    pixels = torch.arange(size, dtype=like.dtype, device=like.device)
    places = pixels - pixels[: size - width + 1, None]
    exponents = -(places - (width - 1) / 2).square() / (2 * SIGMA**2)
    return exponents.masked_fill((places < 0) | (places >= width), -torch.inf).softmax(dim=-1)


_MEASURES = {"ssim": _ssim, "ms_ssim": _ms_ssim}
