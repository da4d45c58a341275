import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from ndvq_tune.config import ModelConfig, RunConfig, TrainingConfig
from ndvq_tune.errors import ShapeError
from ndvq_tune.model import build_model
from ndvq_tune.training.losses import reconstruction_loss
from ndvq_tune.training.prediction import predict
from ndvq_tune.training.torch_internals import CPU_ATTENTION_FLOPS

SHAPES = {1: (2, 64), 2: (3, 16, 12), 3: (3, 4, 16, 16), 4: (1, 2, 8, 8, 8)}
QUANTIZERS = ("ema", "residual", "simvq", "fsq", "lfq")


def run(n_dims: int, model: dict | None = None, **training) -> RunConfig:
    """Without data: its shape is given to ``predict``."""
    parts = {"model": ModelConfig(**{"n_dims": n_dims, **(model or {})}), "training": TrainingConfig(**training)}
    return RunConfig().model_copy(update=parts)


def counted(config: RunConfig, shape: tuple[int, ...], batch: int) -> int:
    """FLOPs of a real step of a model past its first one."""
    model = build_model(config.model, shape)
    x = torch.rand(batch, *shape)
    model(x)
    with FlopCounterMode(display=False, custom_mapping=CPU_ATTENTION_FLOPS) as counter:
        _, x_recon, vq_output = model(x)
        loss = reconstruction_loss(x_recon, x, config.training.loss, model.data_variance)
        (loss + vq_output["commitment_loss"]).backward()
    return counter.get_total_flops()


@pytest.mark.parametrize(
    ("n_dims", "quantizer", "attention"),
    [
        (1, "ema", {"type": "full", "positions": "rotary"}),
        (2, "simvq", {"type": "axial", "dropout": 0.1}),
        (2, "residual", {"type": "full", "dropout": 0.1}),
        (3, "lfq", {"type": "axial"}),
        (4, "fsq", {"type": "none"}),
    ],
)
def test_flops_are_those_of_a_real_step(n_dims, quantizer, attention):
    model = {"n_hiddens": 8, "n_codes": 64, "quantizer": {"type": quantizer}, "attention": attention}
    config = run(n_dims, model, batch_size=3)
    assert predict(config, SHAPES[n_dims], "cpu").flops == counted(config, SHAPES[n_dims], 3)


@pytest.mark.parametrize("n_dims", SHAPES)
def test_flops_of_patches_and_dropout_are_those_of_a_real_step(n_dims):
    config = run(n_dims, {"n_hiddens": 8, "stem": "patch", "dropout": 0.1}, batch_size=3)
    assert predict(config, SHAPES[n_dims], "cpu").flops == counted(config, SHAPES[n_dims], 3)


def test_one_sample_of_three_dimensions_goes_another_way_on_a_cpu_but_takes_the_same_flops():
    config = run(3, {"n_hiddens": 8}, batch_size=1)
    assert predict(config, SHAPES[3], "cpu").flops == counted(config, SHAPES[3], 1)


@pytest.mark.parametrize("quantizer", QUANTIZERS)
@pytest.mark.parametrize("device_type", ["cpu", "cuda"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_every_quantizer_and_precision_can_be_predicted_for_devices_that_are_not_there(
    quantizer, device_type, precision
):
    model = {"n_hiddens": 8, "quantizer": {"type": quantizer}, "attention": {"type": "axial"}}
    found = predict(run(2, model, precision=precision), SHAPES[2], device_type)
    built = build_model(ModelConfig(n_dims=2, **model), SHAPES[2])
    assert found.parameters == sum(parameter.numel() for parameter in built.parameters())
    assert found.memory_bytes > 4 * 4 * found.parameters  # weights, gradients and two moments, in fp32


def memory(device_type="cuda", world_size=1, model=None, **training) -> int:
    return predict(run(2, model, **training), (3, 64, 64), device_type, world_size).memory_bytes


def test_memory_is_weights_and_the_like_and_as_much_for_each_sample():
    eight, sixteen, thirty_two = (memory(batch_size=size) for size in (8, 16, 32))
    assert thirty_two - sixteen == pytest.approx(2 * (sixteen - eight), rel=0.05)
    assert eight > 8 * 4 * 3 * 64 * 64  # a batch, at the very least


def test_activations_take_half_in_half_precision():
    whole, half = (memory(batch_size=64, model={"norm": "rms"}, precision=precision) for precision in ("fp32", "bf16"))
    assert 0.4 < half / whole < 0.8


def test_on_a_cpu_half_precision_may_take_as_much_as_full_precision():
    whole, half = (memory("cpu", precision=precision) for precision in ("fp32", "bf16"))
    assert half == whole


def test_workers_share_a_batch():
    assert memory(batch_size=64, world_size=4) == pytest.approx(memory(batch_size=16), rel=0.2)


def test_scores_of_codes_are_in_pieces_on_a_cpu_and_larger_pieces_on_a_gpu():
    """1,024 tokens a sample against many codes: half a GiB of scores, if they were all there at once."""
    model = {"n_codes": 4096, "downsample": (2, 2), "n_hiddens": 2, "n_res_layers": 0, "embedding_dim": 2}
    assert memory("cpu", batch_size=32, model=model) < 2**29 + 2**28
    assert 2**28 < memory("cuda", batch_size=32, model=model) < 2**29


def test_attention_that_a_device_fuses_keeps_no_matrix_of_weights():
    model = {"downsample": (2, 2), "n_hiddens": 4, "attention": {"type": "full"}}
    fused = memory("cpu", model=model, batch_size=8)
    parts = memory("cpu", model={**model, "attention": {"type": "full", "dropout": 0.1}}, batch_size=8)
    matrices = 2 * 2 * 8 * 2 * 1024**2 * 4  # 2 blocks on each side, 8 samples, 2 heads
    assert parts - fused > matrices


@pytest.mark.parametrize(("device_type", "kept"), [("cpu", 1.4 * 4), ("cuda", 1)])
def test_dropout_keeps_a_number_for_each_of_its_input_on_a_cpu_and_a_byte_on_a_gpu(device_type, kept):
    model = {"downsample": (2, 2), "n_res_layers": 8}
    without, with_dropout = (memory(device_type, model=model | {"dropout": p}, batch_size=8) for p in (0.0, 0.1))
    numbers = 2 * 8 * 8 * 16 * 32 * 32  # 8 blocks on each side, 8 samples, half of 32 channels, positions
    assert with_dropout - without == pytest.approx(kept * numbers, rel=0.1)


def test_nothing_is_left_behind():
    state = torch.get_rng_state()
    memory(precision="bf16")
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.is_autocast_enabled("cuda")
    assert torch.empty(1).device.type == "cpu"


def test_samples_of_another_number_of_dimensions_are_told():
    with pytest.raises(ShapeError, match="input_shape"):
        predict(run(3), (3, 64, 64), "cpu")


_TRAINED = """
import json, sys, torch
import ndvq_tune.training.worker, ray.tune
from ndvq_tune.config import ModelConfig, TrainingConfig
from ndvq_tune.model import build_model
from ndvq_tune.training.fast_paths import keep_right_layers_fast
from ndvq_tune.training.losses import reconstruction_loss
from ndvq_tune.training.memory import peak_bytes
case = json.loads(sys.argv[1])
torch.set_num_threads(1)
training = TrainingConfig(**case["training"])
model = build_model(ModelConfig(**case["model"]), case["shape"], 0.5, 0.1)
bf16 = keep_right_layers_fast(model, training.batch_size, bf16=training.precision == "bf16") > 0
optimizer = torch.optim.Adam(model.parameters(), fused=True)
for _ in range(3):
    x = torch.randint(0, 255, (training.batch_size, *case["shape"]), dtype=torch.uint8).float().div_(255)
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        _, x_recon, vq_output = model(x)
    loss = reconstruction_loss(x_recon, x, training.loss, model.data_variance)
    optimizer.zero_grad()
    (loss + vq_output["commitment_loss"]).backward()
    optimizer.step()
print(peak_bytes(torch.device("cpu")))
"""
AXIAL = {"type": "axial", "dropout": 0.1}


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux")
@pytest.mark.parametrize(
    ("shape", "model", "training"),
    [
        ((1, 4096), {"n_dims": 1, "n_hiddens": 64, "activation": "snake"}, {"loss": {"spectral_weight": 0.5}}),
        ((3, 64, 64), {"n_dims": 2, "n_hiddens": 64, "quantizer": {"type": "simvq"}}, {"batch_size": 16}),
        ((3, 64, 64), {"n_dims": 2, "quantizer": {"type": "lfq"}}, {"batch_size": 16, "precision": "bf16"}),
        ((3, 8, 32, 32), {"n_dims": 3, "n_hiddens": 128, "quantizer": {"type": "residual"}}, {}),
        ((3, 8, 64, 64), {"n_dims": 3, "quantizer": {"type": "fsq"}, "attention": AXIAL}, {}),
        ((1, 4, 16, 16, 16), {"n_dims": 4}, {}),
        ((1, 8192), {"n_dims": 1, "n_hiddens": 64, "stem": "patch", "dropout": 0.1}, {}),
        ((3, 128, 128), {"n_dims": 2, "n_hiddens": 64, "stem": "patch", "dropout": 0.1}, {"batch_size": 16}),
        ((3, 8, 64, 64), {"n_dims": 3, "n_hiddens": 64, "stem": "patch", "dropout": 0.1}, {}),
        ((1, 8, 16, 16, 16), {"n_dims": 4, "n_hiddens": 64, "stem": "patch"}, {}),
    ],
)
def test_memory_is_that_of_a_real_training_process(shape, model, training):
    case = json.dumps({"shape": shape, "model": model, "training": training})
    done = subprocess.run([sys.executable, "-c", _TRAINED, case], capture_output=True, text=True, check=True)
    config = run(model["n_dims"], model, **training)
    assert predict(config, shape, "cpu").memory_bytes == pytest.approx(float(done.stdout.split()[-1]), rel=0.25)
