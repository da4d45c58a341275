"""How alike reconstructions and data look: SSIM and MS-SSIM of images and of the frames of videos, data in [0, 1].

Windows are the Gaussian ones of the papers, and all lie inside a frame: so SSIM is 1 minus the term of the training
loss. Torchmetrics goes beyond the edges, into mirrored pixels; what it gives for these is left out. Reconstructions
are taken as they are, not clamped to [0, 1], as for PSNR.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

import torch
from torch.nn.functional import avg_pool2d

from ndvq_tune.data.torchvision.package import declare_missing_operators
from ndvq_tune.errors import ShapeError
from ndvq_tune.metrics import misfit

EDGE = 5  # pixels in which the centre of a window of 11 is too near to the edge
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
    # cuDNN may round to TF32, which is too coarse for the difference of nearly equal squares.
    with torch.backends.cudnn.flags(enabled=False):
        return _MEASURES[name](recon, data)


def _ssim(recon: torch.Tensor, data: torch.Tensor) -> torch.Tensor:
    """Wang et al., 2004, eq. 13, averaged over windows and channels; https://ieeexplore.ieee.org/document/1284395."""
    windows = _similarity()(recon, data, data_range=1.0, return_full_image=True)[1]
    inside: torch.Tensor = windows[..., EDGE:-EDGE, EDGE:-EDGE]
    return inside.mean(dim=(1, 2, 3))


def _ms_ssim(recon: torch.Tensor, data: torch.Tensor) -> torch.Tensor:
    """Wang et al., 2003, eq. 7, with the mean over windows and channels at each scale, and 0 for what is below it.

    https://ieeexplore.ieee.org/document/1292216
    """
    contrasts = []
    for _ in SCALE_WEIGHTS[:-1]:
        of_scale = _similarity()(recon, data, data_range=1.0, reduction="none", return_contrast_sensitivity=True)
        contrasts.append(of_scale[1])
        recon, data = avg_pool2d(recon, 2), avg_pool2d(data, 2)
    scales = torch.stack([*contrasts, _ssim(recon, data)]).relu()
    return (scales ** scales.new_tensor(SCALE_WEIGHTS)[:, None]).prod(dim=0)


@cache
def _similarity() -> Callable[..., Any]:
    """Torchmetrics' SSIM, which takes seconds to import."""
    declare_missing_operators()
    from torchmetrics.functional.image import structural_similarity_index_measure

    function: Callable[..., Any] = structural_similarity_index_measure
    return function


_MEASURES = {"ssim": _ssim, "ms_ssim": _ms_ssim}
