"""What a parameter of a search is drawn from."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class Choice:
    """One of some values, of any kind that YAML has."""

    values: tuple[Any, ...]

    @property
    def probes(self) -> tuple[Any, ...]:
        """Values whose validity means that every value is valid: here all of them."""
        return self.values

    @property
    def labels(self) -> dict[Any, Any]:
        """Each value by its label, as Optuna keeps it."""
        return {label(value): value for value in self.values}

    def __contains__(self, value: Any) -> bool:
        return any(type(value) is type(other) and value == other for other in self.values)

    def __str__(self) -> str:
        return f"one of {', '.join(map(str, self.values))}"


@dataclass(frozen=True)
class Range:
    """A range of numbers, both ends included.

    Attributes:
        low: The least.
        high: The greatest.
        log: Whether values are drawn evenly by their logarithm.
        integer: Whether only whole numbers are drawn.
    """

    low: float
    high: float
    log: bool = False
    integer: bool = False

    @property
    def probes(self) -> tuple[Any, ...]:
        """Values whose validity means that every value is valid.

        Both ends; and a fraction between them, which a setting of whole numbers refuses.
        """
        if self.integer or self.low == self.high:
            return (self.low, self.high)
        return (self.low, self.high, self.low + (self.high - self.low) / math.pi)

    def place(self, value: float) -> float:
        """Where a value lies between the ends: 0 at the lower, 1 at the upper; halfway if they are one."""
        if self.low == self.high:
            return 0.5
        scale = math.log if self.log else float
        return (scale(value) - scale(self.low)) / (scale(self.high) - scale(self.low))

    def at(self, place: float) -> float:
        """The value at a place between the ends, or the nearest that the range has.

        Example:
            >>> Range(0.001, 0.1, log=True).at(0.5), Range(1, 4, integer=True).at(0.6), Range(1, 4, integer=True).at(7)
            (0.01, 3, 4)
        """
        place = min(max(place, 0.0), 1.0)
        value = self.low * (self.high / self.low) ** place if self.log else self.low + place * (self.high - self.low)
        return round(value) if self.integer else min(max(value, self.low), self.high)

    def __contains__(self, value: Any) -> bool:
        kinds = (int,) if self.integer else (int, float)
        return isinstance(value, kinds) and not isinstance(value, bool) and self.low <= value <= self.high

    def __str__(self) -> str:
        return f"a {'whole ' if self.integer else ''}number from {self.low:g} to {self.high:g}"


Distribution = Choice | Range
KINDS = ("choice", "uniform", "log_uniform", "int_uniform", "log_int_uniform")
CONFIDENCES = ("low", "medium", "high")


@dataclass(frozen=True)
class Preference:
    """What is believed of a parameter before anything was tried.

    Attributes:
        value: The value that is believed to be best.
        confidence: How surely: ``low``, ``medium`` or ``high``.
    """

    value: Any
    confidence: str = "medium"


@dataclass(frozen=True)
class Searched:
    """A searched parameter: its distribution, and the condition under which it counts.

    Attributes:
        key: Full key path, such as ``model.attention.n_head``.
        distribution: What it is drawn from.
        when: Key paths and the values of them under which this parameter exists; its default holds otherwise.
        preference: What is believed of it beforehand.
    """

    key: str
    distribution: Distribution
    when: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    preference: Preference | None = None

    @property
    def leaf(self) -> Any:
        """What the YAML says of it: a distribution, or the value where there is only one.

        Example:
            >>> Searched("training.learning_rate", Range(0.001, 0.01, log=True)).leaf
            {'log_uniform': [0.001, 0.01]}
        """
        if isinstance(self.distribution, Range):
            kind = f"{'log_' * self.distribution.log}{'int_' * self.distribution.integer}uniform"
            leaf: dict[str, Any] = {kind: [self.distribution.low, self.distribution.high]}
        elif len(self.distribution.values) == 1 and not self.when:
            return self.distribution.values[0]
        else:
            leaf = {"choice": list(self.distribution.values)}
        conditions = {key: values[0] if len(values) == 1 else list(values) for key, values in self.when.items()}
        return leaf | self._preferred() | ({"when": conditions} if conditions else {})

    def over(self, distribution: Distribution) -> "Searched":
        """The same parameter with other values; a preference that is not among them is dropped."""
        kept = self.preference if self.preference and self.preference.value in distribution else None
        return replace(self, distribution=distribution, preference=kept)

    def _preferred(self) -> dict[str, Any]:
        if self.preference is None:
            return {}
        return {"prefer": self.preference.value, "confidence": self.preference.confidence}


def parse(kind: str, value: Any) -> Distribution:
    """The distribution that a YAML leaf describes.

    Args:
        kind: One of ``KINDS``.
        value: What stands there: a list of values for ``choice``, else ``[low, high]``.

    Raises:
        ValueError: With what is wrong and what is allowed.

    Example:
        >>> parse("log_int_uniform", [64, 1024])
        Range(low=64, high=1024, log=True, integer=True)
        >>> parse("choice", [[2, 4, 4], [4, 4, 4]]).values
        ([2, 4, 4], [4, 4, 4])
    """
    if not isinstance(value, list) or not value:
        raise ValueError(f"{value!r} given; needs a list that is not empty")
    if kind == "choice":
        return _choice(value)
    return _range(value, log=kind.startswith("log_"), integer="int_" in kind)


def preference(distribution: Distribution, leaf: Mapping[str, Any]) -> Preference | None:
    """What a YAML leaf says is believed of a parameter, under ``prefer`` and ``confidence``.

    Raises:
        ValueError: With what is wrong and what is allowed.

    Example:
        >>> preference(Choice((256, 512)), {"choice": [256, 512], "prefer": 512, "confidence": "high"})
        Preference(value=512, confidence='high')
    """
    if "prefer" not in leaf:
        if "confidence" in leaf:
            raise ValueError("confidence given without prefer; say which value is preferred")
        return None
    value, confidence = leaf["prefer"], leaf.get("confidence", Preference.confidence)
    if isinstance(distribution, Range) and isinstance(value, str):
        value = _number(value)
    if value not in distribution:
        raise ValueError(f"prefer: {value!r} given; needs {distribution}")
    if confidence not in CONFIDENCES:
        raise ValueError(f"confidence: {confidence!r} given; needs one of {', '.join(CONFIDENCES)}")
    return Preference(value, confidence)


def _choice(values: Sequence[Any]) -> Choice:
    try:
        labels = {label(value) for value in values}
    except TypeError:
        raise ValueError(f"{values!r} given; allowed are numbers, words, null, and lists of those") from None
    if len(labels) < len(values):
        raise ValueError(f"{values!r} given; each value may stand there once")
    return Choice(tuple(values))


def _number(text: str) -> float | str:
    """The number that a text is, which YAML makes of 1e-3; else the text."""
    try:
        return float(text)
    except ValueError:
        return text


def _range(bounds: Sequence[Any], *, log: bool, integer: bool) -> Range:
    try:
        low, high = (float(bound) for bound in bounds)
    except (TypeError, ValueError):
        raise ValueError(f"{bounds!r} given; needs two numbers [low, high]") from None
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"{bounds!r} given; needs two numbers [low, high], both finite")
    if low > high:
        raise ValueError(f"{bounds!r} given; low may not be above high")
    if log and low <= 0:
        raise ValueError(f"{bounds!r} given; a logarithmic range needs low above 0")
    if integer and not (low.is_integer() and high.is_integer()):
        raise ValueError(f"{bounds!r} given; needs two whole numbers")
    return Range(int(low), int(high), log, True) if integer else Range(low, high, log)


def label(value: Any) -> Any:
    """What Optuna keeps of a value: the value, or text in place of a list, because it keeps scalars only.

    Raises:
        TypeError: If it is of a kind that JSON does not have.

    Example:
        >>> label("axial"), label([2, 4, 4])
        ('axial', '[2, 4, 4]')
    """
    return value if value is None or isinstance(value, bool | int | float | str) else json.dumps(value)
