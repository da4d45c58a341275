"""Runs of all strategies, many seeds each, on all cores."""

import logging
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import optuna

from benchmarks.replay.lookup import Lookup
from benchmarks.replay.outcome import Progress, gap_in_hypervolume, gap_in_loss
from benchmarks.replay.simulator import Clock, simulate
from benchmarks.replay.strategies import build, knows_budget
from benchmarks.replay.table import Curve, load_curves, load_space
from benchmarks.replay.task import Scenario, Task


@dataclass(frozen=True)
class Conditions:
    """What all runs have in common.

    Attributes:
        table: File of the recorded curves.
        lanes: Trainings that run at once.
        budget: Simulated seconds of a run.
    """

    table: Path
    lanes: int
    budget: float


@dataclass(frozen=True)
class Run:
    """One strategy, one seed.

    Attributes:
        scenario: Name of the scenario.
        strategy: Name of the strategy.
        seed: The seed.
        progress: How the gap to the best of the table closed.
        trials: Trials that reported.
        epochs: Reports of all trials.
    """

    scenario: str
    strategy: str
    seed: int
    progress: Progress
    trials: int
    epochs: int


Job = tuple[Conditions, Scenario, str, int]


def run_all(jobs: Sequence[Job], processes: int) -> Iterator[Run]:
    """The runs, in the order of the jobs; each depends on its job alone."""
    if processes == 1:
        yield from map(run, jobs)
    else:
        with ProcessPoolExecutor(processes) as pool:
            yield from pool.map(run, jobs, chunksize=1)


def run(job: Job) -> Run:
    """Replay one strategy from one seed."""
    conditions, scenario, name, seed = job
    _quiet()
    curves, lookup = _table(conditions.table)
    clock = Clock()
    task = Task(scenario, seed, clock, knows_budget(name))
    events = simulate(build(name, task), lookup, clock, lanes=conditions.lanes, budget=conditions.budget)
    if math.isfinite(scenario.max_bits):
        progress = gap_in_loss(events, curves, scenario.max_bits)
    else:
        progress = gap_in_hypervolume(events, curves)
    return Run(scenario.name, name, seed, progress, len({event.number for event in events}), len(events))


@cache
def _table(path: Path) -> tuple[tuple[Curve, ...], Lookup]:
    curves = load_curves(path)
    return curves, Lookup(load_space(), curves)


def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    logging.getLogger("ray").setLevel(logging.ERROR)
