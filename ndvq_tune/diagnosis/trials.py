"""Whether there were trials enough, and what became of them."""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

from ndvq_tune.diagnosis.case import Case
from ndvq_tune.diagnosis.finding import Change, Confidence, Evidence, Finding, Start
from ndvq_tune.distributions import Choice, Range
from ndvq_tune.records import StopReason, TrialRecord, TrialState

ONE_CAUSE = 0.75
"""Share of the trials that one cause ended: what is left does not tell which settings are good."""
RULED_OUT = 0.95
"""Share of the proposed configurations that were never trained: the search is random where it should have learned."""
_FEWEST = 4  # trials that ended, of which a share can be taken


def too_few_trials(case: Case) -> Iterator[Finding]:
    """All trials were drawn at random: the sampler had nothing to learn from yet, and there was more to try."""
    count, least = len(case.tried), case.asked.startup_trials
    if count >= least or count >= _points(case) or not case.tried:
        return
    yield Finding(
        "too_few_trials",
        f"{count} trials can be compared, all of them drawn at random",
        Evidence("trials that can be compared", count, least),
        Confidence.HIGH,
        f"let the search go on: it learns from its trials after the first {least}",
        Change({"search.trials": 2 * max(least, case.asked.trials)}, Start.RESUME),
    )


def _points(case: Case) -> float:
    """How many different trials there can be at most."""
    sets = [parameter.distribution for parameter in case.asked.searched]
    return math.prod(len(values.values) if isinstance(values, Choice) else math.inf for values in sets)


def one_cause(case: Case) -> Iterator[Finding]:
    """Most trials ended by the same cause."""
    ended = [trial for trial in case.standing.search.searched.trials if trial.state.final]
    causes = Counter(cause for trial in ended if (cause := _cause(trial)) in _ADVICE)
    for cause, count in causes.most_common(1):
        share = count / len(ended)
        if len(ended) >= _FEWEST and share >= ONE_CAUSE:
            advice, change = _ADVICE[cause]
            yield Finding(
                "one_cause",
                f"{count} of {len(ended)} trials ended by {cause.replace('_', ' ')}",
                Evidence(f"share of trials that ended by {cause}", share, ONE_CAUSE),
                Confidence.HIGH,
                advice,
                change(ended[-1], case),
            )


def ruled_out(case: Case) -> Iterator[Finding]:
    """Nearly all proposals were ruled out before training."""
    rejected = {cause: count for cause, count in case.standing.search.rejected.items() if cause != "repeated"}
    trained = len(case.standing.search.searched.trials)
    share = sum(rejected.values()) / max(1, sum(rejected.values()) + trained)
    if trained < _FEWEST or share < RULED_OUT:
        return
    most = max(rejected, key=lambda cause: rejected[cause])
    yield Finding(
        "ruled_out",
        f"{sum(rejected.values())} configurations were ruled out for {trained} that were trained",
        Evidence("share that was ruled out", share, RULED_OUT),
        Confidence.HIGH,
        f"narrow the space to what keeps the bound on {most}; --dry-run says how much of it does",
    )


def _cause(trial: TrialRecord) -> str:
    return "error" if trial.state is TrialState.FAILED else str(trial.stop_reason)


def _slower(trial: TrialRecord, case: Case) -> Change:
    """A quarter of the learning rate, or of all that it was drawn from."""
    key = "training.learning_rate"
    for parameter in case.asked.searched:
        if parameter.key == key and isinstance(old := parameter.distribution, Range):
            lower = replace(old, low=_quarter(old.low), high=_quarter(old.high))
            return Change({key: replace(parameter, distribution=lower).leaf})
    return Change({key: _quarter(trial.config.training.learning_rate)})


def _quarter(rate: float) -> float:
    return float(f"{rate / 4:.2g}")


def _revived(trial: TrialRecord, case: Case) -> Change:
    return Change({"search.stop.collapse.on_collapse": "restart_codes"})


def _shorter(trial: TrialRecord, case: Case) -> Change:
    return Change({"training.max_epochs": max(1, trial.config.training.max_epochs // 2)})


_ADVICE: dict[str, tuple[str, Callable[[TrialRecord, Case], Change | None]]] = {
    StopReason.DIVERGED: ("lower the learning rates", _slower),
    StopReason.COLLAPSE: ("rescue codebooks, and lower the largest codebook_beta and learning rate", _revived),
    StopReason.PLATEAU: ("models are done early: lower max_epochs, or raise stop.plateau.patience", _shorter),
    StopReason.TIME_BUDGET: (
        "let the search go on: each session has the time budget anew",
        lambda *_: Change(start=Start.RESUME),
    ),
    StopReason.TRIAL_TIME: ("raise stop.trial_time, or search smaller models", lambda *_: None),
    StopReason.COST: ("raise stop.cost, or search smaller models", lambda *_: None),
    "error": (
        "see the error of the last one in the report; most often a setting that this data cannot have",
        lambda *_: None,
    ),
}
"""What to do where it ended most trials; other causes belong to a search that goes well."""
