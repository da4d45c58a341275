"""What the runs of all strategies say beside each other."""

import math
from collections.abc import Iterator, Mapping, Sequence

from benchmarks.replay.outcome import Estimate, estimate
from benchmarks.replay.runs import Run
from benchmarks.replay.strategies import KNOWING, ONE_EPOCH, OURS, RANDOM, STOCK, knows_budget
from benchmarks.report import Goal

GAPS = (0.01, 0.05, 0.10)
GOAL_GAP = 0.05
SOONER_THAN = {RANDOM: 5.0, STOCK: 1.5}
Runs = Mapping[str, Sequence[Run]]


def time_to(runs: Sequence[Run], gap: float) -> Estimate:
    """When half of the runs had closed the gap this far, in simulated seconds."""
    return estimate([run.progress.reached(gap) for run in runs])


def gap_at(runs: Sequence[Run], seconds: float) -> Estimate:
    """How wide the gap was at a time, relative to the table's best."""
    return estimate([run.progress.at(seconds) for run in runs])


def speedup(slow: Sequence[Run], fast: Sequence[Run], gap: float, budget: float) -> float:
    """How many times sooner the fast ones had closed the gap.

    Where the slow ones never did, they count as if they had at the end of the budget, so the true figure is higher.
    """
    theirs, ours = time_to(slow, gap).median, time_to(fast, gap).median
    if math.isinf(ours):
        return 1.0 if math.isinf(theirs) else 0.0
    return min(theirs, budget) / ours


def with_best_one_epoch(runs: Runs) -> dict[str, Sequence[Run]]:
    """Of the rows with one epoch first only those that get to the goal soonest: the baseline at its best."""

    def soonest(rows: list[str]) -> str:
        return min(rows, key=lambda name: [time_to(runs[name], gap).median for gap in (GOAL_GAP, GAPS[-1], GAPS[0])])

    tried = [name for name in runs if name.startswith(ONE_EPOCH)]
    groups = [[name for name in tried if knows_budget(name) is knowing] for knowing in (False, True)]
    kept = {soonest(group) for group in groups if group}
    return {name: found for name, found in runs.items() if name not in tried or name in kept}


def goals(scenario: str, runs: Runs, budget: float) -> Iterator[Goal]:
    """What is asked of ours beside the baselines that ran, alone and knowing the bit budget."""
    if OURS not in runs:
        return
    for name, bound in SOONER_THAN.items():
        for row in (name, name + KNOWING):
            if row in runs:
                yield _goal(scenario, runs, row, GOAL_GAP, bound, budget)
    for row in runs:
        if row.startswith(ONE_EPOCH):
            for gap in GAPS:
                yield _goal(scenario, runs, row, gap, 1.0, budget)


def _goal(scenario: str, runs: Runs, row: str, gap: float, bound: float, budget: float) -> Goal:
    at_least = ", which never gets there" if math.isinf(time_to(runs[row], gap).median) else ""
    what = f"{scenario}: to {gap:.0%} sooner than {row}{at_least}"
    return Goal(what, speedup(runs[row], runs[OURS], gap, budget), bound)
