"""What takes the place of training, by name: surrogates of a recorded table, or the table itself."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np

from benchmarks.replay.encoding import Params
from benchmarks.replay.lookup import Lookup
from benchmarks.replay.surrogate import MODELS, Surrogate
from benchmarks.replay.table import Curve, load_curves, load_space, noise_of
from benchmarks.replay.task import Task, front

TABLE = "table"
BEDS = (*MODELS, TABLE)
SHARE = 0.8  # of the table, that a surrogate learns from: another one each seed, so that the best varies
DRAWS, DRAWS_SEED = 2500, 0  # random configurations, of which the best is the goal


@dataclass(frozen=True)
class Bed:
    """What strategies run on.

    Attributes:
        train: The curve of a configuration.
        reference: Curves of which the best is the goal.
    """

    train: Callable[[Params], Curve]
    reference: Sequence[Curve]


@lru_cache(maxsize=1)  # strategies of one seed follow each other
def bed_of(name: str, data: str, seed: int) -> Bed:
    """The bed of a seed: the same whenever it is made."""
    if name == TABLE:
        return _table(data)
    curves = load_curves(data)
    order = np.random.default_rng(seed).permutation(len(curves))
    learned = [curves[index] for index in order[: round(SHARE * len(curves))]]
    surrogate = Surrogate(load_space(data), learned, MODELS[name], noise_of(data))
    return Bed(surrogate, surrogate.expected(_draws(data)))


@cache
def _table(data: str) -> Bed:
    curves = load_curves(data)
    return Bed(Lookup(load_space(data), curves), curves)


@cache
def _draws(data: str) -> list[Params]:
    points = Task(front(data), DRAWS_SEED).random_points()
    return [params for _, params in itertools.islice(points, DRAWS)]
