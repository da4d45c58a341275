"""Kernels that go wrong as those of some processors do, on any processor."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

RESULTS = ("forward", "input", "weight", "bias")  # all but the first are gradients
_FORWARD, _BACKWARD = torch.ops.aten.convolution.default, torch.ops.aten.convolution_backward.default

Fault = Callable[[torch.Tensor], torch.Tensor]
Matching = Callable[[torch.Tensor, torch.Tensor], bool]

FAULTS: dict[str, Fault] = {
    "nan": lambda right: torch.full_like(right, torch.nan),
    "huge": lambda right: right * 1e34,
    "plausible": lambda right: right.flip(0).roll(1, -1),
    "zero": torch.zeros_like,
    # Right wherever what was in memory before is harmless.
    "uninitialised": lambda right: right + 1e-30 * torch.empty_like(right),
}


def in_bf16(x: torch.Tensor, weight: torch.Tensor) -> bool:
    return x.dtype is torch.bfloat16


def small_strided_in_bf16(x: torch.Tensor, weight: torch.Tensor) -> bool:
    """About those that are wrong with oneDNN 3.12 on a processor with ``avx512_bf16``."""
    return in_bf16(x, weight) and weight.ndim == 5 and weight.shape[2:] == (3, 4, 4) and min(weight.shape[:2]) > 1


def in_onednn_layout(x: torch.Tensor, weight: torch.Tensor) -> bool:
    return x.is_mkldnn


class FaultyConvolutions(TorchDispatchMode):
    """While it is entered, one result of the convolutions that match is wrong, and counted.

    Args:
        result: Which; one of ``RESULTS``.
        fault: What becomes of the right result.
        matching: Tells from input and weight which convolutions.
    """

    def __init__(self, result: str, fault: Fault, matching: Matching = in_bf16) -> None:
        super().__init__()
        self._place, self._fault, self._matching = RESULTS.index(result) - 1, fault, matching
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func is _FORWARD and self._place < 0 and self._matching(args[0], args[1]):
            self.count += 1
            return self._fault(result)
        if func is not _BACKWARD or self._place < 0 or not self._matching(args[1], args[2]):
            return result
        self.count += 1
        gradients = list(result)
        if gradients[self._place] is not None:
            gradients[self._place] = self._fault(gradients[self._place])
        return tuple(gradients)
