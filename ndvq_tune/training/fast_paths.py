"""Fast ways to compute, each used only where it was seen to be right.

Kernels of half precision are chosen by processor, shape, layout and number of threads, and some of them are wrong:
oneDNN 3.12 on a processor with ``avx512_bf16`` gives NaN, or plausible numbers, as weight gradient of strided 3D
convolutions on small grids. So before a training begins, every layer of its model computes once as it will, on random
numbers in the shapes and layouts that it will meet, and once as PyTorch does in fp32. A layer whose results differ is
left to fp32.
"""

import copy
import ctypes
import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import MethodType
from typing import Any

import torch
from torch import nn

from ndvq_tune.model import NDimVQVAE
from ndvq_tune.model.attention import MultiHeadAttention
from ndvq_tune.model.convolution import Conv3d, channels_last

BF16_INSTRUCTIONS = ("avx512_bf16", "amx_bf16", "bf16")  # of x86, of its matrix units, of ARM
TOLERANCE = 0.1  # share of a result's norm; rounding to bf16 alone was up to 0.02 in a layer
COMPILED_TOLERANCE = 0.5  # of a whole step, in which a few latents may get other codes

_M_PERTURB, _COMPLEMENT_OF_FILL = -6, 0x80  # of glibc's malloc.h; bytes 0x7f make 3.4e38 in bf16 and in fp32
_Layout = tuple[tuple[int, ...], tuple[int, ...]]  # shape and strides

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Call:
    """How a training step calls a layer.

    Attributes:
        x: Shape and strides of what it is called with.
        rest: Further arguments.
        gradient: Shape and strides of the gradient that comes back to its result.
    """

    x: _Layout
    rest: tuple[Any, ...]
    gradient: _Layout


def has_bf16(device: torch.device) -> bool:
    """Whether a device has instructions for bf16. One that has not is slower in it: 4 to 20 times on a CPU."""
    if device.type == "cpu":
        capabilities = torch.cpu.get_capabilities()
        return any(capabilities.get(name) for name in BF16_INSTRUCTIONS)
    return device.type != "cuda" or torch.cuda.is_bf16_supported(including_emulation=False)


def keep_right_layers_fast(model: NDimVQVAE, batch_size: int, *, bf16: bool) -> float:
    """Let the layers of a model that go wrong in a fast way on this CPU compute in plain fp32 from now on.

    Fast ways are bf16, and ``Conv3d``'s for a single sample. On a GPU nothing is looked at. One line is logged if any
    layer has to do without.

    Args:
        model: The model, in training.
        batch_size: Samples of a training step.
        bf16: Whether training steps run under autocast to bf16.

    Returns:
        The share of the layers of encoder and decoder that may compute in bf16.
    """
    device = model.data_mean.device
    if bf16 and not has_bf16(device):
        _log.warning("precision bf16: this %s has no instructions for it and would be slower; training in fp32", device)
        bf16 = False
    single = model.n_dims == 3 and batch_size == 1
    if device.type != "cpu" or not (bf16 or single):
        return float(bf16)
    layers = {name: layer for name, layer in _layers(model).items() if bf16 or isinstance(layer, Conv3d)}
    with _seeded(device):
        calls = _calls(model, batch_size, bf16=bf16)
        wrong = [name for name, layer in layers.items() if not _is_right(layer, calls[name], bf16=bf16)]
    for name in wrong:
        compute_plainly(layers[name])
    if wrong:
        _log.warning(
            "%d of %d layers give wrong results on this processor in %s and are computed in plain fp32: %s",
            *(len(wrong), len(layers), "bf16" if bf16 else "oneDNN's layout", ", ".join(wrong)),
        )
    return bf16 * (1 - len(wrong) / len(layers))


def compiled_where_right(
    network: nn.Module, model: NDimVQVAE, batch_size: int, step: Callable[[Callable[..., Any], torch.Tensor], object]
) -> Callable[..., Any]:
    """A network compiled, or as it is if the gradients of a compiled step are far from those of a plain one.

    Args:
        network: The model as training calls it.
        model: The model itself; it is left as it was.
        batch_size: Samples of a training step.
        step: Calls a network with a batch ``(B, C, *S)`` and goes backward.
    """
    compiled: Callable[..., Any] = torch.compile(network)
    plain, fast = (_step_gradients(candidate, model, batch_size, step) for candidate in (network, compiled))
    if _close(fast, plain, COMPILED_TOLERANCE):
        return compiled
    _log.warning("compile: the compiled model's gradients are wrong on this processor; training without")
    return network


def _step_gradients(
    network: Callable[..., Any], model: NDimVQVAE, batch_size: int, step: Callable[..., object]
) -> torch.Tensor:
    """All gradients of a step, in a row; the model is as before."""
    device, before = model.data_mean.device, copy.deepcopy(model.state_dict())
    with _seeded(device):
        step(network, torch.rand(batch_size, *model.input_shape, device=device))
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in model.parameters()]
    model.zero_grad(set_to_none=True)
    model.load_state_dict(before)
    return torch.cat([gradient.flatten() for gradient in gradients])


def compute_plainly(layer: nn.Module) -> None:
    """Let a layer compute in fp32 as PyTorch does, also under autocast."""
    if isinstance(layer, Conv3d):
        layer.onednn_layout = False
    layer.forward = MethodType(_in_fp32, layer)


def _in_fp32(layer: nn.Module, x: torch.Tensor, *rest: Any) -> Any:
    with torch.autocast(x.device.type, enabled=False):
        return type(layer).forward(layer, x.float(), *rest)


def _layers(model: NDimVQVAE) -> dict[str, nn.Module]:
    """The parts of encoder and decoder that call kernels themselves, by name."""
    return {name: layer for part in ("encoder", "decoder") for name, layer in _parts(getattr(model, part), part)}


def _parts(module: nn.Module, name: str) -> Iterator[tuple[str, nn.Module]]:
    children = [] if isinstance(module, MultiHeadAttention) else list(module.named_children())
    if not children:
        yield name, module
    for child_name, child in children:
        yield from _parts(child, f"{name}.{child_name}")


def _calls(model: NDimVQVAE, batch_size: int, *, bf16: bool) -> dict[str, _Call]:
    """How a step calls each layer of encoder and decoder; which numbers come out does not matter."""
    twin = copy.deepcopy(model).train()
    calls: dict[str, _Call] = {}
    for name, layer in _layers(twin).items():
        layer.register_forward_hook(partial(_note_call, calls, name))
    sizes = [positions * factor for positions, factor in zip(model.latent_shape, model.downsample, strict=True)]
    inputs = (
        (twin.encoder, model.input_shape[0], sizes),
        (twin.decoder, model.quantizer.embedding_dim, model.latent_shape),
    )
    for network, channels, grid in inputs:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            result = network(channels_last(torch.randn(batch_size, channels, *grid)))
        # Contiguous, as the gradients are that come from the quantizer and from the loss.
        result.backward(torch.ones(result.shape, dtype=result.dtype))
    return calls


def _note_call(
    calls: dict[str, _Call], name: str, layer: nn.Module, arguments: tuple[Any, ...], y: torch.Tensor
) -> None:
    x, *rest = arguments

    def note(gradient: torch.Tensor) -> None:
        calls[name] = _Call(_layout(x), tuple(rest), _layout(gradient))

    y.register_hook(note)  # type: ignore[no-untyped-call]


def _layout(tensor: torch.Tensor) -> _Layout:
    return tuple(tensor.shape), tensor.stride()


def _is_right(layer: nn.Module, call: _Call, *, bf16: bool) -> bool:
    """Whether result and gradients of a call are those of the plain layer."""
    plain, fast = copy.deepcopy(layer), copy.deepcopy(layer)
    compute_plainly(plain)
    dtype = torch.bfloat16 if bf16 else torch.float32
    x, gradient = _random(call.x, dtype), _random(call.gradient, dtype)
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        expected = _results(plain, x, call.rest, gradient)
        with unclean_memory():
            actual = _results(fast, x, call.rest, gradient)
    return all(map(_close, actual, expected))


def _results(layer: nn.Module, x: torch.Tensor, rest: Iterable[Any], gradient: torch.Tensor) -> list[torch.Tensor]:
    """The result, and the gradients of input and parameters."""
    x = x.detach().requires_grad_()
    with _seeded(x.device):  # for dropout
        y = layer(x, *rest)
    return [y, *torch.autograd.grad(y, [x, *layer.parameters()], gradient.to(y.dtype))]


def _random(layout: _Layout, dtype: torch.dtype) -> torch.Tensor:
    return torch.empty_strided(*layout, dtype=dtype).normal_()


@contextmanager
def unclean_memory() -> Iterator[None]:
    """New memory is full of huge numbers, and not by chance of zeros: a kernel that reads what it did not write shows.

    The C library fills it, if that is glibc; elsewhere memory is as it is.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None:
        yield
        return
    mallopt(_M_PERTURB, _COMPLEMENT_OF_FILL)
    try:
        yield
    finally:
        mallopt(_M_PERTURB, 0)


@contextmanager
def _seeded(device: torch.device) -> Iterator[None]:
    """Random numbers inside are equal every time; those outside go on as if none had been drawn."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(0)
        yield


def _close(actual: torch.Tensor, expected: torch.Tensor, tolerance: float = TOLERANCE) -> bool:
    """Whether the difference is small beside what is expected; NaN is not."""
    expected = expected.float()
    return bool((actual.float() - expected).norm() <= tolerance * expected.norm())
