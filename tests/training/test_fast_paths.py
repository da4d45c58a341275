import copy
import ctypes
import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from ndvq_tune.config import LossConfig
from ndvq_tune.model import NDimVQVAE
from ndvq_tune.model.attention import MultiHeadAttention
from ndvq_tune.model.convolution import Conv3d
from ndvq_tune.model.layers import Pointwise, ToLatents
from ndvq_tune.training import fast_paths
from ndvq_tune.training.fast_paths import compute_plainly, has_bf16, keep_right_layers_fast, unclean_memory
from ndvq_tune.training.losses import reconstruction_loss
from tests.training.faulty_kernels import FAULTS, RESULTS, FaultyConvolutions, in_onednn_layout, small_strided_in_bf16

CPU = torch.device("cpu")
PROCESSOR = "with bf16 instructions" if has_bf16(CPU) else "without bf16 instructions"
SAMPLES = {
    1: ((2, 48), (4,)),
    2: ((3, 16, 12), (4, 2)),
    3: ((3, 2, 8, 8), (2, 4, 4)),
    4: ((2, 4, 4, 6, 4), (2, 2, 3, 2)),
}
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "axial": {"attention": {"type": "axial", "n_head": 2, "dropout": 0.2, "positions": "rotary"}},
    "full": {"attention": {"type": "full", "n_head": 2, "levels": "all"}, "res_levels": "all"},
    "rms": {"norm": "rms", "activation": "snake"},
    "batch": {"norm": "batch", "activation": "relu", "decoder_multiplier": 2},
    "patch": {"stem": "patch", "dropout": 0.2},
}


def model_of(n_dims: int = 3, **settings: Any) -> NDimVQVAE:
    defaults = {"embedding_dim": 4, "n_codes": 16, "n_hiddens": 8, "n_res_layers": 1, "codebook_beta": 0.25}
    shape, downsample = SAMPLES[n_dims]
    return NDimVQVAE(n_dims=n_dims, downsample=downsample, input_shape=shape, **{**defaults, **settings})


@pytest.fixture
def anywhere(monkeypatch) -> None:
    """Processors without instructions for bf16 compute in it, too, only slower."""
    monkeypatch.setattr(fast_paths, "has_bf16", lambda device: True)


def in_steps(model: NDimVQVAE, batch: int) -> dict[str, tuple[nn.Module, list[Any], list[torch.Tensor]]]:
    """Each layer with its arguments, and its result and that one's gradient, in a step under autocast."""
    seen: dict[str, tuple[nn.Module, list[Any], list[torch.Tensor]]] = {}
    layers = fast_paths._layers(model)

    def note(name: str, layer: nn.Module, arguments: tuple[Any, ...], y: torch.Tensor) -> None:
        seen[name] = (layer, list(arguments), [y.detach()])
        y.register_hook(lambda gradient: seen[name][2].append(gradient))

    handles = [layer.register_forward_hook(partial(note, name)) for name, layer in layers.items()]
    x = torch.rand(batch, *model.input_shape)
    with unclean_memory(), torch.autocast("cpu", torch.bfloat16):
        recon_loss, _, vq_output = model(x)
        (recon_loss + vq_output["commitment_loss"]).backward()
    for handle in handles:
        handle.remove()
    return seen


def in_float64(layer: nn.Module, arguments: list[Any], gradient: torch.Tensor) -> list[torch.Tensor]:
    """Result, and gradients of the parameters, of the layer by itself."""
    twin = copy.deepcopy(layer).double()
    twin.forward = type(layer).forward.__get__(twin)
    x = arguments[0].detach().double().requires_grad_()
    with torch.autocast("cpu", enabled=False):
        y = twin(x, *arguments[1:])
    # Without the input's gradient PyTorch's group norm crashes.
    _, *gradients = torch.autograd.grad(y, [x, *twin.parameters()], gradient.double())
    return [y, *gradients]


@pytest.mark.usefixtures("anywhere")
@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("n_dims", SAMPLES)
@pytest.mark.parametrize("processor", [PROCESSOR])
def test_every_layer_of_a_bf16_step_is_that_of_float64(n_dims, options, batch, processor):
    model = model_of(n_dims, **OPTIONS[options])
    for module in model.modules():
        if isinstance(module, MultiHeadAttention):
            module.dropout = 0.0
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    share = keep_right_layers_fast(model, batch, bf16=True)
    assert share > 0
    dtypes = set()
    for name, (layer, arguments, (y, gradient)) in in_steps(model, batch).items():
        dtypes.add(y.dtype)
        if isinstance(layer, ToLatents | MultiHeadAttention):
            continue  # the first has no half precision, the second is several layers; see the next test
        expected, *gradients = in_float64(layer, arguments, gradient)
        assert (y - expected).norm() <= 0.1 * expected.norm(), name
        for parameter, exact in zip(layer.parameters(), gradients, strict=True):
            # What cancels out, such as the bias before batch normalisation, is as good as its terms.
            scale = exact.norm() + gradient.double().norm() * 0.2
            assert (parameter.grad - exact).norm() <= 0.1 * scale, name
    assert torch.bfloat16 in dtypes


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("n_dims", SAMPLES)
def test_layers_are_looked_at_as_a_real_step_calls_them(n_dims, options, batch, bf16):
    """Shapes and layouts of all inputs and gradients, with every loss."""
    losses = [{"type": "l1"}, {"ssim_weight": 0.5} if n_dims in (2, 3) else {"type": "smooth_l1"}]
    for loss in [*losses, {"spectral_weight": 0.5}] if n_dims == 1 else losses:
        model = model_of(n_dims, **OPTIONS[options]).train()
        expected: dict[str, Any] = {}
        for name, layer in fast_paths._layers(model).items():
            layer.register_forward_hook(partial(fast_paths._note_call, expected, name))
        x = torch.rand(batch, *model.input_shape)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            _, x_recon, vq_output = model(x)
        lost = reconstruction_loss(x_recon, x, LossConfig(**loss), model.data_variance)
        (lost + vq_output["commitment_loss"]).backward()
        assert fast_paths._calls(model_of(n_dims, **OPTIONS[options]), batch, bf16=bf16) == expected


@pytest.fixture
def told(caplog) -> pytest.LogCaptureFixture:
    """What is logged, in ``messages``."""
    caplog.set_level(logging.WARNING, logger="ndvq_tune")
    return caplog


def plain_layers(model: NDimVQVAE) -> list[str]:
    return [name for name, layer in fast_paths._layers(model).items() if "forward" in vars(layer)]


def convolutions(model: NDimVQVAE) -> list[str]:
    return [name for name, layer in fast_paths._layers(model).items() if isinstance(layer, nn.modules.conv._ConvNd)]


@pytest.mark.usefixtures("anywhere")
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("result", RESULTS)
def test_whatever_a_kernel_gets_wrong_is_noticed_and_its_layers_are_left_to_fp32(result, fault, told):
    model = model_of()
    layers = fast_paths._layers(model)
    with FaultyConvolutions(result, FAULTS[fault]):
        share = keep_right_layers_fast(model, 4, bf16=True)
    assert plain_layers(model) == convolutions(model)
    assert share == pytest.approx(1 - len(convolutions(model)) / len(layers))
    (line,) = told.messages
    assert all(name in line for name in convolutions(model))
    with FaultyConvolutions(result, FAULTS[fault]) as faulty, torch.autocast("cpu", torch.bfloat16):
        recon_loss, _, vq_output = model(torch.rand(4, *model.input_shape))
        (recon_loss + vq_output["commitment_loss"]).backward()
    assert faulty.count == 0


@pytest.mark.usefixtures("anywhere")
def test_only_the_layers_that_are_wrong_are_left_to_fp32():
    model = model_of()
    with FaultyConvolutions("weight", FAULTS["nan"], small_strided_in_bf16):
        keep_right_layers_fast(model, 4, bf16=True)
    layers = fast_paths._layers(model)
    expected = [name for name in convolutions(model) if layers[name].kernel_size == (3, 4, 4)]
    assert plain_layers(model) == expected
    assert 0 < len(expected) < len(convolutions(model))
    with torch.autocast("cpu", torch.bfloat16):
        dtypes = {
            name: layer(torch.rand(1, layer.in_channels, 2, 8, 8)).dtype
            for name, layer in layers.items()
            if name in convolutions(model)
        }
    assert {name for name, dtype in dtypes.items() if dtype is torch.float32} == set(expected)


def test_the_check_leaves_no_trace_where_all_is_right(anywhere, told):
    model = model_of(norm="batch").train()
    before, random = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    assert keep_right_layers_fast(model, 4, bf16=True) == 1
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not plain_layers(model)
    assert not told.messages


def test_without_instructions_for_bf16_training_is_in_fp32_and_says_so(monkeypatch, told):
    monkeypatch.setattr(fast_paths, "has_bf16", lambda device: False)
    assert keep_right_layers_fast(model_of(), 4, bf16=True) == 0
    (line,) = told.messages
    assert "no instructions" in line
    assert "fp32" in line


def test_instructions_for_bf16_are_those_that_the_system_tells():
    flags = next(
        line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith(("flags", "Features"))
    )
    assert has_bf16(CPU) == any(name in flags.split() for name in fast_paths.BF16_INSTRUCTIONS)


def test_in_fp32_there_is_nothing_to_look_at_but_a_single_sample_of_three_dimensions(monkeypatch):
    looked_at = []
    monkeypatch.setattr(fast_paths, "_is_right", lambda layer, call, bf16: looked_at.append(bf16) or True)
    for n_dims, batch in ((1, 1), (2, 1), (4, 1), (3, 2)):
        assert keep_right_layers_fast(model_of(n_dims), batch, bf16=False) == 0
    assert not looked_at
    assert keep_right_layers_fast(model_of(3), 1, bf16=False) == 0
    assert set(looked_at) == {False}


@pytest.mark.parametrize("result", RESULTS[1:])
def test_a_single_sample_goes_pytorchs_own_way_where_onednns_layout_is_wrong(result, told):
    model = model_of()
    with FaultyConvolutions(result, lambda right: right * 2, in_onednn_layout) as faulty:
        keep_right_layers_fast(model, 1, bf16=False)
        assert faulty.count
        faulty.count = 0
        model(torch.rand(1, *model.input_shape))[0].backward()
        assert not faulty.count
    layers = fast_paths._layers(model)
    assert plain_layers(model) == [name for name in layers if isinstance(layers[name], Conv3d)]
    assert "oneDNN's layout" in told.messages[0]


def test_a_copy_of_a_plain_layer_has_weights_of_its_own():
    layer = Pointwise(3, 2)
    compute_plainly(layer)
    twin = copy.deepcopy(layer)
    nn.init.zeros_(twin.weight)
    nn.init.ones_(twin.bias)
    assert torch.equal(twin(torch.rand(1, 3, 4)), torch.ones(1, 2, 4))


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="needs glibc")
def test_new_memory_is_full_of_huge_numbers_and_afterwards_as_ever():
    for size in (3, 300, 5_000, 70_000, 2_000_000):
        for dtype in (torch.bfloat16, torch.float32):
            with unclean_memory():
                garbage = torch.empty(size, dtype=dtype)
            assert (garbage > 1e38).all()
            del garbage
    assert not (torch.empty(1_000) > 1e38).all()


@contextmanager
def compiled_as(monkeypatch, change) -> Iterator[None]:
    """``torch.compile`` in no time: its gradients are those of the network, changed."""

    def compiled(network):
        def call(x):
            recon_loss, x_recon, vq_output = network(x)
            return recon_loss, change(x_recon), vq_output

        call.network = network  # type: ignore[attr-defined]
        return call

    monkeypatch.setattr(torch, "compile", compiled)
    yield


def gradients_of(model: NDimVQVAE):
    def step(network, x):
        _, x_recon, vq_output = network(x)
        ((x_recon - x).square().mean() + vq_output["commitment_loss"]).backward()

    return step


@pytest.mark.parametrize(
    ("change", "used"),
    [(lambda y: y, True), (lambda y: y * math.nan, False), (lambda y: 2 * y, False), (torch.Tensor.detach, False)],
)
def test_a_compiled_model_is_used_where_its_gradients_are_right(monkeypatch, change, used, told):
    model = model_of().train()
    before, random = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    with compiled_as(monkeypatch, change):
        network = fast_paths.compiled_where_right(model, model, 4, gradients_of(model))
    assert (network is not model) is used
    assert len(told.messages) == (not used)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert not model.quantizer.initialised
    assert torch.equal(torch.get_rng_state(), random)
