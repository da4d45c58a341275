"""What a search wants: objectives and constraints, and the arithmetic of both.

Everything that compares trials does it in costs, of which less is better, and in how far a value is beyond a bound.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

from ndvq_tune.metrics import Mode

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Report = Mapping[str, float]
Side = Literal["at_most", "at_least"]
Values = TypeVar("Values", float, "npt.NDArray[np.float64]")


@dataclass(frozen=True)
class Objective:
    """A metric to minimise or maximise.

    Attributes:
        metric: Its name.
        mode: Which way is better, ``min`` or ``max``.
    """

    metric: str
    mode: Mode

    def cost(self, value: Values) -> Values:
        """A value of the metric, turned so that less is better; the cost of a cost is the value again.

        Example:
            >>> Objective("psnr", "max").cost(30.0)
            -30.0
        """
        return value if self.mode == "min" else -value


@dataclass(frozen=True)
class Constraint:
    """A bound that a good trial keeps.

    Attributes:
        metric: Name of the metric that is bounded.
        side: ``at_most`` or ``at_least``.
        bound: The highest or lowest good value.
    """

    metric: str
    side: Side
    bound: float

    def violation(self, value: Values) -> Values:
        """How far a value is beyond the bound: positive where the constraint is broken, as Optuna wants it.

        As a share of the bound, so that bits and parameters can be added up; absolute where the bound is 0.

        Example:
            >>> Constraint("parameters", "at_most", 1e6).violation(1.5e6)
            0.5
            >>> Constraint("psnr", "at_least", 20.0).violation(25.0)
            -0.25
        """
        beyond = value - self.bound if self.side == "at_most" else self.bound - value
        return beyond / abs(self.bound) if self.bound else beyond

    def beyond(self, value: float) -> float:
        """How far a value is beyond the bound: 0 for all values within it, and infinite for NaN.

        Example:
            >>> Constraint("bits_per_element", "at_most", 0.5).beyond(0.75)
            0.5
            >>> Constraint("codebook_usage", "at_least", 0.1).beyond(0.3)
            0.0
        """
        violation = self.violation(value)
        return math.inf if math.isnan(violation) else max(0.0, violation)


@dataclass(frozen=True)
class Goals:
    """What makes a good trial.

    Attributes:
        objectives: What is compared, most important first.
        constraints: What a good trial keeps, whatever its objectives.
    """

    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...] = ()

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the objectives' metrics."""
        return tuple(objective.metric for objective in self.objectives)

    def costs(self, report: Report) -> tuple[float, ...]:
        """The objectives of a report, turned so that less is better; NaN for a metric that it does not have."""
        return tuple(objective.cost(report.get(objective.metric, math.nan)) for objective in self.objectives)

    def beyond(self, report: Report) -> tuple[float, ...]:
        """How far a report is beyond each bound; infinitely far by a metric that it does not have."""
        return tuple(bound.beyond(report.get(bound.metric, math.nan)) for bound in self.constraints)

    def broken(self, report: Report) -> tuple[Constraint, ...]:
        """The constraints that a report does not keep."""
        return tuple(bound for bound, far in zip(self.constraints, self.beyond(report), strict=True) if far)

    def kept(self, report: Report) -> bool:
        """Whether a report keeps every constraint."""
        return not self.broken(report)

    def violations(self, report: Report) -> dict[str, float]:
        """What Optuna is told of a report: the violation of each constraint whose metric it has a finite value of.

        Where a metric has two bounds, the one that is broken more counts.
        """
        violations: dict[str, float] = {}
        for bound in self.constraints:
            if math.isfinite(value := report.get(bound.metric, math.nan)):
                violation = bound.violation(value)
                violations[bound.metric] = max(violation, violations.get(bound.metric, violation))
        return violations
