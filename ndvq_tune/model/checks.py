"""What a model refuses to encode or to decode, because it cannot be meant.

Each check looks at all values and waits for the device, so ``forward``, by which models are trained, asks for none.
"""

import math

import torch

from ndvq_tune.config.card import DataCard
from ndvq_tune.errors import InputError

_BEYOND = 0.5  # of the range from 0 to 1: test data may lie outside, and sounds be louder than those for training
_SILENCE = 0.25  # how far the mean of sounds in [0, 1] may be from 0.5


def encodable(x: torch.Tensor, data: DataCard | None) -> torch.Tensor:
    """Data as a model takes it: floats in [0, 1].

    Args:
        x: Such data, or integers of the type that the training data is stored in, in its own units.
        data: What the model was trained on; without it nothing is known of units and range.

    Raises:
        InputError: If ``x`` is of another type, holds NaN or infinity, or lies far outside of what the model has seen.
    """
    if x.is_complex():
        raise InputError(f"{_name(x.dtype)} given; a model takes real numbers")
    if not x.is_floating_point():
        if data is None or data.dtype != _name(x.dtype):
            raise InputError(f"{_name(x.dtype)} given, but floats in [0, 1] are expected; {_conversion(data)}")
        unit: torch.Tensor = data.to_unit(x.float())
        if x.numel() and _are_far_outside(*torch.stack(unit.aminmax()).tolist()):
            raise InputError(
                f"values from {x.min().item()} to {x.max().item()} given, "
                f"but those of the training data were {data.minimum:g} to {data.maximum:g}"
            )
        return unit
    if x.numel():
        _check_values(x.float(), data)
    return x


def decodable(encodings: torch.Tensor, n_codes: int) -> torch.Tensor:
    """Encodings as int64.

    Args:
        encodings: Integers of any type.
        n_codes: Codes in the codebook.

    Raises:
        InputError: If they are no integers, or a code is not in the codebook.
    """
    if encodings.is_floating_point() or encodings.is_complex() or encodings.dtype == torch.bool:
        raise InputError(f"{_name(encodings.dtype)} given, but encodings are integers, as encode gives them")
    numbers = encodings.long()
    if numbers.numel():
        low, high = torch.stack(numbers.aminmax()).tolist()
        if low < 0 or high >= n_codes:
            raise InputError(
                f"codes from {low} to {high} given, but this model's are 0 to {n_codes - 1}; "
                "were they encoded by another model?"
            )
    return numbers


def _check_values(x: torch.Tensor, data: DataCard | None) -> None:
    low, high, mean = torch.stack([*x.aminmax(), x.mean()]).tolist()
    if not (math.isfinite(low) and math.isfinite(high)):
        index = (~x.isfinite()).nonzero()[0].tolist()
        raise InputError(f"{x[tuple(index)].item()} at index {index}; replace such values, or leave the samples out")
    if data is None:
        return
    if _are_far_outside(low, high):
        raise InputError(f"values from {low:.4g} to {high:.4g} given, but [0, 1] is expected; {_conversion(data)}")
    if data.sample_rate is not None and data.low == -data.high and abs(mean - 0.5) > _SILENCE:
        raise InputError(
            f"sound with a mean of {mean:.2g} given, but silence is 0.5 for this model; {_conversion(data)}"
        )


def _are_far_outside(low: float, high: float) -> bool:
    return low < -_BEYOND or high > 1 + _BEYOND


def _conversion(data: DataCard | None) -> str:
    """What to do with data that is not on the scale of a model."""
    if data is None:
        return "convert them as the training data was, such as x / 255 for bytes"
    units = f"{data.dtype}, of which {data.low:g} became 0 and {data.high:g} became 1"
    return f"the training data was {units}: model.data.to_unit(x) does so"


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
