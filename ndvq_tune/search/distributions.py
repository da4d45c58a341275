"""The distributions of a search space, and how each asks Optuna for a value."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from optuna import Trial


class Distribution(Protocol):
    """A leaf of the search space that is searched."""

    @property
    def probes(self) -> tuple[Any, ...]:
        """Values whose validity means that every value is valid."""

    def suggest(self, trial: Trial, name: str) -> Any:
        """Ask Optuna for a value."""


@dataclass(frozen=True)
class Choice:
    """One of some values, of any kind that YAML has."""

    values: tuple[Any, ...]

    @property
    def probes(self) -> tuple[Any, ...]:
        """Every value."""
        return self.values

    def suggest(self, trial: Trial, name: str) -> Any:
        """Ask Optuna; a list goes in as text, because Optuna keeps scalars only."""
        labels = {value if _is_scalar(value) else json.dumps(value): value for value in self.values}
        return labels[trial.suggest_categorical(name, tuple(labels))]


@dataclass(frozen=True)
class Range:
    """A range of numbers, both ends included."""

    low: float
    high: float
    log: bool = False
    integer: bool = False

    @property
    def probes(self) -> tuple[Any, ...]:
        """Both ends."""
        return (self.low, self.high)

    def suggest(self, trial: Trial, name: str) -> Any:
        """Ask Optuna."""
        if self.integer:
            return trial.suggest_int(name, int(self.low), int(self.high), log=self.log)
        return trial.suggest_float(name, self.low, self.high, log=self.log)


KINDS = ("choice", "uniform", "log_uniform", "int_uniform", "log_int_uniform")


@dataclass(frozen=True)
class Searched:
    """A searched parameter: its distribution, and the condition under which it counts.

    Attributes:
        key: Full key path, such as ``model.attention.n_head``.
        distribution: What it is drawn from.
        when: Key paths and the values of them under which this parameter exists; its default holds otherwise.
    """

    key: str
    distribution: Distribution
    when: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)


def parse(kind: str, value: Any) -> Distribution:
    """The distribution that a YAML leaf describes.

    Raises:
        ValueError: With what is wrong and what is allowed.
    """
    if not isinstance(value, list) or not value:
        raise ValueError(f"{value!r} given; needs a list that is not empty")
    if kind == "choice":
        return _choice(value)
    return _range(value, log=kind.startswith("log_"), integer="int_" in kind)


def _choice(values: Sequence[Any]) -> Choice:
    if len({json.dumps(value) for value in values}) < len(values):
        raise ValueError(f"{values!r} given; each value may stand there once")
    return Choice(tuple(values))


def _range(bounds: Sequence[Any], *, log: bool, integer: bool) -> Range:
    try:
        low, high = (float(bound) for bound in bounds)
    except (TypeError, ValueError):
        raise ValueError(f"{bounds!r} given; needs two numbers [low, high]") from None
    if low > high:
        raise ValueError(f"{bounds!r} given; low may not be above high")
    if log and low <= 0:
        raise ValueError(f"{bounds!r} given; a logarithmic range needs low above 0")
    if integer and not (low.is_integer() and high.is_integer()):
        raise ValueError(f"{bounds!r} given; needs two whole numbers")
    return Range(int(low), int(high), log, True) if integer else Range(low, high, log)


def _is_scalar(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | str)
