"""When one trial ends, and when the whole search does."""

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from ndvq_tune.config import Frozen, Positive


def seconds(duration: Any) -> Any:
    """Seconds of a duration such as ``90``, ``90s``, ``10m`` or ``1h30m``; what is no text comes back as it is.

    Example:
        >>> seconds("1h30m")
        5400.0

    Raises:
        ValueError: For any other text.
    """
    if not isinstance(duration, str):
        return duration
    match = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?", duration.strip())
    parts = [int(part or 0) for part in match.groups()] if match else []
    total = sum(part * unit for part, unit in zip(parts, (3600, 60, 1), strict=False))
    if not total:
        raise ValueError("a duration such as 90s, 10m or 1h30m")
    return float(total)


Duration = Annotated[float, BeforeValidator(seconds), Field(gt=0)]


class CollapseRule(Frozen):
    """Stop or rescue a trial whose codebook is dead, and does not come back to life."""

    usage_below: float = Field(0.02, ge=0, le=1, description="share of codes in use, below which a codebook is dead")
    perplexity_below: float = Field(2.0, ge=0, description="perplexity in codes, below which it is dead too")
    after: Positive = Field(3, description="epochs that a codebook gets to come alive")
    on_collapse: Literal["stop", "restart_codes", "lower_beta"] = Field(
        "stop", description="stop the trial, or rescue it: draw the codes anew, or quarter codebook_beta"
    )
    rescues: Positive = Field(1, description="rescues of one trial, after which a collapse stops it")


class PlateauRule(Frozen):
    """Stop a trial that no longer gets better."""

    patience: Positive = Field(5, description="epochs without progress")
    min_delta: float = Field(0.005, ge=0, description="relative progress of recon_loss that counts")


class CostRule(Frozen):
    """Stop a trial that has cost enough."""

    at_most: float = Field(gt=0, description="cost of a trial, in the currency of per_hour")
    per_hour: float = Field(gt=0, description="price of an hour of one trial's resources")


class StopSettings(Frozen):
    """Rules that stop one trial; divergence (NaN, infinity) always does."""

    collapse: CollapseRule | None = CollapseRule()
    plateau: PlateauRule | None = PlateauRule()
    trial_time: Duration | None = Field(None, description="stop a trial after so much training")
    cost: CostRule | None = None
