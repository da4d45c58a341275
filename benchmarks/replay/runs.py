"""Runs of all strategies, many seeds each, on all cores."""

import logging
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import optuna

from benchmarks.replay.beds import bed_of
from benchmarks.replay.outcome import GAPS, Progress, gap_in_hypervolume, gap_in_loss
from benchmarks.replay.simulator import Clock, simulate
from benchmarks.replay.strategies import TOLD, build, is_told
from benchmarks.replay.task import Scenario, Task


@dataclass(frozen=True)
class Conditions:
    """What runs that are compared have in common.

    Attributes:
        bed: Name of what takes the place of training.
        scenario: What is searched for.
        lanes: Trainings that run at once.
        budget: Simulated seconds of a run.
    """

    bed: str
    scenario: Scenario
    lanes: int
    budget: float


@dataclass(frozen=True)
class Run:
    """One strategy, one seed.

    Attributes:
        strategy: Name of the strategy, with whether it is told the budget.
        seed: The seed.
        progress: How the gap to the best of the bed closed.
        trials: Trials that reported.
        epochs: Reports of all trials.
    """

    strategy: str
    seed: int
    progress: Progress
    trials: int
    epochs: int

    def row(self, conditions: Conditions) -> dict[str, Any]:
        """The run's figures: seconds to within so many percent, null if never, and gaps at so many of the budget."""
        times = {f"to{gap:.0%}"[:-1]: self.progress.reached(gap) for gap in GAPS}
        gaps = {f"gap{share:.0%}"[:-1]: self.progress.at(share * conditions.budget) for share in (0.25, 1.0)}
        return {
            "strategy": self.strategy.removesuffix(TOLD),
            "told": is_told(self.strategy),
            "bed": conditions.bed,
            "data": conditions.scenario.data,
            "task": conditions.scenario.name,
            "seed": self.seed,
            **{name: value if math.isfinite(value) else None for name, value in {**times, **gaps}.items()},
        }


Job = tuple[Conditions, str, int]


def run_all(jobs: Sequence[Job], processes: int) -> Iterator[Run]:
    """The runs, in the order of the jobs; each depends on its job alone, and those of one seed share their bed."""
    if processes == 1:
        yield from map(run, jobs)
    else:
        together = max(Counter(seed for _, _, seed in jobs).values())
        with ProcessPoolExecutor(processes) as pool:
            yield from pool.map(run, jobs, chunksize=together)


def run(job: Job) -> Run:
    """Run one strategy from one seed."""
    conditions, name, seed = job
    _quiet()
    scenario, clock = conditions.scenario, Clock()
    bed = bed_of(conditions.bed, scenario.data, seed)
    strategy = build(name, Task(scenario, seed, clock, is_told(name)))
    events = simulate(strategy, bed.train, clock, lanes=conditions.lanes, budget=conditions.budget)
    if scenario.constrained:
        progress = gap_in_loss(events, bed.reference, scenario.max_bits)
    else:
        progress = gap_in_hypervolume(events, bed.reference)
    return Run(name, seed, progress, len({event.number for event in events}), len(events))


def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    logging.getLogger("ray").setLevel(logging.ERROR)
