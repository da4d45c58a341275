"""Who proposes the next trial."""

from typing import Literal

from pydantic import Field

from ndvq_tune.config import Frozen, Positive

GRID, CURVES = "grid", "curves"
STARTUP_TRIALS, RANDOM_FRACTION = {CURVES: 16}, {CURVES: 0.2}  # others have none of their own


class SamplerSettings(Frozen):
    """Who proposes the next trial: a model of all learning curves, or one of Optuna's samplers."""

    type: Literal["tpe", "gp", "cmaes", "nsga2", "random", "grid", "qmc", "curves"] = Field(
        "tpe",
        description="how points are proposed; grid takes every combination of choices and whole numbers once, curves "
        "what a model of all learning curves so far expects most of",
    )
    startup_trials: Positive = Field(
        default_factory=lambda values: STARTUP_TRIALS.get(values["type"], 8),
        description="random trials before the sampler begins to learn (8; curves: 16)",
    )
    random_fraction: float = Field(
        default_factory=lambda values: RANDOM_FRACTION.get(values["type"], 0.33),
        ge=0,
        lt=1,
        description="share of trials drawn at random whatever the sampler has learned (0.33; curves: 0.2)",
    )
