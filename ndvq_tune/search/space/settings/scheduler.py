"""Who decides, by comparison with other trials, that a trial is not worth going on with."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from ndvq_tune.config import Frozen, Positive

_GRACE = "how far a trial gets before it may be stopped, in units of search.fidelity (epochs)"


class AshaSettings(Frozen):
    """Asynchronous successive halving (Li et al., 2020), over all objectives and constraints."""

    type: Literal["asha"] = "asha"
    grace_period: Positive = Field(2, description=_GRACE)
    reduction_factor: int = Field(3, ge=2, description="one in this many goes on at each rung")


class HyperbandSettings(Frozen):
    """Asynchronous Hyperband (Li et al., 2018): brackets of successive halving, each with a longer grace period."""

    type: Literal["hyperband"] = "hyperband"
    grace_period: Positive = Field(2, description=f"{_GRACE}, in the first bracket")
    reduction_factor: int = Field(3, ge=2, description="one in this many goes on at each rung")
    brackets: Positive = Field(3, description="brackets; trials go to them in turn, most of them to the first")


class MedianSettings(Frozen):
    """The median rule of Google Vizier (Golovin et al., 2017)."""

    type: Literal["median"] = "median"
    grace_period: Positive = Field(2, description=_GRACE)
    min_trials: Positive = Field(4, description="other trials that must have come as far")


class PbtSettings(Frozen):
    """Population based training (Jaderberg et al., 2017); ``search.trials`` is the size of the population.

    A member among the worst ends, and a new trial goes on from a checkpoint of one of the best, with its own training
    settings a little changed.
    """

    type: Literal["pbt"] = "pbt"
    interval: Positive = Field(2, description="epochs between comparisons")
    quantile: float = Field(0.25, gt=0, le=0.5, description="share of the worst, who follow a share of the best")
    factor: float = Field(1.2, gt=1, description="numbers are multiplied or divided by this")
    resample: float = Field(0.25, ge=0, le=1, description="probability that a setting is drawn anew instead")


class PromoteSettings(Frozen):
    """Successive halving by a model of all learning curves: trials pause at each rung, and the most promising go on."""

    type: Literal["promote"] = "promote"
    grace_period: Positive = Field(1, description="epochs before a trial pauses for the first time")
    reduction_factor: int = Field(3, ge=2, description="one in this many goes on at each rung")


class NoScheduler(Frozen):
    """Every trial goes on until a rule stops it or it is done."""

    type: Literal["none"] = "none"


def _type(scheduler: Any) -> Any:
    return scheduler.get("type", "asha") if isinstance(scheduler, dict) else getattr(scheduler, "type", "asha")


SchedulerSettings = Annotated[
    Annotated[AshaSettings, Tag("asha")]
    | Annotated[HyperbandSettings, Tag("hyperband")]
    | Annotated[MedianSettings, Tag("median")]
    | Annotated[PbtSettings, Tag("pbt")]
    | Annotated[PromoteSettings, Tag("promote")]
    | Annotated[NoScheduler, Tag("none")],
    Discriminator(_type),
]
