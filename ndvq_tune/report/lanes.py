"""What each lane did, and when: from the stays of trials and the times of their reports."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ndvq_tune.goals import Report
from ndvq_tune.records import SearchRecord, TrialRecord

SECONDS = "training_seconds"


@dataclass(frozen=True)
class Visit:
    """A trial on a lane, in seconds since the search began; parts of it are NaN where reports do not tell them.

    Attributes:
        trial: The trial.
        row: The place of its lane, from 0. A lane has the row of one that had ended before it began.
        begun: When the lane took the trial.
        ended: When the lane was free again; where nobody knows that, when it last reported.
        starting: Seconds until training began: of workers, data and model. 0 where no report came of it.
        training: Seconds in training.
        validation: Seconds in validation.
    """

    trial: TrialRecord
    row: int
    begun: float
    ended: float
    starting: float
    training: float
    validation: float

    @property
    def seconds(self) -> float:
        """How long the lane had it."""
        return self.ended - self.begun


class _Span(NamedTuple):
    lane: str
    begun: float
    ended: float


def visits(search: SearchRecord) -> list[Visit]:
    """All visits of a search, by trial; none where some trials were on lanes that nobody has noted."""
    if any(trial.reports and not trial.stays for trial in search.trials):
        return []
    trials = {trial.number: trial for trial in search.trials}
    spans = {trial.number: _spans(trial) for trial in search.trials}
    rows = _rows(span for of_trial in spans.values() for span in of_trial)
    return [
        Visit(trials[number], rows[span.lane], span.begun, span.ended, *_parts(trials[number], span, trials))
        for number, of_trial in spans.items()
        for span in of_trial
    ]


def shares(of: Sequence[Visit]) -> dict[str, float]:
    """Where the time of all lanes went, from when the first had a trial to when none had any more; together 1.

    Args:
        of: All visits of a search, of which one took time.
    """
    lanes = max(visit.row for visit in of) + 1
    total = lanes * (max(visit.ended for visit in of) - min(visit.begun for visit in of))
    busy = sum(visit.seconds for visit in of)
    parts = {
        "training": sum(visit.training for visit in of),
        "validation": sum(visit.validation for visit in of),
        "starting": sum(visit.starting for visit in of),
    }
    rest = {"saving and deciding": busy - sum(parts.values()), "without a trial": total - busy}
    return {name: seconds / total for name, seconds in (parts | rest).items()}


def before(report: Report, trial: TrialRecord, trials: Mapping[int, TrialRecord]) -> Report:
    """The report before one, which may be of the trial that this one goes on from; nothing where it is not known.

    Args:
        report: A report of the trial.
        trial: The trial.
        trials: All trials, by number.
    """
    if report is trial.reports[0] and not trial.role.inherits:
        return {"samples_seen": 0.0, SECONDS: 0.0}
    parent = trials[trial.parent].reports if trial.role.inherits and trial.parent is not None else ()
    return next((each for each in (*trial.reports, *parent) if each["epoch"] == report["epoch"] - 1), {})


def _spans(trial: TrialRecord) -> list[_Span]:
    """A trial's stays, each with an end: where nobody knows it, the last report before the next stay."""
    until = [*(stay.begun for stay in trial.stays[1:]), math.inf]
    spans = []
    for stay, limit in zip(trial.stays, until, strict=True):
        seen = [report["seconds"] for report in trial.reports if stay.begun <= report["seconds"] <= limit]
        spans.append(_Span(stay.lane, stay.begun, max(seen, default=stay.begun) if stay.ended is None else stay.ended))
    return spans


def _rows(spans: Iterable[_Span]) -> dict[str, int]:
    """The row of each lane: the first one in which no lane is at work any more when it begins."""
    lives: dict[str, _Span] = {}
    for span in sorted(spans, key=lambda span: span.begun):
        life = lives.get(span.lane, span)
        lives[span.lane] = life._replace(ended=max(life.ended, span.ended))
    rows: dict[str, int] = {}
    free_from: list[float] = []
    for life in lives.values():
        rows[life.lane] = next((row for row, free in enumerate(free_from) if free <= life.begun), len(free_from))
        free_from[rows[life.lane] : rows[life.lane] + 1] = [life.ended]
    return rows


def _parts(trial: TrialRecord, span: _Span, trials: Mapping[int, TrialRecord]) -> tuple[float, float, float]:
    """Seconds until training began, in training, and in validation."""
    here = [report for report in trial.reports if span.begun <= report["seconds"] <= span.ended]
    own = [_own(report, before(report, trial, trials)) for report in here]
    starting = here[0]["seconds"] - span.begun - sum(own[0]) if here else 0.0
    return max(0.0, starting), sum(training for training, _ in own), sum(validation for _, validation in own)


def _own(report: Report, earlier: Report) -> tuple[float, float]:
    """Seconds in training and in validation that one report tells of more than the one before it."""
    samples, both = (report.get(name, math.nan) - earlier.get(name, math.nan) for name in ("samples_seen", SECONDS))
    training = samples / report.get("samples_per_second", math.nan)
    return training, both - training
