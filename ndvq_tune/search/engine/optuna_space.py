"""A search space in Optuna's terms."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optuna import Trial
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from ndvq_tune.config import RunConfig
from ndvq_tune.distributions import Choice, Distribution, Range
from ndvq_tune.search.space import SearchSpace


@dataclass(frozen=True)
class Draft:
    """A point that Optuna proposes, not a trial of the search yet.

    Attributes:
        trial: Optuna's trial.
        params: What was chosen, by full key path.
        config: The complete run configuration.
    """

    trial: Trial
    params: Mapping[str, Any]
    config: RunConfig


def optuna_distribution(distribution: Distribution) -> BaseDistribution:
    """What Optuna calls a distribution."""
    match distribution:
        case Choice():
            return CategoricalDistribution(tuple(distribution.labels))
        case Range(low, high, log, integer=True):
            return IntDistribution(int(low), int(high), log=log)
        case Range(low, high, log):
            return FloatDistribution(low, high, log=log)


def suggest(space: SearchSpace, trial: Trial) -> Draft:
    """One point of a space, of which Optuna chooses the values."""
    chosen: dict[str, Any] = {}
    for parameter in space.searched:
        if space.active(parameter, chosen):
            chosen[parameter.key] = suggest_value(trial, parameter.key, parameter.distribution)
    return Draft(trial, chosen, space.complete(chosen))


def suggest_value(trial: Trial, name: str, distribution: Distribution) -> Any:
    """One value, as the space has it; Optuna keeps its text where it is a list.

    Args:
        trial: Optuna's trial, which chooses.
        name: The parameter's key path, such as ``model.n_codes``.
        distribution: Its values.
    """
    match distribution:
        case Choice():
            return distribution.labels[trial.suggest_categorical(name, tuple(distribution.labels))]
        case Range(low, high, log, integer=True):
            return trial.suggest_int(name, int(low), int(high), log=log)
        case Range(low, high, log):
            return trial.suggest_float(name, low, high, log=log)
