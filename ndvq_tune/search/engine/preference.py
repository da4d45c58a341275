"""What a user believes to be good, as a weight of what is drawn and proposed.

A belief is a density over the values of a parameter. It counts to a power that falls with the number of trials, so
that what was measured outweighs it in the end, and a wrong one costs trials, not the search (Hvarfner et al., 2022:
"πBO: Augmenting acquisition functions with user beliefs for Bayesian optimization", eq. 6).
"""

import math
import random as randomness
from collections.abc import Iterable, Mapping
from typing import Any

from ndvq_tune.distributions import Choice, Distribution, Preference, Searched

WIDTHS = {"low": 0.5, "medium": 0.25, "high": 0.125}  # standard deviation, of the length of a range
TIMES = {"low": 2.0, "medium": 4.0, "high": 8.0}  # as likely as any other value of a choice

Belief = tuple[Distribution, Preference]


def beliefs(searched: Iterable[Searched]) -> dict[str, Belief]:
    """What is believed of parameters, by key; those without a preference are left out."""
    return {
        parameter.key: (parameter.distribution, parameter.preference) for parameter in searched if parameter.preference
    }


def fading(tried: int, startup: int) -> float:
    """The power that beliefs count to: 1 for the startup trials, then falling as one over their number squared.

    With one over the number, as in the paper, a wrong belief holds a search up longer, and a right one helps no more.

    Args:
        tried: Trials that there are to learn from.
        startup: Of them, those before anything is learned.

    Example:
        >>> fading(4, 8), fading(16, 8), fading(64, 8)
        (1.0, 0.25, 0.015625)
    """
    return min(1.0, startup / max(tried, 1)) ** 2


def log_weight(believed: Mapping[str, Belief], params: Mapping[str, Any]) -> float:
    """The logarithm of the density of a point, over that of one which has all preferred values; at most 0.

    Args:
        believed: What is believed, by key.
        params: Values of parameters; those of which nothing is believed count for nothing.
    """
    return sum(_log_density(*belief, params[key]) for key, belief in believed.items() if key in params)


def preferred(belief: Belief, power: float, random: randomness.Random) -> Any:
    """A value, drawn from the density to a power.

    Args:
        belief: What is believed of its parameter.
        power: Above 0, at most 1.
        random: Where chance comes from.
    """
    distribution, preference = belief
    if isinstance(distribution, Choice):
        weights = [math.exp(power * _log_density(*belief, value)) for value in distribution.values]
        return random.choices(distribution.values, weights)[0]
    middle, width = distribution.place(preference.value), WIDTHS[preference.confidence] / math.sqrt(power)
    while not 0 <= (place := random.gauss(middle, width)) <= 1:
        pass
    return distribution.at(place)


def _log_density(distribution: Distribution, preference: Preference, value: Any) -> float:
    if isinstance(distribution, Choice):
        return 0.0 if value == preference.value else -math.log(TIMES[preference.confidence])
    away = distribution.place(value) - distribution.place(preference.value)
    return -((away / WIDTHS[preference.confidence]) ** 2) / 2
