"""Which way a curve goes, and whether that is more than its noise."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

FEWEST = 3  # values, of which a straight line leaves something over that tells the noise
_SURE = 2.0  # standard errors


@dataclass(frozen=True)
class Trend:
    """The straight line through the logarithms of a curve.

    Attributes:
        change: By which share it rises from the first value to the last; negative where it falls.
        sure: Whether its slope is more than two standard errors from level.
    """

    change: float
    sure: bool

    def falls(self, share: float) -> bool:
        """Whether it surely falls, by at least this share."""
        return self.sure and self.change <= -share

    def rises(self, share: float) -> bool:
        """Whether it surely rises, by at least this share."""
        return self.sure and self.change >= share


def trend(values: Sequence[float]) -> Trend | None:
    """The trend of positive values, least squares; None for fewer than three.

    Example:
        >>> trend([0.8, 0.4, 0.2])
        Trend(change=-0.75, sure=True)
        >>> trend([0.4, 0.5, 0.4])
        Trend(change=0.0, sure=False)
    """
    count = len(values)
    if count < FEWEST:
        return None
    logs, places = np.log(values), np.arange(count) - (count - 1) / 2
    slope = float(places @ logs / (places @ places))
    rest = logs - logs.mean() - slope * places
    error = math.sqrt(float(rest @ rest) / (count - 2) / float(places @ places))
    return Trend(round(math.expm1(slope * (count - 1)), 12), abs(slope) > _SURE * error)


def last(values: Sequence[float], share: float) -> Sequence[float]:
    """The last share of a curve, at least three values where there are so many."""
    return values[-max(FEWEST, round(share * len(values))) :]
