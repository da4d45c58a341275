"""Values as they are stored, and as models see them: in [0, 1]."""

from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class Scale:
    """The values that become 0 and 1.

    Attributes:
        low: The value that becomes 0.
        high: The value that becomes 1.
    """

    low: float
    high: float

    @classmethod
    def of(cls, dtype: np.dtype[np.generic], minimum: float, maximum: float) -> "Scale":
        """0 to 255 for bytes; for every other type from the least to the greatest value of the training data."""
        return cls(0, 255) if dtype == np.uint8 else cls(minimum, maximum)

    def about_zero(self) -> "Scale":
        """The same, widened so that 0 is in the middle, if it lies between the two: silence, in a sound."""
        reach = max(-self.low, self.high)
        return Scale(-reach, reach) if self.low < 0 < self.high else self

    def to_unit(self, batch: torch.Tensor, device: torch.device) -> torch.Tensor:
        """A batch of stored values on a device, as float32 in [0, 1]; test data may lie outside.

        It travels in its own type, which is smaller, and is converted where it is used.
        """
        there = batch.to(device, non_blocking=True)
        # Only double precision keeps small differences between large values; every other type fits float32.
        floats = there.clone() if there.dtype == torch.float64 else there.float()
        if self.low:
            floats = floats - self.low
        return floats.div_(self.high - self.low).float()
