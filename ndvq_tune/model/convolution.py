"""Convolutions of exact sizes for 1 to 4 dimensions, in channels-last memory."""

import math
from collections.abc import Callable

import torch
from torch import nn

from ndvq_tune.model.factorised import Convolution, FactorisedConv4d, FactorisedTransposedConv4d

_Size = tuple[int]


class Conv1d(nn.Conv2d):
    """1D convolution as a 2D one of height one: PyTorch's own copies out of channels-last memory and back.

    Args:
        in_channels: Channels C of the data.
        out_channels: Channels C' of the result.
        kernel: Size of the kernel.
        stride: Stride.
        padding: Zeros at either end.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: _Size, stride: _Size, padding: int) -> None:
        super().__init__(in_channels, out_channels, (1, *kernel), (1, *stride), (0, padding))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(B, C, S)`` to ``(B, C', S')``."""
        return super().forward(x.unsqueeze(2)).squeeze(2)


class TransposedConv1d(nn.ConvTranspose2d):
    """1D transposed convolution as a 2D one of height one, to stay in channels-last memory as ``Conv1d`` does.

    Args:
        in_channels: Channels C of the data.
        out_channels: Channels C' of the result.
        kernel: Size of the kernel.
        stride: Stride.
        padding: Positions cut off at either end of the result.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: _Size, stride: _Size, padding: int) -> None:
        super().__init__(in_channels, out_channels, (1, *kernel), (1, *stride), (0, padding))

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        """Map ``(B, C, S)`` to ``(B, C', S')``."""
        return super().forward(x.unsqueeze(2)).squeeze(2)


class Conv3d(nn.Conv3d):
    """3D convolution that is as fast for one sample as for many.

    On a CPU, PyTorch hands a batch of one to a kernel that takes four times as long as oneDNN's, which it calls where
    the tensor already is in oneDNN's own layout.

    Attributes:
        onednn_layout: Whether that way is taken; else the sample goes as a batch of two, which takes twice as long.
    """

    onednn_layout = True

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(B, C, *S)`` to ``(B, C', *S')``."""
        alone = len(x) == 1 and x.device.type == "cpu" and x.dtype == torch.float32
        if not alone or torch.is_autocast_enabled("cpu") or torch.compiler.is_compiling() or not _onednn():
            return super().forward(x)
        if self.onednn_layout:
            return channels_last(super().forward(x.to_mkldnn()).to_dense())
        return super().forward(torch.cat([x, x]))[:1]


def _onednn() -> bool:
    """Whether PyTorch has oneDNN, and it is not switched off."""
    backend = torch.backends.mkldnn
    return bool(backend.is_available() and backend.enabled)  # type: ignore[no-untyped-call]


def channels_last(x: torch.Tensor) -> torch.Tensor:
    """``(B, C, *S)`` with the channels of a position side by side in memory, where convolutions are fastest on a CPU.

    This is the memory format ``torch.channels_last`` or ``torch.channels_last_3d``, for any number of dimensions. The
    shape stays, and nothing is copied where the memory is so already.
    """
    return x.movedim(1, -1).contiguous().movedim(-1, 1)


def strided_conv(in_channels: int, out_channels: int, stride: tuple[int, ...], gain: float = 1.0) -> nn.Module:
    """Convolution from ``(B, C, *(n * s))`` to ``(B, C', *n)`` for strides ``s``; a stride of 1 keeps a size.

    With ``kernel = stride + 2`` and ``padding = 1`` neighbouring windows overlap by two, and sizes are exact.

    Args:
        in_channels: Channels C of the data.
        out_channels: Channels C' of the result.
        stride: Stride of each of the 1 to 4 dimensions; four are convolved in two factors, see ``factorised``.
        gain: Initial weights over those that keep the variance.

    Example:
        >>> strided_conv(3, 16, (1, 2, 3))(torch.rand(2, 3, 5, 8, 9)).shape
        torch.Size([2, 16, 5, 4, 3])
    """
    kernel = tuple(s + 2 for s in stride)
    if len(stride) == 4 and len(kernel) == 4:
        return FactorisedConv4d(in_channels, out_channels, kernel, stride, (1, 1, 1, 1), gain)
    conv = _CONV[len(stride)](in_channels, out_channels, kernel, stride, padding=1)
    return _he_normal(conv, fan_in=in_channels * math.prod(kernel), gain=gain)


def strided_transposed_conv(
    in_channels: int, out_channels: int, stride: tuple[int, ...], gain: float = 1.0
) -> nn.Module:
    """Transposed convolution from ``(B, C, *n)`` to ``(B, C', *(n * s))``: the way back of ``strided_conv``.

    Args:
        in_channels: Channels C of the data.
        out_channels: Channels C' of the result.
        stride: Stride ``s`` of each of the 1 to 4 dimensions.
        gain: Initial weights over those that keep the variance.

    Example:
        >>> strided_transposed_conv(16, 3, (2, 3))(torch.rand(2, 16, 4, 3)).shape
        torch.Size([2, 3, 8, 9])
    """
    kernel = tuple(s + 2 for s in stride)
    if len(stride) == 4 and len(kernel) == 4:
        return FactorisedTransposedConv4d(in_channels, out_channels, kernel, stride, (1, 1, 1, 1), gain)
    conv = _TRANSPOSED_CONV[len(stride)](in_channels, out_channels, kernel, stride, padding=1)
    return _he_normal(conv, fan_in=in_channels * math.prod(kernel) / math.prod(stride), gain=gain)


def _he_normal(conv: Convolution, fan_in: float, gain: float = 1.0) -> Convolution:
    """Weights that keep the variance through a ReLU (He et al., 2015, equation 10; https://arxiv.org/abs/1502.01852).

    With PyTorch's own, a few stages shrink the signal so far that all samples get the same codes at first.

    Args:
        conv: What is initialised; its bias becomes 0.
        fan_in: Input values that one output value is a sum of.
        gain: Factor on the standard deviation.
    """
    nn.init.normal_(conv.weight, std=gain * math.sqrt(2 / fan_in))
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return conv


_CONV: dict[int, Callable[..., Convolution]] = {1: Conv1d, 2: nn.Conv2d, 3: Conv3d}
_TRANSPOSED_CONV: dict[int, Callable[..., Convolution]] = {
    1: TransposedConv1d,
    2: nn.ConvTranspose2d,
    3: nn.ConvTranspose3d,
}
