"""Which trials are good: the ranking, the Pareto front, and the one to recommend. Pure functions."""

import math
from collections.abc import Mapping

from ndvq_tune.records import Role, SearchRecord, TrialRecord


def eligible(search: SearchRecord) -> list[TrialRecord]:
    """Trials that a model can be taken from: sound, measured in every objective, and with a checkpoint.

    A trial that was stopped early is as good as its numbers. One that was last measured on smaller samples is not: its
    numbers are of another task. Repetitions measure the trial that they repeat, and are not on offer themselves.
    """
    names = [name for name, _ in search.objectives]
    return [
        trial
        for trial in search.trials
        if trial.role is not Role.CONFIRM
        and trial.sound
        and trial.checkpoint is not None
        and full_fidelity(trial.metrics)
        and trial.finite(*names)
    ]


def full_fidelity(report: Mapping[str, float]) -> bool:
    """Whether a report was measured on samples of full size."""
    return report.get("fidelity", 1.0) == 1.0


def satisfies(trial: TrialRecord, search: SearchRecord) -> bool:
    """Whether a trial's last report keeps every constraint; a metric that is missing or NaN keeps none."""
    for name, kind, bound in search.constraints:
        value = trial.metrics.get(name, math.nan)
        if not (value <= bound if kind == "at_most" else value >= bound):
            return False
    return True


def ranked(search: SearchRecord) -> list[TrialRecord]:
    """Eligible trials by the first objective, best first; those that keep the constraints before all others."""
    return sorted(
        eligible(search), key=lambda trial: (not satisfies(trial, search), *_costs(trial, search), trial.number)
    )


def pareto(search: SearchRecord) -> list[TrialRecord]:
    """Trials that no other beats in one objective without losing in another, by the last objective, best first.

    The choice is among those that keep the constraints, or among all where none does: a model over the bit budget
    is no offer as long as there is one within it.
    """
    offered = eligible(search)
    offered = [trial for trial in offered if satisfies(trial, search)] or offered
    costs = {trial.number: _costs(trial, search) for trial in offered}
    front = [trial for trial in offered if not any(_dominates(other, costs[trial.number]) for other in costs.values())]
    return sorted(front, key=lambda trial: (costs[trial.number][::-1], trial.number))


def best(search: SearchRecord) -> TrialRecord | None:
    """The trial to recommend: the knee of the front.

    With each objective scaled to [0, 1] over the front, the distance to the chord between the extremes of two
    objectives grows as the sum of the scaled values falls. So the knee is where that sum is lowest, for any number of
    objectives; among equals, and so in a front of two, the first objective decides.
    """
    front = pareto(search)
    if not front:
        return None
    costs = [_costs(trial, search) for trial in front]
    lows = [min(column) for column in zip(*costs, strict=True)]
    spans = [max(column) - low for column, low in zip(zip(*costs, strict=True), lows, strict=True)]

    def key(index: int) -> tuple[float, tuple[float, ...], int]:
        scaled = [(cost - low) / span for cost, low, span in zip(costs[index], lows, spans, strict=True) if span > 0]
        return round(sum(scaled), 9), costs[index], front[index].number

    return front[min(range(len(front)), key=key)]


def _costs(trial: TrialRecord, search: SearchRecord) -> tuple[float, ...]:
    """The objectives' values, turned so that less is better."""
    return tuple(trial.metrics[name] * (1 if mode == "min" else -1) for name, mode in search.objectives)


def _dominates(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a != b and all(x <= y for x, y in zip(a, b, strict=True))
