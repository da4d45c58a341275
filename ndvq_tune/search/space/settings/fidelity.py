"""What trials are compared by before they are done."""

from itertools import pairwise
from typing import Literal, Self

from pydantic import Field, model_validator

from ndvq_tune.config import Frozen, Positive

Sizes = tuple[Positive, ...]
UNITS = {"epochs": "epoch", "samples": "samples_seen", "seconds": "training_seconds"}
"""What a report says of each unit that a trial's progress is counted in."""


class FidelitySettings(Frozen):
    """How far a trial has come, and smaller samples to begin with.

    A trial begins with the first sizes and is promoted to the next ones with all that it has learned; the last sizes
    are those of ``data``.
    """

    unit: Literal["epochs", "samples", "seconds"] = Field(
        "epochs", description="what the scheduler counts: epochs, training samples seen, or seconds of training"
    )
    resolution: Sizes | None = Field(
        None, min_length=2, description="data.resolution of each stage, rising, such as [32, 64]"
    )
    clip_length: Sizes | None = Field(
        None, min_length=2, description="data.clip_length of each stage, rising, such as [4, 8]"
    )
    promote_after: Sizes | None = Field(
        None, description="epochs before each promotion; the last rungs of the scheduler if not given"
    )

    @model_validator(mode="after")
    def _stages_agree(self) -> Self:
        lengths = {len(sizes) for sizes in self.sizes.values()}
        if len(lengths) > 1:
            raise ValueError("resolution and clip_length need one size for each stage, so equally many")
        for name, sizes in [*self.sizes.items(), ("promote_after", self.promote_after or ())]:
            if any(later <= earlier for earlier, later in pairwise(sizes)):
                raise ValueError(f"{name}: {list(sizes)} given; needs to rise")
        if self.promote_after is not None and not self.sizes:
            raise ValueError("promote_after: needs sizes to be promoted to, in resolution or clip_length")
        if self.promote_after is not None and len(self.promote_after) != self.stages - 1:
            raise ValueError(f"promote_after: needs {self.stages - 1} epochs, one for each promotion")
        return self

    @property
    def sizes(self) -> dict[str, Sizes]:
        """Sizes of each stage, by the setting of ``data`` that they are of."""
        named = {"resolution": self.resolution, "clip_length": self.clip_length}
        return {name: sizes for name, sizes in named.items() if sizes is not None}

    @property
    def stages(self) -> int:
        """Stages of a trial: 1 where all samples have their full size from the start.

        Example:
            >>> FidelitySettings(resolution=(32, 64), promote_after=(3,)).stages
            2
        """
        return max((len(sizes) for sizes in self.sizes.values()), default=1)
