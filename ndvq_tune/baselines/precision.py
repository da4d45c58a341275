"""How small a difference between two models the test samples can show; known before one is trained."""

import math

import torch
from scipy.special import stdtrit

from ndvq_tune.baselines.measure import spread
from ndvq_tune.baselines.resampling import resampled
from ndvq_tune.data.batches.samples import SampleSet
from ndvq_tune.training.evaluation import squared_errors

WANTED = 0.05
DIFFERENCE = 0.1  # of two models on one sample, as a share of its loss: see docs/search.md
LEVEL = 0.95
REDUCED = 4  # a grid as a model's may be
MOST, ELEMENTS = 256, 2**23  # that are looked at


def smallest_lead(samples: SampleSet) -> float:
    """The least difference in ``recon_loss`` between two models that so many samples can tell from none, as a share.

    Two models differ by about a tenth on each sample, and hard samples count more than easy ones; how hard they are is
    what interpolation makes of them. The rest is Student's t, as in ``judgement.paired``.

    Args:
        samples: The test samples.

    Returns:
        An estimate; infinite for a single sample.
    """
    count = len(samples)
    if count < 2:
        return math.inf
    chosen = spread(count, max(2, min(MOST, ELEMENTS // math.prod(samples.shape))))
    x = samples.scale.to_unit(samples.read(chosen), torch.device("cpu"))
    grid = [math.ceil(size / REDUCED) for size in samples.shape[1:]]
    errors = squared_errors(resampled(x, grid), x).mean(1)
    unequal = (errors.square().mean().sqrt() / errors.mean()).nan_to_num(1.0).item()  # 1 where all are alike
    return float(stdtrit(count - 1, (1 + LEVEL) / 2)) * DIFFERENCE * unequal / math.sqrt(count)


def warning(samples: SampleSet) -> str | None:
    """What to say before a search whose test samples are too few to tell 5% apart; None where they are enough."""
    lead, count = smallest_lead(samples), len(samples)
    if lead <= WANTED:
        return None
    if math.isinf(lead):
        return "one test sample: no two trials can be told apart"
    return f"{count} test samples: trials that differ by less than about {lead:.0%} may not be told apart"
