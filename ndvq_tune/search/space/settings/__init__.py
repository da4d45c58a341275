"""What a search space says about the search itself: its goals, its strategy, when it stops, what it runs on."""

from functools import cached_property
from typing import Any

from pydantic import Field, field_validator

from ndvq_tune.config import Frozen, Positive
from ndvq_tune.goals import Constraint, Goals
from ndvq_tune.search.space.settings.fidelity import FidelitySettings
from ndvq_tune.search.space.settings.goals import ConstraintSettings, DirectedMetric, ObjectiveSettings, target
from ndvq_tune.search.space.settings.resources import ResourceSettings
from ndvq_tune.search.space.settings.sampler import SamplerSettings
from ndvq_tune.search.space.settings.scheduler import AshaSettings, SchedulerSettings
from ndvq_tune.search.space.settings.stopping import Duration, StopSettings


class ConfirmSettings(Frozen):
    """Repeat the best trials with other seeds, to tell luck from merit."""

    top: Positive = Field(3, description="trials of the front to repeat, the recommended one first")
    seeds: Positive = Field(3, description="repetitions of each, in full and with seeds of their own")


class FinishSettings(Frozen):
    """Train to the end what is recommended and was stopped early."""

    top: Positive = Field(1, description="recommended trials to train to the end, the first one first")


class SearchSettings(Frozen):
    """How the space is searched."""

    trials: Positive = Field(24, description="trials of the whole search")
    objectives: tuple[ObjectiveSettings, ...] = Field(
        (ObjectiveSettings(metric="recon_loss", mode="min"),),
        min_length=1,
        description="what a good trial has, most important first",
    )
    constraints: tuple[ConstraintSettings, ...] = Field((), description="bounds that a good trial keeps")
    first: tuple[dict[str, Any], ...] = Field(
        (),
        description="points to try before all others: values of searched parameters by key path; the sampler chooses "
        "what a point leaves out",
    )
    sampler: SamplerSettings = SamplerSettings()
    scheduler: SchedulerSettings = AshaSettings()
    fidelity: FidelitySettings = FidelitySettings()
    stop: StopSettings = StopSettings()
    until: dict[DirectedMetric, float] = Field(
        {}, description="end the search when a trial that keeps the constraints is as good as this in every metric"
    )
    time_budget: Duration | None = Field(None, description="end the search after this time")
    stall: Positive | None = Field(None, description="end the search after so many trials that did not move the front")
    finish: FinishSettings | None = FinishSettings()
    confirm: ConfirmSettings | None = None
    seed: int = Field(0, ge=0, description="seed of the sampler; with one lane, it repeats the same search")
    resources: ResourceSettings = ResourceSettings()

    @field_validator("objectives")
    @classmethod
    def _each_once(cls, objectives: tuple[ObjectiveSettings, ...]) -> tuple[ObjectiveSettings, ...]:
        if len({objective.metric for objective in objectives}) < len(objectives):
            raise ValueError("needs each metric once")
        return objectives

    @cached_property
    def goals(self) -> Goals:
        """What makes a good trial."""
        return Goals(
            tuple(settings.objective for settings in self.objectives),
            tuple(settings.constraint for settings in self.constraints),
        )

    @cached_property
    def named_metrics(self) -> dict[str, str]:
        """Every metric that the search asks for, with the setting that does."""
        return {
            **dict.fromkeys(self.until, "search.until"),
            **{bound.metric: "search.constraints" for bound in self.constraints},
            **{objective.metric: "search.objectives" for objective in self.objectives},
        }

    @cached_property
    def target(self) -> tuple[Constraint, ...]:
        """What a trial keeps that ends the search; nothing if no trial does."""
        return target(self.until)


class TrackingSettings(Frozen):
    """Where MLflow keeps the search."""

    experiment: str | None = Field(None, min_length=1, description="MLflow experiment; the search's name if not given")
    uri: str | None = Field(
        None, min_length=1, description="MLflow store; sqlite:///mlflow.db in the current folder if not given"
    )
