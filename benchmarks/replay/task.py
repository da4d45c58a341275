"""What a strategy is asked to do: a scenario, in one space, from one seed."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count

import optuna

from benchmarks.replay.encoding import Params, bits_of
from benchmarks.replay.simulator import Clock, Report
from benchmarks.replay.table import load_space
from ndvq_tune.search.engine.optuna_space import suggest
from ndvq_tune.search.space import SearchSpace

# About 40% of each space keeps it: enough that random search is no straw man, few enough that a budget matters.
MAX_BITS = {"video3d": 0.11, "image2d": 0.15, "signal1d": 1.2}
PENALTY = 1.0  # recon_loss of a model that predicts the mean: whatever breaks the budget is behind all that keeps it


@dataclass(frozen=True)
class Scenario:
    """What is searched for.

    Attributes:
        name: The task's.
        data: Name of the table, and so of the space.
        objectives: Metrics, each to be as low as possible.
        max_bits: What bits_per_element may be at most.
    """

    name: str
    data: str
    objectives: tuple[str, ...]
    max_bits: float = math.inf

    @property
    def overrides(self) -> tuple[str, ...]:
        """The scenario as settings of a search space."""
        objectives = ", ".join(f"{{metric: {metric}, mode: min}}" for metric in self.objectives)
        bound = f"{{metric: bits_per_element, at_most: {self.max_bits}}}" if self.constrained else ""
        return (f"search.objectives=[{objectives}]", f"search.constraints=[{bound}]", "search.trials=100000")

    @property
    def constrained(self) -> bool:
        """Whether there is a bit budget."""
        return math.isfinite(self.max_bits)

    def keeps(self, bits: float) -> bool:
        """Whether so many bits per element are within the budget."""
        return bits <= self.max_bits

    def costs(self, report: Report) -> list[float]:
        """The objectives."""
        return [report[metric] for metric in self.objectives]

    def penalised(self, report: Report) -> float:
        """The first objective, for those who know no constraints."""
        return report[self.objectives[0]] + (0.0 if self.keeps(report["bits_per_element"]) else PENALTY)


def budget(data: str) -> Scenario:
    """The lowest recon_loss within a bit budget."""
    return Scenario("budget", data, ("recon_loss",), MAX_BITS[data])


def front(data: str) -> Scenario:
    """The front of recon_loss and bits per element."""
    return Scenario("front", data, ("recon_loss", "bits_per_element"))


TASKS = {"budget": budget, "front": front}


@dataclass(frozen=True)
class Task:
    """A scenario for one strategy.

    Attributes:
        scenario: What is searched for.
        seed: Of everything random.
        clock: The simulated time.
        told: Whether the strategy is told the budget: what it proposes beyond it is rejected, and costs nothing.
    """

    scenario: Scenario
    seed: int
    clock: Clock = field(default_factory=Clock)
    told: bool = False

    @cached_property
    def space(self) -> SearchSpace:
        """The space, with the scenario's goals."""
        return self.space_with()

    def space_with(self, *overrides: str) -> SearchSpace:
        """The space with other settings of the search."""
        return load_space(self.scenario.data, *self.scenario.overrides, f"search.seed={self.seed}", *overrides)

    def rejects(self, params: Params) -> bool:
        """Whether a configuration is rejected before it is trained."""
        return self.told and not self.scenario.keeps(bits_of(params))

    def random_points(self) -> Iterator[tuple[int, Params]]:
        """Independent points of the space, numbered."""
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=self.seed))
        points = (suggest(self.space, study.ask()).params for _ in count())
        return enumerate(params for params in points if not self.rejects(params))
