"""Mean and variance of the training data, of all values together or of each channel, as a model uses them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from ndvq_tune.errors import ShapeError

Statistic = float | Sequence[float]
"""Of all values together, or of each channel."""


def broadcast(statistic: Statistic, input_shape: Sequence[int]) -> torch.Tensor:
    """A statistic as a model keeps it: float32, of shape ``()`` or ``(C, *1)``.

    Args:
        statistic: One number, or one for each channel.
        input_shape: Shape ``(C, *S)`` of a sample.

    Raises:
        ShapeError: If there is another number of them than of channels.
    """
    found = torch.as_tensor(statistic, dtype=torch.float32)
    if found.ndim == 0:
        return found
    if found.shape != tuple(input_shape[:1]):
        raise ShapeError(
            f"data_mean and data_variance need one number, or one for each of {input_shape[0]} channels, "
            f"but got {statistic}"
        )
    return found.reshape(_one_each(input_shape))


def take_shapes(model: Any, state: Mapping[str, torch.Tensor], prefix: str, *_: object) -> None:
    """Before a state is loaded: a model's statistics get the shape that they have there.

    Those of release 0.1 are scalars, whatever the model was made with.

    Args:
        model: The model.
        state: What it is about to load.
        prefix: What the names of the model's own tensors begin with there.
    """
    for name in ("data_mean", "data_variance"):
        own, saved = getattr(model, name), state.get(prefix + name)
        if saved is not None and saved.shape != own.shape and saved.shape in ((), _one_each(model.input_shape)):
            setattr(model, name, torch.empty_like(saved, device=own.device))


def mean_over_channels(
    distance: Callable[..., torch.Tensor], x_recon: torch.Tensor, x: torch.Tensor, scale: torch.Tensor | float
) -> torch.Tensor:
    """Mean over the channels of a distance, each over its own scale; a scalar.

    Args:
        distance: ``F.mse_loss``, or another function that is called like it.
        x_recon: The reconstruction ``(B, C, *S)``.
        x: The data, in the same shape.
        scale: Of all channels together, or of each, ``(C, *1)``.

    Example:
        >>> from torch.nn import functional as F
        >>> x, errors = torch.zeros(8, 2, 16), torch.tensor([[2.0], [0.2]])
        >>> mean_over_channels(F.mse_loss, x + errors, x, torch.tensor([[4.0], [0.01]]))
        tensor(2.5000)
    """
    if not isinstance(scale, torch.Tensor) or scale.ndim == 0:
        return distance(x_recon, x) / scale
    # Averaged before it is divided: nothing of the data's size is kept for the gradient.
    of_each = distance(x_recon, x, reduction="none").mean(dim=[axis for axis in range(x.ndim) if axis != 1])
    return (of_each / scale.flatten()).mean()


def _one_each(input_shape: Sequence[int]) -> tuple[int, ...]:
    return (input_shape[0], *(1 for _ in input_shape[1:]))
