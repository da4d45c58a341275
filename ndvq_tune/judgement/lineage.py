"""A trial and what it became: one that was stopped early may be trained to its end, as a trial of its own."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from ndvq_tune.goals import Goals
from ndvq_tune.judgement.comparison import measured
from ndvq_tune.records import Role, TrialRecord


def origin(trial: TrialRecord, trials: Mapping[int, TrialRecord]) -> int:
    """The number of the trial that one goes on from to its end, or else its own.

    Args:
        trial: The trial.
        trials: All trials, by number.
    """
    while trial.role is Role.FINISH and trial.parent is not None:
        trial = trials[trial.parent]
    return trial.number


def representatives(trials: Iterable[TrialRecord], goals: Goals) -> dict[int, TrialRecord]:
    """The run to take of each trial, by its number: itself, or the one that trained it to its end if that is no worse.

    Repetitions stand for the trials that they repeat, and are left out.

    Args:
        trials: All trials of a search.
        goals: What is better.
    """
    by_number = {trial.number: trial for trial in trials}
    found: dict[int, TrialRecord] = {}
    for trial in by_number.values():
        if trial.role is Role.CONFIRM:
            continue
        first = origin(trial, by_number)
        if first not in found or _key(trial, goals) <= _key(found[first], goals):
            found[first] = trial
    return found


def whole(trial: TrialRecord, trials: Iterable[TrialRecord]) -> TrialRecord:
    """A trial with the reports of its whole training: also of the trial that it goes on from, up to where it does.

    Args:
        trial: The trial.
        trials: All trials of its search.
    """
    by_number = {record.number: record for record in trials}
    reports, earlier = trial.reports, trial
    while earlier.role is Role.FINISH and earlier.parent is not None:
        earlier = by_number[earlier.parent]
        reports = (*(one for one in earlier.reports if not reports or one["epoch"] < reports[0]["epoch"]), *reports)
    return replace(trial, reports=reports)


def _key(trial: TrialRecord, goals: Goals) -> tuple[float, ...]:
    if not (measured(trial, goals) and trial.has_model):
        return (1.0,)
    return (0.0, sum(goals.beyond(trial.result)), *goals.costs(trial.result))
