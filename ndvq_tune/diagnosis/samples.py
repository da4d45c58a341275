"""Whether the test data and the repetitions can tell trials apart."""

import math
from collections.abc import Iterator

from ndvq_tune.diagnosis.case import Case
from ndvq_tune.diagnosis.finding import Change, Confidence, Evidence, Finding, Start, Verdict
from ndvq_tune.records import TrialRecord

FEWEST = 8
"""Test samples below which a mean says little of samples that the model has not seen: its error is a third of their
spread, and more."""
COARSE = 0.1
"""Half of the 95% interval of a lead, as a share of the loss, from which on differences that show are lost in noise."""
PROBABLE = 0.75
"""Probability of being the best below which repetitions have not told the recommended trial from the next."""


def too_little_test_data(trial: TrialRecord, case: Case) -> Iterator[Finding]:
    """Too few test samples, or samples that differ too much, to see a difference of a tenth."""
    count = len(trial.sample_losses)
    coarse = [lead for lead in case.standing.in_doubt if lead.margin >= COARSE]
    if 0 < count < FEWEST:
        sign, evidence = f"it was measured on {count} test samples", Evidence("test samples", count, FEWEST, trial.name)
    elif coarse:
        worst = max(coarse, key=lambda lead: lead.margin)
        sign = f"its lead over {worst.over.name} is {worst.share:.0%} ± {worst.margin:.0%}"
        evidence = Evidence("half of the 95% interval of a lead", worst.margin, COARSE, trial.name)
    else:
        return
    yield Finding(
        "too_little_test_data",
        sign,
        evidence,
        Confidence.HIGH,
        "take more test samples",
        _more_for_testing(trial),
        Verdict.TOO_LITTLE_DATA,
    )


def too_few_seeds(trial: TrialRecord, case: Case) -> Iterator[Finding]:
    """Repetitions that leave open which trial is the best."""
    repeated = {item.trial.number: item for item in case.standing.confirmed}
    own = repeated.get(trial.number)
    if own is None or len(repeated) < 2 or len(case.standing.search.goals.objectives) > 1:
        return
    if math.isnan(own.probability) or own.probability >= PROBABLE:
        return
    yield Finding(
        "too_few_seeds",
        f"with {own.seeds} seeds it is the best of {len(repeated)} with a probability of {own.probability:.0%}",
        Evidence("probability of being the best", own.probability, PROBABLE, trial.name),
        Confidence.HIGH,
        "repeat them with more seeds, or take the cheapest of them",
        Change({"search.confirm": {"top": len(repeated), "seeds": 2 * own.seeds}}, Start.RESUME),
    )


def _more_for_testing(trial: TrialRecord) -> Change | None:
    """Twice the share of the data for testing, where the search divides it and most is left for training."""
    split = trial.config.data.split
    return Change({"data.split": round(2 * split - 1, 3)}) if split is not None and split > 0.75 else None
