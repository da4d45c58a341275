"""Encoder and decoder for 1, 2 and 3 dimensions, and the blocks they are made of."""

import math
from collections.abc import Callable, Sequence
from itertools import zip_longest

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd

from ndvq_tune.model.attention import AttentionType, build_attention

_CONV: dict[int, Callable[..., _ConvNd]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_TRANSPOSED_CONV: dict[int, Callable[..., _ConvNd]] = {
    1: nn.ConvTranspose1d,
    2: nn.ConvTranspose2d,
    3: nn.ConvTranspose3d,
}


def strided_conv(in_channels: int, out_channels: int, stride: tuple[int, ...]) -> _ConvNd:
    """Convolution from ``(B, C, *(n * s))`` to ``(B, C', *n)`` for strides ``s``; a stride of 1 keeps a size.

    With ``kernel = stride + 2`` and ``padding = 1`` neighbouring windows overlap by two, and sizes are exact.
    """
    kernel = tuple(s + 2 for s in stride)
    conv = _CONV[len(stride)](in_channels, out_channels, kernel, stride, padding=1)
    _he_normal(conv, fan_in=in_channels * math.prod(kernel))
    return conv


def strided_transposed_conv(in_channels: int, out_channels: int, stride: tuple[int, ...]) -> _ConvNd:
    """Transposed convolution from ``(B, C, *n)`` to ``(B, C', *(n * s))``: the way back of ``strided_conv``."""
    kernel = tuple(s + 2 for s in stride)
    conv = _TRANSPOSED_CONV[len(stride)](in_channels, out_channels, kernel, stride, padding=1)
    _he_normal(conv, fan_in=in_channels * math.prod(kernel) / math.prod(stride))
    return conv


def _he_normal(conv: _ConvNd, fan_in: float) -> None:
    """Weights that keep the variance through a ReLU (He et al., 2015, equation 10; https://arxiv.org/abs/1502.01852).

    With PyTorch's own, a few stages shrink the signal so far that all samples get the same codes at first.
    """
    nn.init.normal_(conv.weight, std=math.sqrt(2 / fan_in))
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)


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


def residual_stack(
    n_hiddens: int, n_dims: int, n_res_layers: int, attention: AttentionType, n_head: int, attn_dropout: float
) -> nn.Sequential:
    """Residual blocks with the norm and activation that close them: the blocks themselves end without either."""
    blocks = (
        ResidualBlock(n_hiddens, n_dims, build_attention(attention, n_hiddens, n_dims, n_head, attn_dropout))
        for _ in range(n_res_layers)
    )
    return nn.Sequential(*blocks, norm(n_hiddens), nn.ReLU())


def encoder(
    channels: int, downsample: Sequence[int], embedding_dim: int, n_hiddens: int, residual: nn.Module
) -> nn.Sequential:
    """Map data ``(B, channels, *S)`` to latents ``(B, embedding_dim, *(S / downsample))``."""
    n_dims = len(downsample)
    stages: list[nn.Module] = []
    for stride in strides(downsample):
        stages += [strided_conv(channels, n_hiddens, stride), nn.ReLU()]
        channels = n_hiddens
    return nn.Sequential(
        *stages,
        strided_conv(n_hiddens, n_hiddens, (1,) * n_dims),
        residual,
        Pointwise(n_hiddens, embedding_dim),
    )


def decoder(
    channels: int, downsample: Sequence[int], embedding_dim: int, n_hiddens: int, residual: nn.Module
) -> nn.Sequential:
    """Map latents ``(B, embedding_dim, *L)`` to data ``(B, channels, *(L * downsample))``: the encoder mirrored."""
    n_dims = len(downsample)
    *inner, last = reversed(strides(downsample))
    stages: list[nn.Module] = []
    for stride in inner:
        stages += [strided_transposed_conv(n_hiddens, n_hiddens, stride), nn.ReLU()]
    to_data = strided_transposed_conv(n_hiddens, channels, last)
    # Training starts near the mean of the data, and not with noise to unlearn.
    with torch.no_grad():
        to_data.weight.mul_(0.1)
    return nn.Sequential(strided_conv(embedding_dim, n_hiddens, (1,) * n_dims), residual, *stages, to_data)
