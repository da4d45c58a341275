"""How good the front was, and when. Pure functions."""

from dataclasses import dataclass

from ndvq_tune.judgement.pareto import dominates, hypervolume
from ndvq_tune.judgement.ranking import costs, eligible, offered, pareto
from ndvq_tune.records import SearchRecord


@dataclass(frozen=True)
class Moment:
    """The state of a search when a trial had finished.

    Attributes:
        seconds: Time since the search began.
        trial: Name of the trial.
        value: With one objective, its best value so far; with several, the hypervolume of the front so far.
    """

    seconds: float
    trial: str
    value: float


def reference(search: SearchRecord) -> dict[str, float]:
    """The worst value of each objective among eligible trials, whether they keep the constraints or not.

    Hypervolumes are measured from there, so those of two searches compare only if they are measured from one point.
    Empty without eligible trials.
    """
    columns = zip(*(costs(trial.metrics, search) for trial in eligible(search)), strict=True)
    worst = [max(column) for column in columns]
    return {
        name: cost if mode == "min" else -cost for (name, mode), cost in zip(search.objectives, worst, strict=False)
    }


def front_hypervolume(search: SearchRecord) -> float | None:
    """Hypervolume of the front, in the product of the objectives' units; none for one objective, or without a front."""
    front = [costs(trial.metrics, search) for trial in pareto(search)]
    if len(search.objectives) == 1 or not front:
        return None
    return hypervolume(front, costs(reference(search), search))


def history(search: SearchRecord) -> list[Moment]:
    """How good the front was after each trial that had finished, of those that a model can be taken from."""
    finished = [trial for trial in offered(search) if trial.state.final]
    finished.sort(key=lambda trial: trial.metrics["seconds"])
    corner = costs(reference(search), search) if finished else ()
    front: list[tuple[float, ...]] = []
    moments: list[Moment] = []
    value = 0.0
    for trial in finished:
        cost = costs(trial.metrics, search)
        if cost not in front and not any(dominates(other, cost) for other in front):
            front = [other for other in front if not dominates(cost, other)] + [cost]
            value = hypervolume(front, corner) if len(corner) > 1 else trial.metrics[search.objectives[0][0]]
        moments.append(Moment(trial.metrics["seconds"], trial.name, value))
    return moments
