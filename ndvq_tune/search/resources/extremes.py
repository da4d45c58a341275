"""The extreme models of a space: the smallest, the largest, those of the least and the highest rate."""

from typing import Any

from ndvq_tune.config import RunConfig
from ndvq_tune.search.resources.preflight import MEMORY, Preflight
from ndvq_tune.search.space import SearchSpace


def extreme(space: SearchSpace, preflight: Preflight, metric: str, sign: int) -> dict[str, Any]:
    """The values for which a metric is least (``sign`` 1) or greatest (-1), found one parameter after the other.

    That is exact where parameters do not work against each other, as in sizes and rates. Parameters that change
    nothing are left out.
    """
    chosen: dict[str, Any] = {}
    for parameter in space.searched:
        if not space.active(parameter, chosen):
            continue
        values = parameter.distribution.probes
        configs = [space.complete(chosen | {parameter.key: value}) for value in values]
        measured = [sign * _measured(preflight, config, metric) for config in configs]
        if min(measured) < max(measured):
            chosen[parameter.key] = values[measured.index(min(measured))]
    return chosen


def _measured(preflight: Preflight, config: RunConfig, metric: str) -> float:
    """A metric of a configuration, or 0 where it cannot be trained."""
    if metric == MEMORY:
        predicted = preflight.predict(config)
        return 0.0 if isinstance(predicted, str) else float(predicted.memory_bytes)
    metrics = preflight.static(config)
    return 0.0 if isinstance(metrics, str) else metrics[metric]
