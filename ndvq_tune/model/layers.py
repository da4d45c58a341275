"""Encoder and decoder, and the blocks they are made of."""

from collections.abc import Sequence
from itertools import zip_longest

import torch
from torch import nn

from ndvq_tune.config import ModelConfig
from ndvq_tune.model.activation import build_activation
from ndvq_tune.model.attention import build_attention
from ndvq_tune.model.convolution import strided_conv, strided_transposed_conv
from ndvq_tune.model.normalisation import build_norm
from ndvq_tune.model.patches import PatchConv, SubPixelConv


class Pointwise(nn.Linear):
    """Linear map of the channels at each position: a convolution of kernel 1, but fast in channels-last memory."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(B, C, *S)`` to ``(B, C', *S)``."""
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class ToLatents(Pointwise):
    """The map to latents, always in fp32: small differences decide between codes, and half precision loses them."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(B, C, *S)`` to ``(B, D, *S)``."""
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.to(self.weight.dtype))


def prime_factors(number: int) -> list[int]:
    """Prime factors of a positive integer, smallest first; none for 1.

    Example:
        >>> prime_factors(12)
        [2, 2, 3]
    """
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
    stage, of stride 1 if need be.

    Example:
        >>> strides((1, 4, 6))
        [(1, 2, 2), (1, 2, 3)]
    """
    return list(zip_longest(*map(prime_factors, downsample), fillvalue=1)) or [(1,) * len(downsample)]


def stages_of(config: ModelConfig) -> list[tuple[int, ...]]:
    """Factors of the stages of an encoder: with ``stem: patch`` a single one, by all factors at once."""
    return [config.downsample] if config.stem == "patch" else strides(config.downsample)


class ResidualBlock(nn.Module):
    """Residual convolution through half the width, then residual attention if there is any.

    Args:
        config: Names the norm, the activation, the dropout and the attention.
        n_hiddens: Channels.
        attended: Whether the block has the attention.
    """

    def __init__(self, config: ModelConfig, n_hiddens: int, *, attended: bool) -> None:
        super().__init__()
        half = max(1, n_hiddens // 2)
        self.convs = nn.Sequential(
            *_norm_and_activation(config, n_hiddens),
            strided_conv(n_hiddens, half, (1,) * config.n_dims),
            *_norm_and_activation(config, half),
        )
        if config.dropout:
            self.convs.add_module("dropout", nn.Dropout(config.dropout))
        # By name, so that weights are those of a block without dropout, too.
        self.convs.add_module("5", Pointwise(half, n_hiddens))
        attention = build_attention(config.attention, n_hiddens, config.n_dims) if attended else None
        self.attention = None if attention is None else nn.Sequential(build_norm(config.norm, n_hiddens), attention)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(B, n_hiddens, *S)`` to the same shape."""
        x = x + self.convs(x)
        return x if self.attention is None else x + self.attention(x)


def encoder(config: ModelConfig, channels: int, embedding_dim: int) -> nn.Sequential:
    """The map of data ``(B, channels, *S)`` to latents ``(B, embedding_dim, *(S / downsample))``.

    Args:
        config: Its width, blocks and downsampling.
        channels: Channels of the data.
        embedding_dim: Channels of the latents, which the quantizer asks for.

    Example:
        >>> config = ModelConfig(n_dims=2, downsample=(4, 4), n_hiddens=16)
        >>> encoder(config, channels=3, embedding_dim=8)(torch.rand(2, 3, 32, 48)).shape
        torch.Size([2, 8, 8, 12])
    """
    width = config.n_hiddens
    first, *others = stages_of(config)
    start = PatchConv if config.stem == "patch" else strided_conv
    stages: list[nn.Module] = [start(channels, width, first)]
    for stride in others:
        stages += [
            build_activation(config.activation, width),
            *_finer_blocks(config, width),
            strided_conv(width, width, stride),
        ]
    if config.legacy_layers:
        stages += [build_activation(config.activation, width), strided_conv(width, width, (1,) * config.n_dims)]
    return nn.Sequential(*stages, *_coarsest_blocks(config, width), ToLatents(width, embedding_dim))


def decoder(config: ModelConfig, channels: int, embedding_dim: int) -> nn.Sequential:
    """The map of latents ``(B, embedding_dim, *L)`` to data ``(B, channels, *(L * downsample))``: the encoder mirrored.

    Args:
        config: Its width, blocks and downsampling.
        channels: Channels of the data.
        embedding_dim: Channels of the latents.
    """
    width = max(1, round(config.n_hiddens * config.decoder_multiplier))
    *finer, last = reversed(stages_of(config))
    end = SubPixelConv if config.stem == "patch" else strided_transposed_conv
    stages: list[nn.Module] = []
    for stride in finer:
        stages += [
            strided_transposed_conv(width, width, stride),
            build_activation(config.activation, width),
            *_finer_blocks(config, width),
        ]
    return nn.Sequential(
        strided_conv(embedding_dim, width, (1,) * config.n_dims),
        *_coarsest_blocks(config, width),
        *stages,
        # Training starts near the mean of the data, and not with noise to unlearn.
        end(width, channels, last, gain=0.1),
    )


def _coarsest_blocks(config: ModelConfig, width: int) -> list[nn.Module]:
    """Residual blocks with the norm that closes them: the blocks themselves end without one."""
    blocks = [ResidualBlock(config, width, attended=True) for _ in range(config.n_res_layers)]
    close = _norm_and_activation(config, width) if config.legacy_layers else [build_norm(config.norm, width)]
    return [*blocks, *close]


def _finer_blocks(config: ModelConfig, width: int) -> list[nn.Module]:
    """Residual blocks of a level that is not the coarsest, if it has any."""
    n_res_layers = config.n_res_layers if config.res_levels == "all" else 0
    return [ResidualBlock(config, width, attended=config.attention.levels == "all") for _ in range(n_res_layers)]


def _norm_and_activation(config: ModelConfig, channels: int) -> tuple[nn.Module, nn.Module]:
    return build_norm(config.norm, channels), build_activation(config.activation, channels)
