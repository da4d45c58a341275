"""A narrower space around what worked, with the evidence for each change. Pure functions.

A few trials say little, so each change has to be more than chance: a range keeps the interval in which its best values
may well come from, a choice goes only if it was tried often enough to have shown, and where the best lie at the edge of
a range the space moves on.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from ndvq_tune.config import RunConfig
from ndvq_tune.distributions import Choice, Distribution, Range, Searched
from ndvq_tune.judgement.comparison import best_share, measured
from ndvq_tune.judgement.ranges import around
from ndvq_tune.problems import validate
from ndvq_tune.records import Role, TrialRecord, TrialState, short_name, short_value
from ndvq_tune.search.space import SearchSpace
from ndvq_tune.yaml_file import flatten, with_values

FEWEST_TRIALS = 8
_FEWEST_VALUES = 3  # of a parameter among the best; and tries of a choice before it may go
_CHANCE = 0.25  # of losing a choice that is as good as the others


@dataclass(frozen=True)
class Change:
    """One change to a space.

    Attributes:
        key: The parameter's full key path.
        leaf: What the YAML says of it from now on: a value or a distribution; None if it goes.
        reason: Why, with the evidence.
    """

    key: str
    leaf: Any
    reason: str


@dataclass(frozen=True)
class _Evidence:
    """Values of one parameter, in the trials where it counts.

    Attributes:
        tried: In all of them.
        best: In the best of them.
    """

    tried: Sequence[Any]
    best: Sequence[Any]

    @property
    def words(self) -> str:
        """Such as ``the best 6 of 24 trials``."""
        return f"the best {len(self.best)} of {len(self.tried)} trials"

    def tries(self, value: Any) -> int:
        """How often a value was tried."""
        return sum(tried == value for tried in self.tried)

    def chance_of_none(self, value: Any) -> float:
        """Probability that a value is not among the best although it is as good as the others (hypergeometric)."""
        others = len(self.tried) - self.tries(value)
        return math.comb(others, len(self.best)) / math.comb(len(self.tried), len(self.best))


def narrowed(space: SearchSpace, trials: Sequence[TrialRecord], keep: float = 0.25) -> list[Change]:
    """Changes that make a space narrower around its best trials.

    Args:
        space: The space.
        trials: Its finished trials.
        keep: Share of the trials that are the best, at least 4. With several objectives these are whole fronts of
            non-dominated trials, so there may be more.

    Raises:
        ValueError: If fewer than 8 trials have numbers that can be compared.
    """
    tried = [t for t in trials if t.state in (TrialState.COMPLETED, TrialState.PRUNED) and t.role is not Role.CONFIRM]
    best = _best(tried, space, keep)
    defaults = flatten(space.complete({}).to_dict())
    left: dict[str, tuple[Any, ...]] = {}  # what a parameter of few values can still be
    changes: list[Change] = []
    for parameter in space.searched:
        key, default = parameter.key, defaults[parameter.key]
        when, lost = _conditions(parameter, left)
        if lost:
            changes.append(Change(key, None, f"gone: it counts only where {lost}"))
            left[key] = (default,)
            continue
        evidence = _Evidence(_values(tried, key), _values(best, key))
        distribution, reason = _narrower(parameter, evidence, space)
        if isinstance(distribution, Choice):
            left[key] = (*distribution.values, default) if when else distribution.values
        if when != parameter.when:
            reason = "; ".join(filter(None, [reason, "the condition follows what it depends on"]))
        if reason:
            changes.append(Change(key, replace(parameter.over(distribution), when=when).leaf, reason))
    return changes


def refined(space: SearchSpace, changes: Sequence[Change]) -> dict[str, Any]:
    """The content of the file of the narrower space; without first points, since they have been tried."""
    content = with_values(space.source, {change.key: change.leaf for change in changes if change.leaf is not None})
    if space.search.first:
        _drop(content, ["search", "first"])
    for change in changes:
        if change.leaf is None:
            _drop(content, change.key.split("."))
    return content | {"name": f"{space.name}-refined"}


def _best(tried: Sequence[TrialRecord], space: SearchSpace, keep: float) -> list[TrialRecord]:
    goals = space.search.goals
    comparable = [trial for trial in tried if measured(trial, goals)]
    if len(comparable) < FEWEST_TRIALS:
        raise ValueError(f"{len(comparable)} finished trials that can be compared; needs at least {FEWEST_TRIALS}")
    return best_share(comparable, goals, keep)


def _values(trials: Sequence[TrialRecord], key: str) -> list[Any]:
    return [trial.params[key] for trial in trials if key in trial.params]


def _conditions(parameter: Searched, left: Mapping[str, Sequence[Any]]) -> tuple[dict[str, tuple[Any, ...]], str]:
    """What remains of a condition, and which part of it can no longer hold."""
    when: dict[str, tuple[Any, ...]] = {}
    for key, allowed in parameter.when.items():
        possible = left.get(key)
        if possible is None:
            when[key] = allowed
        elif not (kept := tuple(value for value in allowed if value in possible)):
            return {}, f"{short_name(key)} is {' or '.join(map(short_value, allowed))}"
        elif not all(value in allowed for value in possible):
            when[key] = kept
    return when, ""


def _narrower(parameter: Searched, evidence: _Evidence, space: SearchSpace) -> tuple[Distribution, str]:
    """A distribution that the evidence supports, and the reason; no reason where it is the old one."""
    distribution = parameter.distribution
    if len(evidence.best) < _FEWEST_VALUES:
        return distribution, ""
    if isinstance(distribution, Choice):
        return _fewer(distribution, evidence)
    if isinstance(distribution, Range) and distribution.low < distribution.high:
        return around(distribution, evidence.best, evidence.words, partial(_valid, space, parameter.key))
    return distribution, ""


def _fewer(choice: Choice, evidence: _Evidence) -> tuple[Choice, str]:
    dropped = [
        value
        for value in choice.values
        if value not in evidence.best
        and evidence.tries(value) >= _FEWEST_VALUES
        and evidence.chance_of_none(value) <= _CHANCE
    ]
    left = tuple(value for value in choice.values if value not in dropped)
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in choice.values)
    if numbers:  # what lies between good ones is likely to be good
        left = tuple(value for value in choice.values if min(left) <= value <= max(left))
    if left == choice.values:
        return choice, ""
    if len(left) > 1:
        words = ", ".join(
            f"{short_value(value)} ({evidence.tries(value)} tries)" for value in choice.values if value not in left
        )
        return Choice(left), f"dropped {words}: never among {evidence.words}"
    ends = {min(choice.values): "smaller", max(choice.values): "larger"} if numbers else {}
    hint = f"; {ends[left[0]]} ones were not tried and may be better still" if left[0] in ends else ""
    return Choice(left), f"fixed: all of {evidence.words} use {short_value(left[0])}{hint}"


def _valid(space: SearchSpace, key: str, value: float) -> bool:
    """Whether a setting may have a value, with any of those that the other parameters have."""
    first = {parameter.key: parameter.distribution.probes[0] for parameter in space.searched}
    return not validate(RunConfig, with_values(space.fixed, first | {key: value}))[1]


def _drop(tree: dict[str, Any], path: Sequence[str]) -> None:
    """Take out a leaf, and sections that are empty then."""
    name, *rest = path
    if rest:
        _drop(tree[name], rest)
    if not rest or not tree[name]:
        del tree[name]
