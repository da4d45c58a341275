"""Normalisation of the channels, for data of any number of dimensions."""

from typing import Literal

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

Norm = Literal["group", "rms", "batch"]


class GroupNorm(nn.GroupNorm):
    """Group normalisation with one group (Wu & He, 2018, equation 7; https://arxiv.org/abs/1803.08494).

    Independent of the batch, so a batch of one is like any other, and training and evaluation agree. One group is
    what PyTorch computes fastest in channels-last memory, and it fits any number of channels.

    Args:
        channels: Channels.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(1, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise each sample of ``(B, C, *S)`` over channels and positions."""
        return super().forward(_as_images(x)).view(x.shape)


class RMSNorm(nn.RMSNorm):
    """Division by the root mean square of the channels (Zhang & Sennrich, 2019, eq. 4; https://arxiv.org/abs/1910.07467).

    Each position is normalised by itself: what happens at one does not dim the others, and sizes do not matter.

    Args:
        channels: Channels.
    """

    def __init__(self, channels: int) -> None:
        # PyTorch's default is the epsilon of the type, so another one under autocast.
        super().__init__(channels, eps=1e-5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise each position of ``(B, C, *S)``; in channels-last memory nothing is copied."""
        # The fused kernel wants one type, and autocast leaves the gain in float32.
        gain = self.weight.to(x.dtype)
        return F.rms_norm(x.movedim(1, -1), self.normalized_shape, gain, self.eps).movedim(-1, 1)


class BatchNorm(nn.BatchNorm2d):
    """Batch normalisation (Ioffe & Szegedy, 2015, algorithm 1; https://arxiv.org/abs/1502.03167).

    In training a sample depends on its batch; in evaluation moving averages stand in for the batch. Under several
    ranks each normalises by its own part of the batch: the statistics are not synchronised.

    Args:
        channels: Channels.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise each channel of ``(B, C, *S)`` over the batch and positions."""
        return super().forward(_as_images(x)).view(x.shape)


def build_norm(kind: Norm, channels: int) -> nn.Module:
    """Normalisation of this kind for ``(B, channels, *S)``.

    Example:
        >>> x = torch.randn(2, 16, 4, 8, 8)
        >>> build_norm("rms", 16)(x).square().mean(1).allclose(torch.ones(2, 4, 8, 8), atol=1e-3)
        True
    """
    match kind:
        case "group":
            return GroupNorm(channels)
        case "rms":
            return RMSNorm(channels)
        case "batch":
            return BatchNorm(channels)
        case _:
            raise ValueError(f"norm must be one of group, rms, batch, but got {kind!r}")


def _as_images(x: torch.Tensor) -> torch.Tensor:
    # Positions in one row: PyTorch keeps channels-last memory with two and three dimensions only.
    return x.flatten(2).unsqueeze(2)
