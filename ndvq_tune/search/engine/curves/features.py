"""Parameters as numbers between 0 and 1, in which a step means about the same anywhere."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ndvq_tune.distributions import Choice, Range
from ndvq_tune.search.space import SearchSpace

ABSENT = 0.5  # of a parameter that does not count: what decides that it does not tells the points apart
Encode = Callable[[Any], tuple[float, ...]]


class Features:
    """The numbers that stand for a point of a space.

    Numbers lie between the ends of their range or choice, those of a logarithmic range and of a choice by their
    logarithm; lists of numbers likewise, element by element. Any other choice has a number for each value, of which
    that of the chosen one is 1.

    Args:
        space: The space.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._encode = {parameter.key: _encoder(parameter.distribution) for parameter in space.searched}

    def __call__(self, params: Mapping[str, Any]) -> tuple[float, ...]:
        """Of chosen values, by full key path."""
        return tuple(
            number
            for key, (width, encode) in self._encode.items()
            for number in (encode(params[key]) if key in params else (ABSENT,) * width)
        )


def _encoder(distribution: Choice | Range) -> tuple[int, Encode]:
    """How many numbers a value becomes, and which."""
    match distribution:
        case Range():
            return 1, lambda value: (distribution.place(value),)
        case Choice(values) if all(map(_is_size, values)):
            size = Range(min(values), max(values), log=True)
            return 1, lambda value: (size.place(value),)
        case Choice(values) if _are_sizes(values):
            sizes = [Range(min(column), max(column), log=True) for column in zip(*values, strict=True)]
            return len(sizes), lambda value: tuple(
                size.place(element) for element, size in zip(value, sizes, strict=True)
            )
        case Choice(values):
            return len(values), lambda value: tuple(float(other == value) for other in values)


def _is_size(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _are_sizes(values: Sequence[Any]) -> bool:
    """Whether all are lists of as many positive numbers."""
    lists = all(isinstance(value, list | tuple) and value and all(map(_is_size, value)) for value in values)
    return lists and len({len(value) for value in values}) == 1
