"""What a good trial is: objectives, and constraints that it keeps."""

import math
from typing import TYPE_CHECKING, Annotated, Self, TypeVar

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from ndvq_tune.config import Frozen
from ndvq_tune.metrics import METRICS, Mode

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


def _known_metric(name: str) -> str:
    if name not in METRICS:
        raise ValueError(f"no metric of that name; there are {', '.join(METRICS)}")
    return name


def _directed_metric(name: str) -> str:
    if METRICS[name].mode is None:
        directed = ", ".join(metric.name for metric in METRICS.values() if metric.mode)
        raise ValueError(f"neither more nor less of it is better; there are {directed}")
    return name


MetricName = Annotated[str, AfterValidator(_known_metric)]
DirectedMetric = Annotated[MetricName, AfterValidator(_directed_metric)]
Values = TypeVar("Values", float, "npt.NDArray[np.float64]")


class Objective(Frozen):
    """A metric to minimise or maximise."""

    metric: MetricName = Field(description="what is compared")
    mode: Mode = Field(description="which way is better")

    @field_validator("mode")
    @classmethod
    def _direction_of_the_metric(cls, mode: Mode, info: ValidationInfo) -> Mode:
        metric = METRICS.get(info.data.get("metric", ""))
        if metric is not None and metric.mode not in (None, mode):
            raise ValueError(f"{metric.mode}, as {'less' if metric.mode == 'min' else 'more'} {metric.name} is better")
        return mode

    def cost(self, value: Values) -> Values:
        """A value of the metric, turned so that less is better."""
        return value if self.mode == "min" else -value


class Constraint(Frozen):
    """A bound that a good trial keeps."""

    metric: MetricName = Field(description="what is bounded")
    at_most: float | None = Field(None, description="highest good value; either this or at_least")
    at_least: float | None = Field(None, description="lowest good value; either this or at_most")

    @model_validator(mode="after")
    def _one_bound(self) -> Self:
        if (self.at_most is None) == (self.at_least is None):
            raise ValueError("needs exactly one of at_most and at_least")
        return self

    @property
    def bound(self) -> tuple[str, float]:
        """Which side, and where."""
        return ("at_least", self.at_least) if self.at_least is not None else ("at_most", self.at_most or 0.0)

    def violation(self, value: Values) -> Values:
        """How far a value is beyond the bound: positive where the constraint is broken, as Optuna wants it.

        As a share of the bound, so that bits and parameters can be added up; absolute where the bound is 0.
        """
        side, bound = self.bound
        beyond = value - bound if side == "at_most" else bound - value
        return beyond / abs(bound) if bound else beyond

    def beyond(self, value: float) -> float:
        """The same, but 0 for all values within the bound, and infinite for NaN."""
        violation = self.violation(value)
        return math.inf if math.isnan(violation) else max(0.0, violation)
