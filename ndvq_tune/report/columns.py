"""Tables of trials as columns of text, for the terminal and for the report."""

from collections.abc import Sequence

from ndvq_tune.judgement.standing import Standing
from ndvq_tune.records import TrialRecord, short_name, short_value
from ndvq_tune.report.wording import label, metric_text, probability_text

Column = tuple[str, list[str]]


def metric_columns(trials: Sequence[TrialRecord], metrics: Sequence[str]) -> list[Column]:
    """A column for each metric, with what the weights of each trial reached."""
    return [(label(name), [metric_text(name, trial.result.get(name)) for trial in trials]) for name in metrics]


def param_columns(trials: Sequence[TrialRecord]) -> list[Column]:
    """A column for each searched parameter, with each trial's value; empty where a trial does not have it."""
    keys = dict.fromkeys(key for trial in trials for key in trial.params)
    return [
        (short_name(key), [short_value(trial.params[key]) if key in trial.params else "" for trial in trials])
        for key in keys
    ]


def parent_columns(trials: Sequence[TrialRecord]) -> list[Column]:
    """A column with the trial whose weights each one went on from; none where no trial has a parent."""
    parents = [trial.parent_name or "" if trial.role.inherits else "" for trial in trials]
    return [("parent", parents)] if any(parents) else []


def confirmed_columns(standing: Standing) -> list[Column]:
    """The columns of trials that were repeated with other seeds, the best mean first; none where nothing was."""
    items = standing.confirmed
    if not items:
        return []
    first, *others = standing.search.goals.metrics
    mode = standing.search.goals.objectives[0].mode
    columns = [
        ("trial", [item.trial.name for item in items]),
        (label(first), [metric_text(first, item.means[0]) for item in items]),
        ("spread", [metric_text(first, item.spread) for item in items]),
        (f"P({'lowest' if mode == 'min' else 'highest'})", [probability_text(item.probability) for item in items]),
    ]
    for place, name in enumerate(others, start=1):
        columns.append((label(name), [metric_text(name, item.means[place]) for item in items]))
    columns.append(("seeds", [str(item.seeds) for item in items]))
    if any(item.lost for item in items):
        columns.append(("lost", [str(item.lost) for item in items]))
    return columns
