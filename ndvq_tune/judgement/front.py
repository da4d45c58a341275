"""How good the front was, and when. Pure functions."""

from collections.abc import Sequence
from dataclasses import dataclass

from ndvq_tune.judgement.pareto import dominates, hypervolume
from ndvq_tune.judgement.standing import Standing


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


def reference(standing: Standing) -> dict[str, float]:
    """The worst value of each objective among eligible trials, whether they keep the constraints or not.

    Hypervolumes are measured from there, so those of two searches compare only if they are measured from one point.
    Empty without eligible trials.
    """
    columns = zip(*(standing.costs(trial) for trial in standing.eligible), strict=True)
    worst = zip(standing.search.goals.objectives, (max(column) for column in columns), strict=False)
    return {objective.metric: objective.cost(cost) for objective, cost in worst}


def front_hypervolume(standing: Standing) -> float | None:
    """Hypervolume of the front, in the product of the objectives' units; none for one objective, or without a front."""
    goals, front = standing.search.goals, [standing.costs(trial) for trial in standing.front]
    if len(goals.objectives) == 1 or not front:
        return None
    return hypervolume(front, goals.costs(reference(standing)))


def front_hypervolumes(standings: Sequence[Standing]) -> list[float]:
    """Hypervolumes of the fronts of searches with the same objectives, all from the worst values of any of them.

    Args:
        standings: The searches; their objectives are several.
    """
    costs = [standing.costs(trial) for standing in standings for trial in standing.eligible]
    corner = [max(column) for column in zip(*costs, strict=True)]
    fronts = [[standing.costs(trial) for trial in standing.front] for standing in standings]
    return [hypervolume(front, corner) if front else 0.0 for front in fronts]


def history(standing: Standing) -> list[Moment]:
    """How good the front was after each trial that had finished, of those that a model can be taken from."""
    goals = standing.search.goals
    finished = [trial for trial in standing.offered if trial.state.final]
    finished.sort(key=lambda trial: trial.result["seconds"])
    corner = goals.costs(reference(standing)) if finished else ()
    front: list[tuple[float, ...]] = []
    moments: list[Moment] = []
    value = 0.0
    for trial in finished:
        cost = standing.costs(trial)
        if cost not in front and not any(dominates(other, cost) for other in front):
            front = [other for other in front if not dominates(cost, other)] + [cost]
            value = hypervolume(front, corner) if len(corner) > 1 else trial.result[goals.metrics[0]]
        moments.append(Moment(trial.result["seconds"], trial.name, value))
    return moments
