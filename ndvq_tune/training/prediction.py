"""What a configuration will take, found by training one step of it with tensors that have shapes but no numbers."""

import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch.nn import functional as F  # noqa: N812
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only
from torch.utils.flop_counter import flop_registry, sdpa_backward_flop_count, sdpa_flop_count

from ndvq_tune.config import RunConfig
from ndvq_tune.model import EMACodebook, NDimVQVAE, build_model_of_shapes
from ndvq_tune.training.evaluation import static_metrics
from ndvq_tune.training.losses import reconstruction_loss

DeviceType = Literal["cpu", "cuda"]

# Memory of a worker with tensors of `n` bytes. A GPU counts tensors only. A process has 485 MiB before its first, and
# 40% more than all of them later: kernels' own buffers and gaps between tensors (each of 13 models is within 7%).
_RESIDENT: dict[str, Callable[[int], int]] = {"cpu": lambda n: 485 * 2**20 + round(1.4 * n), "cuda": lambda n: n}
_MOMENTS = 2  # of Adam and AdamW, each of the size of the parameters

_aten = torch.ops.aten
_DEVICE = torch.Tensor.device.__get__
_ATTENTION = F.scaled_dot_product_attention
_HALVED = {F.linear, F.conv2d, F.conv3d, F.conv_transpose2d, F.conv_transpose3d, torch.matmul, _ATTENTION}
_COPIES = {torch.Tensor.to_mkldnn, torch.Tensor.to_dense}  # to layouts that the meta device does not have
_KEPT_WHOLE = {torch.group_norm}


@dataclass(frozen=True)
class Prediction:
    """What a configuration takes.

    Attributes:
        parameters: Trainable parameters.
        bits_per_element: The metric of that name.
        flops: FLOPs of a training step of one worker, forward and backward: convolutions, matrix products, attention.
        memory_bytes: Highest memory of one worker while it trains: of its GPU, or of its process on a CPU.
    """

    parameters: int
    bits_per_element: float
    flops: int
    memory_bytes: int


def predict(config: RunConfig, sample_shape: Sequence[int], device_type: DeviceType, world_size: int = 1) -> Prediction:
    """Predict what a run takes, in a fraction of a second and without data.

    Memory is that of weights, optimiser, gradients and batches, of what the backward pass needs, and of what is alive
    beside it at the worst moment. On a CPU bf16 counts as fp32, because any layer may be left to that (see
    ``fast_paths``). Not predicted are the workspaces of cuDNN, what ``torch.compile`` saves, and pages of the data
    set's files, which the system takes back when memory is short.

    Args:
        config: The run.
        sample_shape: Shape ``(C, *S)`` of a sample.
        device_type: Where it would be trained; that device need not be there.
        world_size: Workers that share its batches.

    Raises:
        ShapeError: If the model does not fit the samples.

    Example:
        >>> prediction = predict(RunConfig(), (3, 16, 64, 64), "cpu")
        >>> prediction.bits_per_element, prediction.memory_bytes > 500 * 2**20
        (0.28125, True)
    """
    model = build_model_of_shapes(config.model, sample_shape)
    for module in model.modules():
        if isinstance(module, EMACodebook):
            module.initialised = True  # the first step is not like the others
    batch = max(1, config.training.batch_size // world_size)
    ledger = _Ledger([*model.parameters(), *model.buffers()])
    with torch.device("meta"), _PretendedDevice(device_type), ledger:
        _step(model, torch.empty(batch, *sample_shape), config, device_type)
    metrics = static_metrics(model)
    parameter_bytes = sum(parameter.nbytes for parameter in model.parameters())
    copies = _MOMENTS + (1 if world_size > 1 else 0)  # gradients on their way between ranks
    return Prediction(
        parameters=int(metrics["parameters"]),
        bits_per_element=metrics["bits_per_element"],
        flops=ledger.flops,
        memory_bytes=_RESIDENT[device_type](copies * parameter_bytes + ledger.peak),
    )


def _step(model: NDimVQVAE, x: torch.Tensor, config: RunConfig, device_type: DeviceType) -> None:
    """What ``Training`` does in a step, up to the gradients: what comes after needs less memory than they did."""
    for parameter in model.parameters():
        parameter.grad = torch.empty_like(parameter)  # of the step before
    with _autocast(device_type, enabled=config.training.precision == "bf16" and device_type == "cuda"):
        _, x_recon, vq_output = model(x)
    loss = reconstruction_loss(x_recon, x, config.training.loss, model.data_variance)
    model.zero_grad(set_to_none=True)
    (loss + vq_output["commitment_loss"]).backward()


@contextmanager
def _autocast(device_type: DeviceType, *, enabled: bool) -> Iterator[None]:
    """The state that ``torch.autocast`` sets, also for a device that is not there."""
    before = torch.is_autocast_enabled(device_type)
    torch.set_autocast_enabled(device_type, enabled)
    try:
        yield
    finally:
        torch.set_autocast_enabled(device_type, before)


class _PretendedDevice(TorchFunctionMode):
    """Tensors on the meta device say that they are on another one, and do as they would there."""

    def __init__(self, device_type: DeviceType) -> None:
        super().__init__()
        self._type: DeviceType = device_type

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
            if func in _HALVED:
                args, kwargs = _cast((args, kwargs), torch.bfloat16)
            elif func in _KEPT_WHOLE:
                args, kwargs = _cast((args, kwargs), torch.float32)
        return self._attention(*args, **kwargs) if func is _ATTENTION else func(*args, **kwargs)

    def _attention(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, dropout_p: float) -> torch.Tensor:
        """Attention as it is fused on a device; for the meta device PyTorch would take its parts."""
        if self._type == "cuda":
            arguments = (query, key, value, None, True, dropout_p)
            return _aten._scaled_dot_product_efficient_attention(*arguments)[0]  # type: ignore[no-any-return]
        if dropout_p == 0:
            return _aten._scaled_dot_product_flash_attention_for_cpu(query, key, value)[0]  # type: ignore[no-any-return]
        return _ATTENTION(query, key, value, dropout_p=dropout_p)


def _cast(tree: Any, dtype: torch.dtype) -> Any:
    return tree_map_only(torch.Tensor, lambda tensor: tensor.to(dtype) if tensor.is_floating_point() else tensor, tree)


class _Ledger(TorchDispatchMode):
    """Counts the bytes that are alive, and FLOPs.

    Attributes:
        peak: The most bytes that were alive at once.
        flops: FLOPs so far.
    """

    def __init__(self, tensors: Iterable[torch.Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.flops, self.peak = 0, 0
        self._bytes = 0
        self._alive: dict[int, weakref.ref[torch.UntypedStorage]] = {}
        for tensor in tensors:
            self._enter(tensor.untyped_storage())

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        with torch._C.DisableTorchFunction():
            result = _SHAPES.get(func, func)(*args, **kwargs)
        count = _FLOPS.get(func.overloadpacket)
        if count is not None:
            self.flops += count(*args, **kwargs, out_val=result)
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor):
                self._enter(leaf.untyped_storage())
        return result

    def _enter(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._alive:
            return

        def leave(_: object) -> None:
            del self._alive[key]
            self._bytes -= size

        self._alive[key] = weakref.ref(storage, leave)
        self._bytes += size
        self.peak = max(self.peak, self._bytes)


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
_SHAPES = {
    **{func: _elementwise(func) for func in _ELEMENTWISE},
    _aten.native_group_norm.default: _group_norm,
    _aten.native_group_norm_backward.default: _group_norm_backward,
    _aten.silu_backward.default: lambda grad, x: torch.empty_like(x),
}
# PyTorch's own table knows the fused attention of GPUs only.
_FLOPS: dict[Any, Any] = {
    **flop_registry,
    _aten._scaled_dot_product_flash_attention_for_cpu: (
        lambda query, key, value, *_, **__: sdpa_flop_count(  # type: ignore[no-untyped-call]
            query.shape, key.shape, value.shape
        )
    ),
    _aten._scaled_dot_product_flash_attention_for_cpu_backward: (
        lambda grad, query, key, value, *_, **__: sdpa_backward_flop_count(  # type: ignore[no-untyped-call]
            grad.shape, query.shape, key.shape, value.shape
        )
    ),
}
