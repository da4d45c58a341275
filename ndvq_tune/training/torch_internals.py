"""What ``prediction`` needs of PyTorch that PyTorch does not offer; here alone: a device that is not there.

``tests/training/test_torch_internals.py`` says what each of these relies on, for when an upgrade breaks it.
"""

import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

_aten = torch.ops.aten
_DEVICE = torch.Tensor.device.__get__
_ATTENTION = F.scaled_dot_product_attention
_HALVED = {F.linear, F.conv2d, F.conv3d, F.conv_transpose2d, F.conv_transpose3d, torch.matmul, _ATTENTION}
_COPIES = {torch.Tensor.to_mkldnn, torch.Tensor.to_dense}  # to layouts that the meta device does not have
_KEPT_WHOLE = {F.group_norm}

# FLOPs by shape, to be added to PyTorch's own table, which knows the fused attention of GPUs only.
CPU_ATTENTION_FLOPS: dict[Any, Callable[..., int]] = {
    _aten._scaled_dot_product_flash_attention_for_cpu: (
        lambda query, key, value, *_, **__: sdpa_flop_count(query, key, value)  # type: ignore[no-untyped-call]
    ),
    _aten._scaled_dot_product_flash_attention_for_cpu_backward: (
        lambda grad, query, key, value, *_, **__: sdpa_backward_flop_count(  # type: ignore[no-untyped-call]
            grad, query, key, value
        )
    ),
}


class Ledger(TorchDispatchMode):
    """Counts the bytes that are alive, and FLOPs.

    Args:
        tensors: Those that are there already.

    Attributes:
        peak: The most bytes that were alive at once.
        flops: FLOPs so far.
    """

    def __init__(self, tensors: Iterable[torch.Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.flops, self.peak = 0, 0
        self._bytes = 0
        self._alive: dict[weakref.ref[torch.UntypedStorage], int] = {}
        for tensor in tensors:
            self._enter(tensor.untyped_storage())

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        result = _SHAPES.get(func, func)(*args, **kwargs)
        count = _FLOPS.get(func.overloadpacket)
        if count is not None:
            self.flops += count(*args, **kwargs, out_val=result)
        for value in result if isinstance(result, tuple | list) else (result,):
            if isinstance(value, torch.Tensor):
                self._enter(value.untyped_storage())
        return result

    def _enter(self, storage: torch.UntypedStorage) -> None:
        reference = weakref.ref(storage, self._leave)
        if reference not in self._alive:
            self._alive[reference] = storage.nbytes()
            self._bytes += storage.nbytes()
            self.peak = max(self.peak, self._bytes)

    def _leave(self, reference: weakref.ref[torch.UntypedStorage]) -> None:
        self._bytes -= self._alive.pop(reference)


@contextmanager
def pretended_device(device_type: str, tensors: Iterable[torch.Tensor]) -> Iterator[Ledger]:
    """Tensors that are made here have shapes and no numbers, and do as they would on a device.

    Args:
        device_type: ``cpu`` or ``cuda``; it need not be there.
        tensors: Those on the meta device that are there already, to be counted.

    Yields:
        What is counted.
    """
    ledger = Ledger(tensors)
    with torch.device("meta"), _PretendedDevice(device_type), ledger:
        yield ledger


@contextmanager
def pretended_autocast(device_type: str, *, enabled: bool) -> Iterator[None]:
    """The state that ``torch.autocast`` sets, also for a device that is not there."""
    before = torch.is_autocast_enabled(device_type)
    torch.set_autocast_enabled(device_type, enabled)
    try:
        yield
    finally:
        torch.set_autocast_enabled(device_type, before)


class _PretendedDevice(TorchFunctionMode):
    """Tensors on the meta device say that they are on another one, and do as they would there."""

    def __init__(self, device_type: str) -> None:
        super().__init__()
        self._type = device_type

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func == _DEVICE:
            return torch.device(self._type)
        if func in _COPIES:
            return args[0].clone()
        if "device" in kwargs:
            kwargs["device"] = "meta"
        if torch.is_autocast_enabled(self._type):
            # Meta tensors are not cast by themselves.
            dtype = torch.bfloat16 if func in _HALVED else torch.float32 if func in _KEPT_WHOLE else None
            args, kwargs = [_cast(value, dtype) for value in args], {k: _cast(v, dtype) for k, v in kwargs.items()}
        if func is F.dropout:
            return self._dropout(*args, **kwargs)
        return self._attention(*args, **kwargs) if func is _ATTENTION else func(*args, **kwargs)

    def _dropout(self, x: torch.Tensor, p: float, training: bool, inplace: bool) -> torch.Tensor:
        """Dropout as a device does it: a GPU keeps a byte for each number, a CPU what it is multiplied by."""
        if self._type == "cuda":
            return torch.native_dropout(x, p, training)[0]
        return F.dropout(x, p, training, inplace)

    def _attention(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, dropout_p: float) -> torch.Tensor:
        """Attention as it is fused on a device; for the meta device PyTorch would take its parts."""
        if self._type == "cuda":
            arguments = (query, key, value, None, True, dropout_p)
            return _aten._scaled_dot_product_efficient_attention(*arguments)[0]  # type: ignore[no-any-return]
        if dropout_p == 0:
            return _aten._scaled_dot_product_flash_attention_for_cpu(query, key, value)[0]  # type: ignore[no-any-return]
        return _ATTENTION(query, key, value, dropout_p=dropout_p)


def _cast(value: Any, dtype: torch.dtype | None) -> Any:
    return value.to(dtype) if dtype and isinstance(value, torch.Tensor) and value.is_floating_point() else value


def _group_norm(x: torch.Tensor, weight: Any, bias: Any, n: int, c: int, size: int, groups: int, eps: float) -> Any:
    return torch.empty_like(x), x.new_empty(n, groups), x.new_empty(n, groups)


def _group_norm_backward(grad: Any, x: torch.Tensor, mean: Any, deviation: Any, weight: torch.Tensor, *_: Any) -> Any:
    return torch.empty_like(x), torch.empty_like(weight), torch.empty_like(weight)


def _elementwise(func: Any) -> Callable[..., Any]:
    """An operation on numbers side by side: of one shape and type with itself or a number, it gives another such."""

    def result(x: Any, y: Any, *rest: Any, **options: Any) -> Any:
        alike = isinstance(y, int | float) or (x.shape == y.shape and x.dtype == y.dtype and x.stride() == y.stride())
        return torch.empty_like(x) if alike and x.is_floating_point() else func(x, y, *rest, **options)

    return result


_ELEMENTWISE = (_aten.add.Tensor, _aten.sub.Tensor, _aten.mul.Tensor, _aten.div.Tensor, _aten.pow.Tensor_Scalar)

# Where PyTorch goes through every step of a formula to find a shape: half the time of a prediction.
_SHAPES: dict[Any, Callable[..., Any]] = {
    **{func: _elementwise(func) for func in _ELEMENTWISE},
    _aten.native_group_norm.default: _group_norm,
    _aten.native_group_norm_backward.default: _group_norm_backward,
    _aten.silu_backward.default: lambda grad, x: torch.empty_like(x),
}
_FLOPS = FlopCounterMode(display=False, custom_mapping=CPU_ATTENTION_FLOPS).flop_registry
