"""Activations by name."""

from typing import Literal

import torch
from torch import nn

Activation = Literal["relu", "silu", "snake"]


class Snake(nn.Module):
    """``x + sin(alpha x)^2 / alpha`` (Ziyin et al., 2020, equation 3; https://arxiv.org/abs/2006.08195).

    Unlike a ReLU it continues what is periodic. Each channel has an alpha, the exponential of what is learned: positive
    always, with 0 infinitely far away, and weight decay draws it to 1, where it starts.

    Args:
        channels: Channels.

    Example:
        >>> Snake(channels=1)(torch.tensor([[[0.0, torch.pi / 2, torch.pi]]])).detach()
        tensor([[[0.0000, 2.5708, 3.1416]]])
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.log_alpha = nn.Parameter(torch.zeros(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(B, C, *S)`` to the same shape, memory format and type."""
        alpha = self.log_alpha.exp().to(x.dtype)
        x = x.movedim(1, -1)
        return (x + (alpha * x).sin().square() / alpha).movedim(-1, 1)


def build_activation(kind: Activation, channels: int) -> nn.Module:
    """Activation of this kind for ``(B, channels, *S)``."""
    match kind:
        case "relu":
            return nn.ReLU()
        case "silu":
            return nn.SiLU()
        case "snake":
            return Snake(channels)
        case _:
            raise ValueError(f"activation must be one of relu, silu, snake, but got {kind!r}")
