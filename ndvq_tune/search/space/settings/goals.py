"""What a good trial is: objectives, and constraints that it keeps."""

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from ndvq_tune.config import Frozen
from ndvq_tune.goals import Constraint, Objective
from ndvq_tune.metrics import METRICS, Mode


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


class ObjectiveSettings(Frozen):
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

    @property
    def objective(self) -> Objective:
        """What it means."""
        return Objective(self.metric, self.mode)


class ConstraintSettings(Frozen):
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
    def constraint(self) -> Constraint:
        """What it means."""
        if self.at_least is not None:
            return Constraint(self.metric, "at_least", self.at_least)
        return Constraint(self.metric, "at_most", self.at_most or 0.0)


def target(until: Mapping[str, float]) -> tuple[Constraint, ...]:
    """The bounds that a trial keeps which is as good as this in every metric."""
    return tuple(
        Constraint(name, "at_most" if METRICS[name].mode == "min" else "at_least", value)
        for name, value in until.items()
    )
