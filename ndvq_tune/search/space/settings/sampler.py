"""Who proposes the next trial."""

from collections.abc import Callable
from typing import Any, Literal, TypeVar

from pydantic import Field

from ndvq_tune.config import Frozen, Positive

GRID, CURVES = "grid", "curves"
Number = TypeVar("Number", int, float)


def _unless_curves(usual: Number, of_curves: Number) -> Callable[[dict[str, Any]], Number]:
    """A default that is another one for the model of learning curves."""
    return lambda values: of_curves if values["type"] == CURVES else usual


class SamplerSettings(Frozen):
    """Who proposes the next trial: a model of all learning curves, or one of Optuna's samplers."""

    type: Literal["tpe", "gp", "cmaes", "nsga2", "random", "grid", "qmc", "curves"] = Field(
        "tpe",
        description="how points are proposed; grid takes every combination of choices and whole numbers once, curves "
        "what a model of all learning curves so far expects most of",
    )
    startup_trials: Positive = Field(
        default_factory=_unless_curves(8, of_curves=16),
        description="random trials before the sampler begins to learn (8; curves: 16)",
    )
    random_fraction: float = Field(
        default_factory=_unless_curves(0.33, of_curves=0.2),
        ge=0,
        lt=1,
        description="share of trials drawn at random whatever the sampler has learned (0.33; curves: 0.2)",
    )
