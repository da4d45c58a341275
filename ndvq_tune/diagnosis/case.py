"""What a rule looks at: the search, what is judged of it, and what it was asked for."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ndvq_tune.config import RunConfig
from ndvq_tune.distributions import Searched
from ndvq_tune.judgement.comparison import best_share
from ndvq_tune.judgement.standing import Standing
from ndvq_tune.problems import validate
from ndvq_tune.records import Role, TrialRecord, full_fidelity
from ndvq_tune.yaml_file import flatten, with_values

BEST = 0.25  # share of the trials that count as the best, as for `refine`


@dataclass(frozen=True)
class Asked:
    """What a search was asked for, as far as rules need it.

    Attributes:
        searched: Its parameters, with what they are drawn from.
        trials: How many trials it was to have.
        startup_trials: How many of them are drawn at random, before the sampler has learned anything.
    """

    searched: tuple[Searched, ...] = ()
    trials: int = 0
    startup_trials: int = 0


@dataclass(frozen=True)
class Case:
    """A search to diagnose.

    Attributes:
        standing: The search, and what is judged of it.
        asked: What it was asked for.
    """

    standing: Standing
    asked: Asked = Asked()

    @cached_property
    def tried(self) -> tuple[TrialRecord, ...]:
        """Trials that can be compared, as far as they were trained, without those that others' weights began."""
        return tuple(trial for trial in self.standing.eligible if trial.role is not Role.EXPLOIT)

    @cached_property
    def best(self) -> tuple[TrialRecord, ...]:
        """The best quarter of these, as whole fronts."""
        return tuple(best_share(self.tried, self.standing.search.goals, BEST))


def curve(trial: TrialRecord, metric: str) -> tuple[float, ...]:
    """A metric after each epoch on samples of full size; empty where one of the values is missing or not positive.

    Curves are seen in logarithms: a loss falls by shares of itself.
    """
    values = tuple(report.get(metric, math.nan) for report in trial.reports if full_fidelity(report))
    return values if all(math.isfinite(value) and value > 0 for value in values) else ()


def allows(config: RunConfig, settings: Mapping[str, Any]) -> bool:
    """Whether a configuration may have these values."""
    return not validate(RunConfig, with_values(config.to_dict(), settings))[1]


def chance(of_best: int, best: int, of_tried: int, tried: int) -> float:
    """Probability that at least so many of the best have a trait which has nothing to do with it (hypergeometric).

    Args:
        of_best: The best trials that have it.
        best: The best trials.
        of_tried: All trials that have it.
        tried: All trials.

    Example:
        All of the best 4 of 16 trials have what 4 of the 16 have:

        >>> round(1 / chance(4, 4, 4, 16))
        1820
    """
    ways = (
        math.comb(of_tried, count) * math.comb(tried - of_tried, best - count)
        for count in range(of_best, min(best, of_tried) + 1)
    )
    return sum(ways) / math.comb(tried, best)


def value_of(config: RunConfig, key: str) -> Any:
    """What a configuration says under a key path."""
    return flatten(config.to_dict())[key]
