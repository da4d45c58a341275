"""Whether there are as many codes as the data asks for."""

import math
from collections.abc import Iterator

from ndvq_tune.diagnosis.case import Case, allows
from ndvq_tune.diagnosis.finding import Change, Confidence, Evidence, Finding
from ndvq_tune.records import TrialRecord

LOW = 0.1
"""Perplexity over n_codes; 516 recorded trainings end at 0.22 and above."""
CEILING = 0.85
"""The same, where codes are used as evenly as they can be; of 516 recorded trainings 3 end above."""
_POSITIONS = 4  # test codes a code, from which on their number alone does not keep perplexity low


def perplexity_low(trial: TrialRecord, case: Case) -> Iterator[Finding]:
    """Most codes are hardly used: bits that buy nothing."""
    model, perplexity = trial.config.model, trial.result.get("perplexity", math.nan)
    positions = _test_positions(trial)
    few_positions = positions is not None and positions < _POSITIONS * model.n_codes
    if not perplexity <= LOW * model.n_codes or few_positions:
        return
    revive = {"model.quantizer.restart_threshold": 0.03}
    fewer = {"model.n_codes": max(2, 2 ** math.ceil(math.log2(2 * perplexity)))}
    yield Finding(
        "perplexity_low",
        f"its {model.n_codes} codes are used like {perplexity:.0f}",
        Evidence("perplexity over n_codes", perplexity / model.n_codes, LOW, trial.name),
        Confidence.LOW if positions is None else Confidence.MEDIUM,
        "let restarts revive codes (quantizer.restart_threshold), lower embedding_dim, or take fewer codes for as much "
        "detail at fewer bits",
        Change(revive if model.quantizer.restart_threshold == 0 else fewer),
    )


def perplexity_at_ceiling(trial: TrialRecord, case: Case) -> Iterator[Finding]:
    """All codes are in even use, and no trial had more of them."""
    model, perplexity = trial.config.model, trial.result.get("perplexity", math.nan)
    more = {"model.n_codes": 2 * model.n_codes}
    if not perplexity >= CEILING * model.n_codes:
        return
    if any(other.config.model.n_codes > model.n_codes for other in case.tried) or not allows(trial.config, more):
        return
    yield Finding(
        "perplexity_at_ceiling",
        f"its {model.n_codes} codes are used like {perplexity:.0f}: all of them, and evenly",
        Evidence("perplexity over n_codes", perplexity / model.n_codes, CEILING, trial.name),
        Confidence.MEDIUM,
        "try more codes: twice as many cost one bit a position",
        Change(more),
    )


def _test_positions(trial: TrialRecord) -> int | None:
    """At least so many codes describe the test samples; None where that is not known."""
    shape = trial.config.data.sample_shape
    if shape is None or not trial.sample_losses:
        return None
    per_sample = math.prod(
        max(1, side // factor) for side, factor in zip(shape[1:], trial.config.model.downsample, strict=True)
    )
    return len(trial.sample_losses) * per_sample
