"""Whether attention is worth what it costs."""

from collections.abc import Iterator
from statistics import median

from ndvq_tune.diagnosis.case import Case
from ndvq_tune.diagnosis.finding import Change, Confidence, Evidence, Finding
from ndvq_tune.records import TrialRecord

KEY = "model.attention.type"
SLOWER = 0.2
"""Share of the speed that attention costs from which on it has to bring something."""
LITTLE = 0.1
"""Share of the differences in loss that it explains at most, by the upper end of the interval."""
_FEWEST = 4  # trials with it, and without


def attention_idle(case: Case) -> Iterator[Finding]:
    """Attention explains nothing, is not more frequent among the best, and takes time."""
    known = {importance.key: importance for importance in case.standing.search.importances}
    searched = [trial for trial in case.tried if KEY in trial.params and trial.finite("samples_per_second")]
    using = [trial for trial in searched if _attends(trial)]
    others = [trial for trial in searched if not _attends(trial)]
    if KEY not in known or known[KEY].high > LITTLE or min(len(using), len(others)) < _FEWEST:
        return
    among_best = sum(map(_attends, case.best))
    slower = 1 - _speed(using) / _speed(others)
    if slower >= SLOWER and among_best * len(searched) <= len(using) * len(case.best):
        yield Finding(
            "attention_idle",
            f"attention explains at most {known[KEY].high:.0%} of the differences in loss; trials with it are "
            f"{slower:.0%} slower",
            Evidence("speed that attention costs", slower, SLOWER),
            Confidence.MEDIUM,
            "leave attention out, and spend the time on more trials or epochs",
            Change({KEY: "none"}),
        )


def _attends(trial: TrialRecord) -> bool:
    return trial.config.model.attention.type != "none"


def _speed(trials: list[TrialRecord]) -> float:
    return median(trial.result["samples_per_second"] for trial in trials)
