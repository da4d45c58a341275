"""Whether the best trials crowd at the edge of what could be chosen."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from ndvq_tune.config import RunConfig
from ndvq_tune.diagnosis.case import Case, allows, chance
from ndvq_tune.diagnosis.finding import Change, Confidence, Evidence, Finding
from ndvq_tune.distributions import Choice, Range, Searched
from ndvq_tune.judgement.ranges import beyond, edge
from ndvq_tune.records import TrialRecord, short_name

LUCK = 0.01
"""Probability that as many of the best lie at an edge although it does not matter: with some ten parameters of two
edges each, one search in five still has such luck, and one in fifty that of ``SURE``."""
SURE = 0.001
_FEWEST = 4  # of the best trials that have the parameter

_MEANING = {
    ("model.ema_decay", -1): "codes follow too slowly: a faster decay is better",
    ("model.ema_decay", 1): "codes follow too fast: a slower decay is better",
    ("model.codebook_beta", -1): "commitment is too strong",
    ("model.codebook_beta", 1): "commitment is too weak",
    ("training.learning_rate", -1): "the learning rate is too high",
    ("training.learning_rate", 1): "training is slow: the learning rate is too low",
    ("model.downsample", -1): "detail is worth its bits: try a finer grid",
    ("model.downsample", 1): "a coarser grid costs less and is as good",
}
"""What it means that the best crowd at the lower or upper edge, where a parameter has a plain meaning."""


def at_edge(case: Case) -> Iterator[Finding]:
    """Each parameter whose best values lie at an end of what it could be."""
    for parameter in case.asked.searched:
        tried = [trial for trial in case.tried if parameter.key in trial.params]
        best = [trial for trial in case.best if parameter.key in trial.params]
        side = _side_of(parameter)
        for which in (-1, 1):
            found = _found(parameter, which, side, tried, best)
            if found is not None:
                yield found


def _found(
    parameter: Searched,
    which: int,
    side: Callable[[Any], int],
    tried: Sequence[TrialRecord],
    best: Sequence[TrialRecord],
) -> Finding | None:
    crowd, among = ([t for t in trials if side(t.params[parameter.key]) == which] for trials in (best, tried))
    if len(best) < _FEWEST or 2 * len(crowd) <= len(best):
        return None
    luck = chance(len(crowd), len(best), len(among), len(tried))
    if luck > LUCK:
        return None
    name, end = short_name(parameter.key), "lower" if which < 0 else "upper"
    wider = _wider(parameter, which, best[0].config)
    return Finding(
        "at_edge",
        f"{len(crowd)} of the best {len(best)} trials have {name} at the {end} end of what was tried",
        Evidence(f"probability that this is chance ({parameter.key})", luck, LUCK),
        Confidence.HIGH if luck <= SURE else Confidence.MEDIUM,
        _MEANING.get((parameter.key, which), f"{'smaller' if which < 0 else 'larger'} values may be better still"),
        Change({parameter.key: wider.leaf}) if wider != parameter else None,
    )


def _side_of(parameter: Searched) -> Callable[[Any], int]:
    """At which edge a value of the parameter lies; at none where values have no order."""
    values = parameter.distribution
    if isinstance(values, Range):
        return (lambda value: edge(values, value)) if values.low < values.high else lambda value: 0
    if len(values.values) < 2 or not all(map(_ordered, values.values)):
        return lambda value: 0
    sizes = [_size(value) for value in values.values]
    return lambda value: -1 if _size(value) == min(sizes) else 1 if _size(value) == max(sizes) else 0


def _wider(parameter: Searched, which: int, config: RunConfig) -> Searched:
    """The parameter with room beyond an edge; as it was where nothing beyond is allowed."""
    old = parameter.distribution
    if isinstance(old, Range):
        end = beyond(old, which, lambda value: allows(config, {parameter.key: value}))
        wider = replace(old, low=end) if which < 0 else replace(old, high=end)
        return parameter.over(wider)
    extreme = (min if which < 0 else max)(old.values, key=_size)
    further = _further(extreme, which)
    if further == extreme or not allows(config, {parameter.key: further}) or not _fits(parameter.key, further, config):
        return parameter
    values = (further, *old.values) if which < 0 else (*old.values, further)
    return parameter.over(Choice(values))


def _further(value: Any, which: int) -> Any:
    """Half or double; of a list, the factors that are the largest are halved, the smallest doubled."""
    if isinstance(value, list):
        extreme = max(value) if which < 0 else min(value)
        return [_further(factor, which) if factor == extreme else factor for factor in value]
    if isinstance(value, int):
        return max(1, value // 2) if which < 0 else 2 * value
    return value / 2 if which < 0 else 2 * value


def _fits(key: str, value: Any, config: RunConfig) -> bool:
    """Whether samples can be cut into as many positions."""
    shape = config.data.sample_shape
    if key != "model.downsample" or shape is None:
        return key != "model.downsample"
    return all(side % factor == 0 for side, factor in zip(shape[1:], value, strict=True))


def _ordered(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_ordered, value))
    return isinstance(value, int | float) and not isinstance(value, bool)


def _size(value: Any) -> float:
    return math.prod(value) if isinstance(value, list) else value
