"""A configuration in numbers: its rate, and its place between the ends of the space."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ndvq_tune.distributions import Choice, Distribution
from ndvq_tune.search.space import SearchSpace

N_CODES, DOWNSAMPLE, QUANTIZER, N_QUANTIZERS = RATE = (
    "model.n_codes",
    "model.downsample",
    "model.quantizer.type",
    "model.quantizer.n_quantizers",
)  # all that bits per element depend on
ABSENT = -0.5  # for the value of a parameter that does not count: outside the range
Params = Mapping[str, Any]


def bits_of(params: Params) -> float:
    """Bits per element of a configuration of a recorded space, which always divides its samples evenly.

    Example:
        >>> bits_of({"model.n_codes": 256, "model.downsample": [2, 4, 4]})
        0.25
    """
    codebooks = params[N_QUANTIZERS] if params.get(QUANTIZER) == "residual" else 1
    return float(codebooks * math.log2(params[N_CODES]) / math.prod(params[DOWNSAMPLE]))


def point(space: SearchSpace, params: Params) -> list[float]:
    """A configuration as a point: each coordinate goes from 0 to 1.

    Ranges and choices of numbers have one coordinate, choices of lists one an element, by its logarithm; of other
    choices each value has one, which is 1 where it was chosen.
    """
    return [x for p in space.searched for x in _coordinates(p.distribution, params.get(p.key))]


def position(distribution: Distribution, value: Any) -> float:
    """Where a value lies between the ends, from 0 to 1; choices of numbers lie one step apart, other choices too."""
    if isinstance(distribution, Choice):
        values = distribution.values if is_named(distribution) else sorted(distribution.values)
        return list(values).index(value) / max(1, len(values) - 1)
    scale = math.log if distribution.log else float
    low, high = scale(distribution.low), scale(distribution.high)
    return (scale(value) - low) / (high - low)


def is_named(distribution: Distribution) -> bool:
    """Whether its values have no order, so that any two of them differ equally."""
    return isinstance(distribution, Choice) and not all(isinstance(value, int | float) for value in distribution.values)


def _coordinates(distribution: Distribution, value: Any) -> list[float]:
    if not isinstance(distribution, Choice) or not is_named(distribution):
        return [ABSENT if value is None else position(distribution, value)]
    if not all(isinstance(one, list) for one in distribution.values):
        return [float(value == one) for one in distribution.values]
    ends = np.log2(distribution.values)
    low, span = ends.min(axis=0), np.ptp(ends, axis=0)
    return list((np.log2(value) - low) / np.where(span, span, 1))
