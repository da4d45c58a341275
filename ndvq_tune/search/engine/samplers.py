"""Who proposes the next point of the space: Optuna's samplers behind a table of names.

A sampler is anything with Optuna's ``BaseSampler`` interface, made from the settings and a seed. The study asks it for
every point after the startup trials, and tells it of every trial that ends; see ``study.Study.propose``. Its name is
one of those in ``space/settings/sampler.py``; ``SAMPLERS`` is where it is registered.
"""

import random
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, NSGAIISampler, QMCSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial

from ndvq_tune.distributions import Choice, Range, label
from ndvq_tune.search.engine.preference import beliefs, fading, preferred
from ndvq_tune.search.space import SearchSpace
from ndvq_tune.search.space.settings import SearchSettings
from ndvq_tune.search.space.settings.sampler import CURVES, GRID

TPE_CANDIDATES = 24


def _tpe(settings: SearchSettings, seed: int) -> TPESampler:
    """TPE as it found good models soonest in the replay of ``benchmarks.search``.

    It takes parameters one by one, not all together. With one objective it takes the best of many draws from where good
    trials lie. With several it takes the first: the best of many crowd one part of the front.
    """
    candidates = TPE_CANDIDATES if len(settings.objectives) == 1 else 1
    return TPESampler(seed=seed, n_startup_trials=0, multivariate=False, n_ei_candidates=candidates)


# Startup trials are drawn by us, so no sampler needs to draw any.
SAMPLERS: dict[str, Callable[[SearchSettings, int], BaseSampler]] = {
    "tpe": _tpe,
    "gp": lambda settings, seed: GPSampler(seed=seed, n_startup_trials=1, warn_independent_sampling=False),
    "cmaes": lambda settings, seed: CmaEsSampler(seed=seed, n_startup_trials=1, warn_independent_sampling=False),
    "nsga2": lambda settings, seed: NSGAIISampler(seed=seed, population_size=max(2, settings.sampler.startup_trials)),
    "qmc": lambda settings, seed: QMCSampler(seed=seed, scramble=True, warn_independent_sampling=False),
    # Every point of these is given or drawn blindly: see grid(), curves.proposal and Blind.
    "random": lambda settings, seed: RandomSampler(seed=seed),
    GRID: lambda settings, seed: RandomSampler(seed=seed),
    CURVES: lambda settings, seed: RandomSampler(seed=seed),
}
"""What makes the sampler of each name."""


class Blind(RandomSampler):
    """Draws at random; of parameters with a preference, values near it more often, and less so with more trials.

    Args:
        space: The space.
        seed: Of its draws.
        tried: Tells how many trials there are to learn from.
    """

    def __init__(self, space: SearchSpace, seed: int, tried: Callable[[], int]) -> None:
        super().__init__(seed)
        self._believed = beliefs(space.searched)
        self._startup, self._tried = space.search.sampler.startup_trials, tried
        self._random = random.Random(seed)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A value of one parameter.

        Args:
            study: Optuna's study.
            trial: The trial that it is for.
            param_name: The parameter's key path.
            param_distribution: Its values, in Optuna's terms.

        Returns:
            The value, as Optuna keeps it.
        """
        if param_name not in self._believed:
            return super().sample_independent(study, trial, param_name, param_distribution)
        power = fading(self._tried(), self._startup)
        return label(preferred(self._believed[param_name], power, self._random))


def sampler(settings: SearchSettings, earlier: int) -> BaseSampler:
    """The sampler that learns.

    Args:
        settings: Settings of the search.
        earlier: Points that were proposed in earlier sessions. A resumed search must not draw them again.
    """
    name = settings.sampler.type
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # of whoever chose the sampler, nobody is surprised
        return SAMPLERS[name](settings, _seed(settings, earlier, name))


def samplers(space: SearchSpace, earlier: int, tried: Callable[[], int]) -> tuple[BaseSampler, BaseSampler]:
    """The sampler of the first trials and of those that are drawn blindly later on, and the one that learns.

    Args:
        space: The space.
        earlier: As for ``sampler``.
        tried: Tells how many trials there are to learn from.
    """
    settings, name = space.search, space.search.sampler.type
    if name == "qmc":
        learning = sampler(settings, earlier)
        return learning, learning
    blind = Blind(space, _seed(settings, earlier, "startup"), tried)
    return blind, blind if name == "random" else sampler(settings, earlier)


def _seed(settings: SearchSettings, begun: int, use: str) -> int:
    """One seed for each use: equal ones would draw the same points."""
    return random.Random(f"{settings.seed}/{begun}/{use}").getrandbits(32)


def grid(space: SearchSpace) -> list[dict[str, Any]]:
    """Every point of a space of choices and whole numbers once, in random order, the same for the same seed."""
    points = list(_points(space, {}))
    random.Random(space.search.seed).shuffle(points)
    return points


def _points(space: SearchSpace, chosen: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """All points that begin with what is chosen already."""
    rest = [parameter for parameter in space.searched if parameter.key not in chosen]
    waiting = next((parameter for parameter in rest if space.active(parameter, chosen)), None)
    if waiting is None:
        yield dict(chosen)
        return
    for value in _values(waiting.distribution):
        yield from _points(space, {**chosen, waiting.key: value})


def _values(distribution: Any) -> tuple[Any, ...]:
    match distribution:
        case Choice(values):
            return values
        case Range(low, high, integer=True):
            return tuple(range(int(low), int(high) + 1))
        case _:
            raise TypeError(f"{distribution} has no end of values")
