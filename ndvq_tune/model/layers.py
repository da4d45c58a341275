"""Encoder and decoder for 1, 2 and 3 dimensions, and the blocks they are made of."""

from collections.abc import Sequence
from itertools import zip_longest

import torch
from torch import nn

from ndvq_tune.config import ModelConfig
from ndvq_tune.model.attention import build_attention
from ndvq_tune.model.convolution import strided_conv, strided_transposed_conv


class Pointwise(nn.Linear):
    """Linear map of the channels at each position: a convolution of kernel 1, but fast in channels-last memory."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(B, C, *S)`` to ``(B, C', *S)``."""
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


def norm(channels: int) -> nn.Module:
    """Group normalisation with one group.

    Independent of the batch, so a batch of one is like any other, and training and evaluation agree. One group is
    what PyTorch computes fastest in channels-last memory, and it fits any number of channels.
    """
    return nn.GroupNorm(1, channels)


def prime_factors(number: int) -> list[int]:
    """Prime factors of a positive integer, smallest first; none for 1."""
    factors = []
    divisor = 2
    while number > 1:
        while number % divisor == 0:
            factors.append(divisor)
            number //= divisor
        divisor += 1
    return factors


def strides(downsample: Sequence[int]) -> list[tuple[int, ...]]:
    """Strides of the stages that downsample by these factors together, one prime a dimension and stage.

    All dimensions shrink from the first stage on, because the stages near the data cost most. There is always one
    stage, of stride 1 if need be. ``(1, 4, 6)`` gives ``[(1, 2, 2), (1, 2, 3)]``.
    """
    return list(zip_longest(*map(prime_factors, downsample), fillvalue=1)) or [(1,) * len(downsample)]


class ResidualBlock(nn.Module):
    """Residual convolution through half the width, then residual attention if there is any.

    Args:
        n_hiddens: Channels.
        n_dims: Dimensions of the data.
        attention: Attention over positions, or ``None``.
    """

    def __init__(self, n_hiddens: int, n_dims: int, attention: nn.Module | None) -> None:
        super().__init__()
        half = max(1, n_hiddens // 2)
        self.convs = nn.Sequential(
            norm(n_hiddens),
            nn.ReLU(),
            strided_conv(n_hiddens, half, (1,) * n_dims),
            norm(half),
            nn.ReLU(),
            Pointwise(half, n_hiddens),
        )
        self.attention = None if attention is None else nn.Sequential(norm(n_hiddens), attention)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(B, n_hiddens, *S)`` to the same shape."""
        x = x + self.convs(x)
        return x if self.attention is None else x + self.attention(x)


def residual_stack(config: ModelConfig, n_hiddens: int) -> nn.Sequential:
    """Residual blocks with the norm and activation that close them: the blocks themselves end without either."""
    settings = config.attention
    blocks = (
        ResidualBlock(
            n_hiddens,
            config.n_dims,
            build_attention(settings.type, n_hiddens, config.n_dims, settings.n_head, settings.dropout),
        )
        for _ in range(config.n_res_layers)
    )
    return nn.Sequential(*blocks, norm(n_hiddens), nn.ReLU())


def encoder(config: ModelConfig, channels: int, embedding_dim: int) -> nn.Sequential:
    """Map data ``(B, channels, *S)`` to latents ``(B, embedding_dim, *(S / downsample))``."""
    n_hiddens = config.n_hiddens
    stages: list[nn.Module] = []
    for stride in strides(config.downsample):
        stages += [strided_conv(channels, n_hiddens, stride), nn.ReLU()]
        channels = n_hiddens
    return nn.Sequential(
        *stages,
        strided_conv(n_hiddens, n_hiddens, (1,) * config.n_dims),
        residual_stack(config, n_hiddens),
        Pointwise(n_hiddens, embedding_dim),
    )


def decoder(config: ModelConfig, channels: int, embedding_dim: int) -> nn.Sequential:
    """Map latents ``(B, embedding_dim, *L)`` to data ``(B, channels, *(L * downsample))``: the encoder mirrored."""
    n_hiddens = max(1, round(config.n_hiddens * config.decoder_multiplier))
    *inner, last = reversed(strides(config.downsample))
    stages: list[nn.Module] = []
    for stride in inner:
        stages += [strided_transposed_conv(n_hiddens, n_hiddens, stride), nn.ReLU()]
    to_data = strided_transposed_conv(n_hiddens, channels, last)
    # Training starts near the mean of the data, and not with noise to unlearn.
    with torch.no_grad():
        to_data.weight.mul_(0.1)
    return nn.Sequential(
        strided_conv(embedding_dim, n_hiddens, (1,) * config.n_dims),
        residual_stack(config, n_hiddens),
        *stages,
        to_data,
    )
