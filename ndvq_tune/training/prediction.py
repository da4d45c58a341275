"""What a configuration will take, found by training one step of it with tensors that have shapes but no numbers."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from ndvq_tune.config import RunConfig
from ndvq_tune.model import EMACodebook, NDimVQVAE, build_model_of_shapes
from ndvq_tune.training.evaluation import static_metrics
from ndvq_tune.training.losses import reconstruction_loss
from ndvq_tune.training.optimizers import state_bytes
from ndvq_tune.training.torch_internals import pretended_autocast, pretended_device

DeviceType = Literal["cpu", "cuda"]

# Memory of a worker with tensors of `n` bytes. A GPU counts tensors only. A process has 485 MiB before its first, and
# 40% more than all of them later: kernels' own buffers and gaps between tensors (each of 13 models is within 7%).
_RESIDENT: dict[str, Callable[[int], int]] = {"cpu": lambda n: 485 * 2**20 + round(1.4 * n), "cuda": lambda n: n}


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
    part = math.ceil(batch / config.training.gradient_accumulation)
    with pretended_device(device_type, [*model.parameters(), *model.buffers()]) as ledger:
        _step(model, torch.empty(part, *sample_shape), config, device_type)
    metrics = static_metrics(model)
    kept = state_bytes(model.parameters(), config.training)
    if world_size > 1:
        kept += sum(parameter.nbytes for parameter in model.parameters())  # gradients on their way between ranks
    return Prediction(
        parameters=int(metrics["parameters"]),
        bits_per_element=metrics["bits_per_element"],
        flops=ledger.flops,
        memory_bytes=_RESIDENT[device_type](kept + ledger.peak),
    )


def _step(model: NDimVQVAE, x: torch.Tensor, config: RunConfig, device_type: DeviceType) -> None:
    """What ``Training`` does in a step, up to the gradients: what comes after needs less memory than they did."""
    for parameter in model.parameters():
        parameter.grad = torch.empty_like(parameter)  # of the step before
    with pretended_autocast(device_type, enabled=config.training.precision == "bf16" and device_type == "cuda"):
        _, x_recon, vq_output = model(x)
    loss = reconstruction_loss(x_recon, x, config.training.loss, model.data_variance)
    model.zero_grad(set_to_none=True)
    (loss + vq_output["commitment_loss"]).backward()
