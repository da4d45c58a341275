"""Which trials are good: the ranking, the Pareto front, and the one to recommend. Pure functions."""

import math
from collections.abc import Mapping
from dataclasses import replace

from ndvq_tune.judgement.pareto import front_ranks, knee
from ndvq_tune.judgement.repetitions import confirmed
from ndvq_tune.records import Role, SearchRecord, TrialRecord, full_fidelity


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


def broken(trial: TrialRecord, search: SearchRecord) -> list[tuple[str, str, float]]:
    """The constraints that a trial's last report does not keep; a metric that is missing or NaN keeps none."""
    values = {name: trial.metrics.get(name, math.nan) for name, _, _ in search.constraints}
    return [
        (name, kind, bound)
        for name, kind, bound in search.constraints
        if not (values[name] <= bound if kind == "at_most" else values[name] >= bound)
    ]


def satisfies(trial: TrialRecord, search: SearchRecord) -> bool:
    """Whether a trial's last report keeps every constraint."""
    return not broken(trial, search)


def ranked(search: SearchRecord) -> list[TrialRecord]:
    """Eligible trials by the first objective, best first; those that keep the constraints before all others."""
    return sorted(
        eligible(search),
        key=lambda trial: (not satisfies(trial, search), *costs(trial.metrics, search), trial.number),
    )


def offered(search: SearchRecord) -> list[TrialRecord]:
    """Eligible trials that keep the constraints, or all of them where none does.

    A model over the bit budget is no offer as long as there is one within it.
    """
    trials = eligible(search)
    return [trial for trial in trials if satisfies(trial, search)] or trials


def pareto(search: SearchRecord) -> list[TrialRecord]:
    """The front of what is offered: no other trial beats these in one objective without losing in another.

    They are in the order of the last objective, best first.
    """
    trials = offered(search)
    of_all = [costs(trial.metrics, search) for trial in trials]
    front = [index for index, rank in enumerate(front_ranks(of_all)) if rank == 0]
    return [trials[index] for index in sorted(front, key=lambda index: (of_all[index][::-1], trials[index].number))]


def best(search: SearchRecord) -> TrialRecord | None:
    """The trial to recommend: the knee of the front, which for one objective is its best value.

    Trials that were repeated with other seeds are judged by their means, wherever these put them. With one objective,
    the recommended trial is the repeated one that is most probably the best.
    """
    front, repeated = pareto(search), confirmed(search)
    if len(search.objectives) == 1 and repeated:
        numbers = {trial.number for trial in offered(search)}
        tried = [item for item in repeated if item.trial.number in numbers]
        front = [max(tried, key=lambda item: item.probability).trial] if tried else front
    if not front:
        return None
    values = judged(search)
    return front[knee([costs(values[trial.number], search) for trial in front])]


def judged(search: SearchRecord) -> dict[int, Mapping[str, float]]:
    """The objectives of each eligible trial, by its number: means where it was repeated, else what it reported last."""
    names = [name for name, _ in search.objectives]
    means = {item.trial.number: dict(zip(names, item.means, strict=True)) for item in confirmed(search)}
    return {trial.number: means.get(trial.number, trial.metrics) for trial in eligible(search)}


def without_repetitions(search: SearchRecord) -> SearchRecord:
    """The search with the trials that it consists of; repetitions with other seeds are counted apart."""
    return replace(search, trials=tuple(trial for trial in search.trials if trial.role is not Role.CONFIRM))


def costs(metrics: Mapping[str, float], search: SearchRecord) -> tuple[float, ...]:
    """The objectives' values, turned so that less is better."""
    return tuple(metrics[name] * (1 if mode == "min" else -1) for name, mode in search.objectives)
