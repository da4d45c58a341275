"""Whether one model is better than another, or luckier: both were measured on the same test samples. Pure functions."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from ndvq_tune.records import TrialRecord

LEVEL = 0.95
FEWEST = 2  # samples, of which differences have a spread


@dataclass(frozen=True)
class Lead:
    """How far a trial is ahead of another.

    Attributes:
        over: The other trial.
        share: By how much its loss is lower, as a share of the other's.
        margin: Half of the 95% interval of that share.
    """

    over: TrialRecord
    share: float
    margin: float

    @property
    def certain(self) -> bool:
        """Whether it is more than these samples would show of models that are equally good."""
        return self.share > self.margin


def lead(trial: TrialRecord, other: TrialRecord) -> Lead | None:
    """The lead of a trial over another by Student's t of the differences, sample by sample; None if it is not known.

    Samples differ far more than two models do on the same one, so this tells apart what the two means do not. It says
    nothing of other seeds, which ``search.confirm`` tries.

    Args:
        trial: The trial.
        other: The other, with the same test samples.

    Example:
        >>> from ndvq_tune.config import RunConfig
        >>> one, other = (TrialRecord(n, {}, RunConfig(), sample_losses=losses)
        ...     for n, losses in enumerate([(0.10, 0.30, 0.19), (0.12, 0.33, 0.21)]))
        >>> found = lead(one, other)
        >>> f"{found.share:.0%} plus or minus {found.margin:.0%}", found.certain
        ('11% plus or minus 7%', True)
    """
    count = len(trial.sample_losses)
    if count < FEWEST or len(other.sample_losses) != count:
        return None
    theirs = np.array(other.sample_losses)
    differences = theirs - np.array(trial.sample_losses)
    spread = float(stdtrit(count - 1, (1 + LEVEL) / 2)) * differences.std(ddof=1) / math.sqrt(count)
    return Lead(other, float(differences.mean() / theirs.mean()), float(spread / theirs.mean()))
