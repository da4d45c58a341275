"""The extreme models of a space: the smallest, the largest, those of the least and the highest rate."""

from collections.abc import Mapping
from typing import Any

from ndvq_tune.config import RunConfig
from ndvq_tune.search.resources.preflight import MEMORY, Preflight
from ndvq_tune.search.space import SearchSpace


def extreme(space: SearchSpace, preflight: Preflight, metric: str, sign: int) -> tuple[dict[str, Any], RunConfig]:
    """The values for which a metric is least or greatest, and a configuration that has them.

    Found one parameter after the other, which is exact where they do not work against each other, as in sizes and
    rates.

    Args:
        space: The space.
        preflight: Tells the metrics of a configuration.
        metric: ``MEMORY``, or a metric that the configuration alone decides, such as ``parameters``.
        sign: 1 for the least, -1 for the greatest.

    Returns:
        The values by key path, without parameters that change nothing; and the configuration, in which each of those
        has its first value.
    """
    chosen: dict[str, Any] = {}
    for parameter in space.searched:
        if not space.active(parameter, _point(space, chosen)):
            continue
        values = parameter.distribution.probes
        configs = [space.complete(_point(space, chosen | {parameter.key: value})) for value in values]
        measured = [sign * _measured(preflight, config, metric) for config in configs]
        if min(measured) < max(measured):
            chosen[parameter.key] = values[measured.index(min(measured))]
    return chosen, space.complete(_point(space, chosen))


def _point(space: SearchSpace, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """A point of the space with chosen values, and the first of every other parameter that counts then."""
    point: dict[str, Any] = {}
    for parameter in space.searched:
        if space.active(parameter, point):
            point[parameter.key] = chosen.get(parameter.key, parameter.distribution.probes[0])
    return point


def _measured(preflight: Preflight, config: RunConfig, metric: str) -> float:
    """A metric of a configuration, or 0 where it cannot be trained."""
    if metric == MEMORY:
        predicted = preflight.predict(config)
        return 0.0 if isinstance(predicted, str) else float(predicted.memory_bytes)
    metrics = preflight.static(config)
    return 0.0 if isinstance(metrics, str) else metrics[metric]
