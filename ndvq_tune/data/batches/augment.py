"""Random changes of training samples, made anew every time a sample is seen.

Samples of two dimensions or more take the transforms of ``torchvision.transforms.v2``, by their names there; samples of
one dimension take ``Gain`` and ``Shift``.
"""

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

import torch

from ndvq_tune.config import DataConfig
from ndvq_tune.data.torchvision.package import transforms
from ndvq_tune.errors import DataError, message_of
from ndvq_tune.problems import nearest

Change = Callable[[torch.Tensor], torch.Tensor]

_TRIALS = 16
_WRONG = (TypeError, ValueError, RuntimeError, AttributeError, LookupError)


def augmentation(config: DataConfig) -> Change | None:
    """The changes that ``config.augment`` names, in its order.

    Args:
        config: The data. Where it tells the shape of a sample, the changes are tried out, without a trace in torch's
            generator.

    Returns:
        What changes a float batch ``(B, C, *S)`` of values in [0, 1] into another of the same shape, type, device and
        memory format, with values in [0, 1]; None where there is nothing to change. Every sample is changed by random
        numbers of its own, drawn from torch's global generator; all frames of a clip are changed alike. The batch
        that is given stays as it is. Raises DataError where a change turns out not to keep the shape.

    Raises:
        DataError: A name is unknown or for other dimensions, its arguments are wrong, or it does not keep the shape.
    """
    changes = {name: _change(name, arguments) for name, arguments in config.augment.items()}
    for name, change in changes.items():
        if config.n_dims is not None:
            _check_dimensions(name, config.n_dims)
        if config.sample_shape is not None:
            _try_out(name, change, config.sample_shape)

    def changed(batch: torch.Tensor) -> torch.Tensor:
        for name, change in changes.items():
            _check_dimensions(name, batch.ndim - 2)
            batch = change(batch)
        return batch

    return changed if changes else None


class Gain:
    """Makes every sample louder or quieter, about the middle of the range.

    Batches hold values in [0, 1], in which the silence of a sound that swings alike to both sides is 0.5. What gets
    louder than the range is clipped.

    Args:
        db: Most decibels up or down; each sample's gain is uniform between ``-db`` and ``db``.
    """

    def __init__(self, db: float) -> None:
        if not (math.isfinite(db) and db >= 0):
            raise ValueError(f"db: {db!r} given; needs a number of decibels, 0 or more")
        self._db = db

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        """Changes a batch ``(B, C, L)``."""
        db = self._db * (2 * torch.rand(len(batch), 1, 1) - 1)
        return ((batch - 0.5) * (10 ** (db / 20)).to(batch) + 0.5).clamp_(0, 1)


class Shift:
    """Shifts every sample in time, all of its channels alike; what leaves at one end comes in at the other.

    Args:
        steps: Most steps to either side; each sample's shift is uniform between ``-steps`` and ``steps``.
    """

    def __init__(self, steps: int) -> None:
        if not (isinstance(steps, int) and steps >= 0):
            raise ValueError(f"steps: {steps!r} given; needs a whole number of steps, 0 or more")
        self._steps = steps

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        """Changes a batch ``(B, C, L)``."""
        shifts = torch.randint(-self._steps, self._steps + 1, (len(batch), 1, 1)).to(batch.device)
        length = batch.shape[-1]
        sources = (torch.arange(length, device=batch.device) - shifts) % length
        return batch.gather(-1, sources.expand_as(batch))


class _EachSample:
    """A transform of torchvision, which draws once for what it is given, applied to sample after sample."""

    def __init__(self, name: str, transform: Callable[[torch.Tensor], Any]) -> None:
        self._name = name
        self._transform = transform

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        changed = torch.empty_like(batch)
        for before, after in zip(batch, changed, strict=True):
            # Channels come before height and width there, so (C, T, H, W) goes as (T, C, H, W).
            pictures = before.movedim(0, -3)
            result = self._transform(pictures)
            if _kind(result) != _kind(pictures):
                raise DataError(
                    f"data.augment: {self._name} makes {_kind(result)} of {_kind(pictures)}; a change has to keep both"
                )
            after.copy_(result.movedim(-3, 0))
        return changed.clamp_(0, 1)


_OF_SIGNALS: Mapping[str, Callable[..., Change]] = {"Gain": Gain, "Shift": Shift}


def _change(name: str, arguments: Mapping[str, Any]) -> Change:
    try:
        if name in _OF_SIGNALS:
            return _OF_SIGNALS[name](**arguments)
        return _EachSample(name, _transform(name)(**arguments))
    except _WRONG as error:
        raise _wrong(name, error) from error


def _transform(name: str) -> Callable[..., Any]:
    module = transforms()
    known = {
        name: kind for name, kind in inspect.getmembers(module, inspect.isclass) if issubclass(kind, module.Transform)
    }
    if name not in known:
        raise DataError(
            f"data.augment: {name!r} given{nearest(name, [*_OF_SIGNALS, *known])}; allowed: Gain and Shift for samples "
            "of 1 dimension; for others the transforms of torchvision.transforms.v2, such as RandomHorizontalFlip, "
            "RandomResizedCrop and ColorJitter"
        )
    return known[name]


def _check_dimensions(name: str, n_dims: int) -> None:
    if (name in _OF_SIGNALS) != (n_dims == 1):
        kind = "1 dimension" if name in _OF_SIGNALS else "2 dimensions or more"
        raise DataError(f"data.augment: {name} is for samples of {kind}; these have {n_dims}")


def _try_out(name: str, change: Change, shape: tuple[int, ...]) -> None:
    # Several times, as many transforms act on some samples only. One sample at a time, which may be large.
    with torch.random.fork_rng(devices=[]):
        try:
            for _ in range(_TRIALS):
                change(torch.rand(1, *shape))
        except _WRONG as error:
            raise _wrong(name, error) from error


def _wrong(name: str, error: Exception) -> DataError:
    return DataError(f"data.augment: {name}: {message_of(error)}")


def _kind(result: Any) -> str:
    return f"{tuple(result.shape)} {result.dtype}" if isinstance(result, torch.Tensor) else type(result).__name__
