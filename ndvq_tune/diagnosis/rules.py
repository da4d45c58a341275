"""The table of rules, and the diagnosis that they come to. Pure functions."""

from collections.abc import Callable, Iterator

from ndvq_tune.diagnosis.attention import attention_idle
from ndvq_tune.diagnosis.baselines import beside, loses_to_baseline, next_to_nothing
from ndvq_tune.diagnosis.capacity import high_and_flat
from ndvq_tune.diagnosis.case import Asked, Case
from ndvq_tune.diagnosis.codebook import perplexity_at_ceiling, perplexity_low
from ndvq_tune.diagnosis.commitment import commitment_high, commitment_low, commitment_unstable
from ndvq_tune.diagnosis.convergence import still_falling, stopped_early
from ndvq_tune.diagnosis.edges import at_edge
from ndvq_tune.diagnosis.finding import Confidence, Diagnosis, Finding, Verdict
from ndvq_tune.diagnosis.generalisation import far_above, overfits
from ndvq_tune.diagnosis.optimisation import unstable
from ndvq_tune.diagnosis.samples import too_few_seeds, too_little_test_data
from ndvq_tune.diagnosis.trials import one_cause, ruled_out, too_few_trials
from ndvq_tune.judgement.lineage import whole
from ndvq_tune.judgement.standing import Standing
from ndvq_tune.records import TrialRecord

OF_THE_MODEL: tuple[Callable[[TrialRecord, Case], Iterator[Finding]], ...] = (
    loses_to_baseline,
    next_to_nothing,
    overfits,
    stopped_early,
    still_falling,
    too_little_test_data,
    high_and_flat,
    unstable,
    commitment_high,
    commitment_low,
    commitment_unstable,
    perplexity_low,
    perplexity_at_ceiling,
    far_above,
    too_few_seeds,
)
"""What is asked of the recommended trial."""

OF_THE_SEARCH: tuple[Callable[[Case], Iterator[Finding]], ...] = (
    one_cause,
    ruled_out,
    too_few_trials,
    at_edge,
    attention_idle,
)
"""What is asked of all trials."""

_READY = "its loss has levelled off, and nothing speaks against it"
_BETTER = "its loss has levelled off; something may make it better yet"
_NO_MODEL = "no trial has led to a model yet"


def diagnose(standing: Standing, asked: Asked) -> Diagnosis:
    """What is to be thought of the recommended model, and what to do next.

    Findings that make the verdict come first, in the order of the verdicts; then the surest. Where none does, the model
    is ready, be it good or not: the reason says how it compares with plain methods.

    Args:
        standing: The search.
        asked: What it was asked for.
    """
    case, winner = Case(standing, asked), standing.best and whole(standing.best, standing.search.trials)
    found = [] if winner is None else [finding for rule in OF_THE_MODEL for finding in rule(winner, case)]
    found += [finding for rule in OF_THE_SEARCH for finding in rule(case)]
    findings = tuple(sorted(found, key=_weight))
    if winner is None:
        return Diagnosis(None, _NO_MODEL, findings)
    if findings and findings[0].verdict is not None:
        return Diagnosis(findings[0].verdict, findings[0].sign, findings)
    level = beside(winner, case)
    why = (_BETTER if findings else _READY) + (f"; it is {level}" if level else "")
    return Diagnosis(Verdict.READY, why, findings)


def _weight(finding: Finding) -> tuple[int, int]:
    verdict = Verdict.READY if finding.verdict is None else finding.verdict
    return list(Verdict).index(verdict), list(Confidence).index(finding.confidence)
