"""Convolutions of exact sizes for 1 to 3 dimensions, in channels-last memory."""

import math
from collections.abc import Callable

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd


def channels_last(x: torch.Tensor) -> torch.Tensor:
    """``(B, C, *S)`` with the channels of a position side by side in memory, where convolutions are fastest on a CPU.

    The same as ``torch.channels_last`` and ``torch.channels_last_3d``, for any number of dimensions.
    """
    return x.movedim(1, -1).contiguous().movedim(-1, 1)


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


_CONV: dict[int, Callable[..., _ConvNd]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_TRANSPOSED_CONV: dict[int, Callable[..., _ConvNd]] = {
    1: nn.ConvTranspose1d,
    2: nn.ConvTranspose2d,
    3: nn.ConvTranspose3d,
}
