"""Convolutions over four dimensions, a volume over time, in two factors: PyTorch goes up to three.

As in R(2+1)D (Tran et al., 2018, section 3.5; https://arxiv.org/abs/1711.11248), but without a ReLU between the two,
so that a pair takes the place of one convolution: its kernel over all four dimensions is a sum of products of a kernel
over space and one over time. Only the last factor has a bias: between the two it would be missing from the padding.
"""

import math

import torch
from torch import nn

Convolution = nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d | nn.ConvTranspose3d
_Size = tuple[int, int, int, int]


class FactorisedConv4d(nn.Module):
    """Convolution over space, then over time, of the sizes of a dense one.

    Args:
        in_channels: Channels of the data.
        out_channels: Channels of the result, and of what is between the factors.
        kernel: Four sizes of the kernel, that of time first.
        stride: Four strides, in the same order.
        padding: Zeros at either side of each dimension.
        gain: Initial weights over those that keep the variance.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: _Size,
        stride: _Size,
        padding: _Size,
        gain: float = 1.0,
    ) -> None:
        super().__init__()
        self.space = nn.Conv3d(in_channels, out_channels, kernel[1:], stride[1:], padding[1:], bias=False)
        self.time = nn.Conv2d(out_channels, out_channels, (kernel[0], 1), (stride[0], 1), (padding[0], 0))
        _keep_variance(self.space, self.time, in_channels * math.prod(kernel[1:]), out_channels * kernel[0], gain)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(B, C, T, D, H, W)`` to ``(B, C', T', D', H', W')``."""
        return _along_time(self.time, _across_space(self.space, x))


class FactorisedTransposedConv4d(nn.Module):
    """Transposed convolution over time, then over space: ``FactorisedConv4d`` mirrored.

    Args:
        in_channels: Channels of the data, and of what is between the factors.
        out_channels: Channels of the result.
        kernel: Four sizes of the kernel, that of time first.
        stride: Four strides, in the same order.
        padding: Positions cut off at either side of each dimension.
        gain: Initial weights over those that keep the variance.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: _Size,
        stride: _Size,
        padding: _Size,
        gain: float = 1.0,
    ) -> None:
        super().__init__()
        self.time = nn.ConvTranspose2d(
            in_channels, in_channels, (kernel[0], 1), (stride[0], 1), (padding[0], 0), bias=False
        )
        self.space = nn.ConvTranspose3d(in_channels, out_channels, kernel[1:], stride[1:], padding[1:])
        overlaps = [k / s for k, s in zip(kernel, stride, strict=True)]
        _keep_variance(self.time, self.space, in_channels * overlaps[0], in_channels * math.prod(overlaps[1:]), gain)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(B, C, T, D, H, W)`` to ``(B, C', T', D', H', W')``."""
        return _across_space(self.space, _along_time(self.time, x))


def _across_space(conv: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Each time is a sample; in channels-last memory these are views."""
    y: torch.Tensor = conv(x.transpose(1, 2).flatten(0, 1))
    return y.view(x.shape[0], x.shape[2], *y.shape[1:]).transpose(1, 2)


def _along_time(conv: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Space is a dimension with a kernel of 1, and not part of the batch: in channels-last memory these are views."""
    y: torch.Tensor = conv(x.flatten(3))
    return y.view(*y.shape[:3], *x.shape[3:])


def _keep_variance(
    first: Convolution, last: Convolution, first_fan_in: float, last_fan_in: float, gain: float = 1.0
) -> None:
    """Initialise a pair so that it keeps the variance through the ReLU after it, as one convolution would.

    He et al., 2015, equation 10 (https://arxiv.org/abs/1502.01852), whose factor 2 makes up for the ReLU: there is one
    for both.
    """
    nn.init.normal_(first.weight, std=math.sqrt(2 / first_fan_in))
    nn.init.normal_(last.weight, std=gain * math.sqrt(1 / last_fan_in))
    if last.bias is not None:
        nn.init.zeros_(last.bias)
