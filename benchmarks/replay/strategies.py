"""All strategies by name: the rows of the tables."""

from collections.abc import Callable, Mapping
from functools import partial

from benchmarks.replay import syne
from benchmarks.replay.baselines import OneEpochThenBest, PlainOptuna, RandomSearch, gaussian_process
from benchmarks.replay.ours import Ours
from benchmarks.replay.simulator import Strategy
from benchmarks.replay.stock import StockRay
from benchmarks.replay.task import Task

Build = Callable[[Task], Strategy]

RANDOM, STOCK, OURS, ONE_EPOCH = "random", "Ray OptunaSearch + ASHA", "ours", "one epoch"
TOLD = ", told the budget"
FIRST_EPOCHS = (20, 40, 80, 160, 320)

BASELINES: Mapping[str, Build] = {
    RANDOM: RandomSearch,
    **{f"{ONE_EPOCH} of {n}, then best": partial(OneEpochThenBest, points=n) for n in FIRST_EPOCHS},
    "Optuna TPE": PlainOptuna,
    "Optuna GP": partial(PlainOptuna, sampler=gaussian_process),
    STOCK: StockRay,
    **{f"Syne Tune {name}": partial(syne.SyneTune, name=name) for name in syne.SCHEDULERS if syne.INSTALLED},
}
_SETTINGS = {
    "random sampler": "search.sampler.type=random",
    "no scheduler": "search.scheduler={type: none}",
    "median": "search.scheduler={type: median, grace_period: 1}",
    "hyperband": "search.scheduler={type: hyperband, grace_period: 1}",
    "no rules": "search.stop={plateau: null, collapse: null}",
    **{f"reduction {n}": f"search.scheduler.reduction_factor={n}" for n in (2, 3, 4)},
    **{f"grace {n}": f"search.scheduler.grace_period={n}" for n in (1, 2, 3)},
    **{f"random fraction {x}": f"search.sampler.random_fraction={x}" for x in (0, 0.25, 0.33, 0.5)},
    **{f"startup {n}": f"search.sampler.startup_trials={n}" for n in (4, 16, 32)},
}
VARIANTS: Mapping[str, Build] = {
    f"{OURS}: no pre-flight": partial(Ours, preflight=False),
    f"{OURS}: curves": partial(Ours, settings=("search.sampler={type: curves}", "search.scheduler={type: promote}")),
    **{f"{OURS}: {name}": partial(Ours, settings=(setting,)) for name, setting in _SETTINGS.items()},
}
STRATEGIES: Mapping[str, Build] = {**BASELINES, OURS: Ours, **VARIANTS}


def is_told(name: str) -> bool:
    """Whether a row is that of a baseline which is told the bit budget."""
    return name.endswith(TOLD)


def build(name: str, task: Task) -> Strategy:
    """The strategy of that name."""
    return STRATEGIES[name.removesuffix(TOLD)](task)
