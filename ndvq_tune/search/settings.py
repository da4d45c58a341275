"""What a search space says about the search itself: objectives, early stopping, resources, tracking."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from ndvq_tune.config import Frozen, Positive
from ndvq_tune.metrics import METRICS, Mode


def _known_metric(name: str) -> str:
    if name not in METRICS:
        raise ValueError(f"no metric of that name; there are {', '.join(METRICS)}")
    return name


MetricName = Annotated[str, AfterValidator(_known_metric)]


class Objective(Frozen):
    """A metric to minimise or maximise."""

    metric: MetricName
    mode: Mode


class Constraint(Frozen):
    """A bound that a good trial keeps."""

    metric: MetricName
    at_most: float | None = None
    at_least: float | None = None

    @model_validator(mode="after")
    def _one_bound(self) -> Self:
        if (self.at_most is None) == (self.at_least is None):
            raise ValueError("needs exactly one of at_most and at_least")
        return self

    @property
    def bound(self) -> tuple[str, float]:
        """Which side, and where."""
        return ("at_least", self.at_least) if self.at_least is not None else ("at_most", self.at_most or 0.0)

    def violation(self, value: float) -> float:
        """How far a value is beyond the bound: positive where the constraint is broken, as Optuna wants it."""
        side, bound = self.bound
        return value - bound if side == "at_most" else bound - value


class AshaSettings(Frozen):
    """Asynchronous successive halving (Li et al., 2020) on ``recon_loss``."""

    type: Literal["asha", "none"] = Field("asha", description="none trains every trial to its last epoch")
    grace_period: Positive = Field(2, description="epochs before a trial may be stopped")
    reduction_factor: int = Field(3, ge=2, description="one in this many goes on at each rung")


class CollapseRule(Frozen):
    """Stop a trial whose codebook is dead."""

    usage_below: float = Field(0.02, ge=0, le=1, description="share of codes used")
    perplexity_below: float = Field(2.0, ge=0, description="codes; below this the model says almost nothing")
    after: Positive = Field(3, description="epochs that a codebook gets to come alive")


class PlateauRule(Frozen):
    """Stop a trial that no longer gets better."""

    patience: Positive = Field(5, description="epochs without progress")
    min_delta: float = Field(0.005, ge=0, description="relative progress of recon_loss that counts")


class StopSettings(Frozen):
    """Rules that stop one trial; divergence (NaN, infinity) always does."""

    collapse: CollapseRule | None = CollapseRule()
    plateau: PlateauRule | None = PlateauRule()


class ResourceSettings(Frozen):
    """What one trial gets."""

    workers_per_trial: int = Field(
        1, ge=0, description="Ray Train workers of a trial (DDP from 2); 0 trains in the lane's own process"
    )
    cpus_per_worker: Positive | None = Field(None, description="an even share of the cluster if not given")
    gpus_per_worker: float | None = Field(None, ge=0, description="1 where the cluster has GPUs if not given")
    lanes: Positive | None = Field(None, description="concurrent trials; what the cluster holds if not given")

    @field_validator("gpus_per_worker")
    @classmethod
    def _whole_above_one(cls, value: float | None) -> float | None:
        if value is not None and value > 1 and not value.is_integer():
            raise ValueError("a share of one GPU (0.5), or a whole number of GPUs")
        return value


class SearchSettings(Frozen):
    """How the space is searched."""

    trials: Positive = 24
    objectives: tuple[Objective, ...] = Field((Objective(metric="recon_loss", mode="min"),), min_length=1)
    constraints: tuple[Constraint, ...] = ()
    startup_trials: Positive = Field(8, description="random trials before Optuna's TPE begins to learn")
    seed: int = Field(0, ge=0)
    scheduler: AshaSettings = AshaSettings()
    stop: StopSettings = StopSettings()
    resources: ResourceSettings = ResourceSettings()


class TrackingSettings(Frozen):
    """Where MLflow keeps the search."""

    experiment: str | None = Field(None, min_length=1, description="the search's name if not given")
    uri: str | None = Field(None, min_length=1, description="sqlite:///mlflow.db in the current folder if not given")
