"""Checkpoints: a training's state as files, and back again; safetensors and JSON, nothing pickled."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from ndvq_tune.config import RunConfig
from ndvq_tune.config.card import DataCard
from ndvq_tune.config.run import as_kept
from ndvq_tune.errors import CheckpointError, message_of
from ndvq_tune.model import NDimVQVAE, build_model
from ndvq_tune.training.files import CODE_COUNTS, CONFIG, FORMAT, MODEL, TRAINING, Files, describe, read_file
from ndvq_tune.training.loop import Training


def pack(training: Training) -> Files:
    """A training's state as the contents of files, so that it can travel before it is written."""
    description = {
        "format": FORMAT,
        "config": training.config.to_dict(),
        "input_shape": training.model.input_shape,
        "input_scale": asdict(training.dataset.train.scale),  # the stored values that the model sees as 0 and 1
        "data": card.model_dump(mode="json") if (card := training.dataset.card) else None,
        "epoch": training.epoch,
        "samples_seen": training.samples_seen,
        "training_seconds": training.seconds,
        "sample_losses": [float(f"{loss:.6g}") for loss in training.sample_losses.tolist()],
    }
    return {
        # Safetensors refuses a tensor that is not contiguous, whatever laid it out so.
        MODEL: save({name: tensor.contiguous() for name, tensor in training.model.state_dict().items()}),
        CONFIG: json.dumps(description, indent=2).encode(),
        TRAINING: save(
            _optimizer_state(training) | _random_state(training.device) | {CODE_COUNTS: training.code_counts.cpu()}
        ),
    }


def unpack(training: Training, files: Mapping[str, bytes]) -> None:
    """Bring a training that was made from the same configuration to a saved state.

    The data may have another size: weights do not depend on it, and the mean and variance stay those of the data at
    hand.

    Args:
        training: Made from the same model settings; it is changed.
        files: What ``pack`` or ``read`` gave.

    Raises:
        CheckpointError: If the files are damaged or belong to another model.
    """
    description = describe(files)
    try:
        model = training.model
        model.load_state_dict(load(files[MODEL]) | {"data_mean": model.data_mean, "data_variance": model.data_variance})
        state = load(files[TRAINING])
        _load_optimizer_state(training, state)
        _load_random_state(training.device, state)
        training.epoch = description["epoch"]
        training.samples_seen = description.get("samples_seen", 0)  # checkpoints did not always have these
        training.seconds = description.get("training_seconds", 0.0)
        training.sample_losses = torch.tensor(description.get("sample_losses", ()))
        training.code_counts = state.get(CODE_COUNTS, training.code_counts)
    except (KeyError, ValueError, RuntimeError, SafetensorError) as error:
        raise CheckpointError(f"the checkpoint does not fit this run or is damaged: {message_of(error)}") from None


def load_config(folder: Path) -> RunConfig:
    """What a checkpoint was trained by.

    Raises:
        CheckpointError: If the folder holds no checkpoint, or a damaged one.
    """
    description = describe({CONFIG: read_file(folder / CONFIG)})
    try:
        return RunConfig.model_validate(as_kept(description["config"]))
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{folder} is damaged: {message_of(error)}") from None


def load_model(folder: Path | str, device: torch.device | str = "cpu") -> NDimVQVAE:
    """The model of a checkpoint, in evaluation mode. Nothing is unpickled.

    ``model.data`` is the card of what it was trained on, and with it ``encode`` refuses what cannot be meant.

    Args:
        folder: The checkpoint, such as ``results/NAME/checkpoints/trial-0003``.
        device: Where the model shall be.

    Raises:
        CheckpointError: If the folder holds no checkpoint, or a damaged one.
    """
    folder = Path(folder)
    files = {name: read_file(folder / name) for name in (MODEL, CONFIG)}
    description = describe(files)
    try:
        config = RunConfig.model_validate(as_kept(description["config"]))
        model = build_model(config.model, description["input_shape"])
        model.load_state_dict(load(files[MODEL]))
        card = description.get("data")  # checkpoints did not always have it
        model.data = None if card is None else DataCard.model_validate(card)
    except (KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:  # pydantic's are ValueErrors
        raise CheckpointError(f"{folder} is damaged: {message_of(error)}") from None
    return model.to(device).eval()


def _optimizer_state(training: Training) -> dict[str, torch.Tensor]:
    states = [(name, optimizer.state.get(weight, {})) for name, weight, optimizer in _optimized(training)]
    return {f"optimizer.{name}.{slot}": value for name, slots in states for slot, value in slots.items()}


def _load_optimizer_state(training: Training, saved: Mapping[str, torch.Tensor]) -> None:
    slots: dict[str, dict[str, torch.Tensor]] = defaultdict(dict)
    for key, value in saved.items():
        if key.startswith("optimizer."):
            owner, _, slot = key.removeprefix("optimizer.").rpartition(".")
            slots[owner][slot] = value
    for index, (name, weight, optimizer) in enumerate(_optimized(training)):
        found = slots.get(name) or slots.get(str(index), {})  # by its number in release 0.1
        if found:
            optimizer.state[weight] = {slot: value.to(weight.device) for slot, value in found.items()}


def _optimized(training: Training) -> Iterator[tuple[str, torch.nn.Parameter, torch.optim.Optimizer]]:
    """Each weight by name, with the optimiser that it belongs to."""
    owners = {
        weight: optimizer
        for optimizer in training.optimizers
        for group in optimizer.param_groups
        for weight in group["params"]
    }
    for name, weight in training.model.named_parameters():
        yield name, weight, owners[weight]


def _random_state(device: torch.device) -> dict[str, torch.Tensor]:
    states = {"random.cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["random.cuda"] = torch.cuda.get_rng_state(device)
    return states


def _load_random_state(device: torch.device, saved: Mapping[str, torch.Tensor]) -> None:
    torch.set_rng_state(saved["random.cpu"])
    if device.type == "cuda" and "random.cuda" in saved:
        torch.cuda.set_rng_state(saved["random.cuda"], device)
