"""Points of a space without a sampler: drawn at random, or near one that is known."""

import math
import random as randomness
from collections.abc import Callable, Mapping
from typing import Any

from ndvq_tune.distributions import Choice, Distribution, Range, Searched
from ndvq_tune.search.space import SearchSpace
from ndvq_tune.yaml_file import flatten

STEP = 0.15  # standard deviation of a small change, of the length of a range
CHANGES = 2  # parameters that differ from the known point, in the mean


class Drawing:
    """Draws points.

    Args:
        space: The space.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._searched = space.searched
        self._defaults = flatten(space.complete({}).to_dict())

    def anywhere(self, random: randomness.Random) -> dict[str, Any]:
        """A point of independent values."""
        return self._point(lambda parameter: drawn(parameter.distribution, random))

    def near(self, params: Mapping[str, Any], random: randomness.Random) -> dict[str, Any]:
        """A point that differs from a known one in a few parameters, and in those a little."""

        def value(parameter: Searched) -> Any:
            if parameter.key not in params:
                return drawn(parameter.distribution, random)
            known = params[parameter.key]
            return _shifted(parameter.distribution, known, random) if random.random() < share else known

        share = CHANGES / len(params)
        return self._point(value)

    def _point(self, value: Callable[[Searched], Any]) -> dict[str, Any]:
        chosen: dict[str, Any] = {}
        for parameter in self._searched:
            if all(chosen.get(key, self._defaults[key]) in allowed for key, allowed in parameter.when.items()):
                chosen[parameter.key] = value(parameter)
        return chosen


def drawn(distribution: Distribution, random: randomness.Random) -> Any:
    """A value of a distribution."""
    if isinstance(distribution, Choice):
        return random.choice(distribution.values)
    margin = 0.5 if distribution.integer else 0.0  # so that rounding leaves both ends as likely as all between
    low, high = distribution.low - margin, distribution.high + margin
    value = math.exp(random.uniform(math.log(low), math.log(high))) if distribution.log else random.uniform(low, high)
    return within(distribution, value)


def neighbour(choice: Choice, value: Any, random: randomness.Random) -> Any:
    """A value beside another one in the list; the same where there is none.

    Args:
        choice: The list.
        value: One of its values.
        random: Where chance comes from.
    """
    index = choice.values.index(value)
    near = [choice.values[place] for place in (index - 1, index + 1) if 0 <= place < len(choice.values)]
    return random.choice(near) if near else value


def within(range_: Range, value: float) -> float:
    """The nearest value that a range has."""
    value = min(max(value, range_.low), range_.high)
    return round(value) if range_.integer else value


def _shifted(distribution: Distribution, value: Any, random: randomness.Random) -> Any:
    if isinstance(distribution, Choice):
        return neighbour(distribution, value, random)
    return distribution.at(distribution.place(value) + random.gauss(0, STEP))
