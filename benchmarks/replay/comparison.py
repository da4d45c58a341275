"""What the runs of all strategies say beside each other."""

from collections.abc import Iterator, Mapping, Sequence

from benchmarks.replay.outcome import GAPS, Estimate, estimate, ratio
from benchmarks.replay.runs import Conditions, Run
from benchmarks.replay.strategies import ONE_EPOCH, OURS, RANDOM, STOCK, is_told
from benchmarks.report import Goal

GOAL_GAP = 0.05
SOONER_THAN = {"budget": {RANDOM: 8.0, STOCK: 2.0, ONE_EPOCH: 1.0}, "front": {RANDOM: 4.0, ONE_EPOCH: 1.5}}
Runs = Mapping[str, Sequence[Run]]


def time_to(runs: Sequence[Run], gap: float) -> Estimate:
    """When half of the runs had closed the gap this far, in simulated seconds."""
    return estimate([run.progress.reached(gap) for run in runs])


def gap_at(runs: Sequence[Run], seconds: float) -> Estimate:
    """How wide the gap was at a time, relative to the best."""
    return estimate([run.progress.at(seconds) for run in runs])


def speedup(slow: Sequence[Run], fast: Sequence[Run], gap: float, budget: float) -> Estimate:
    """How many times sooner the fast ones had closed the gap, over the same seeds.

    Runs that never did count as if they had at the end of the budget, so that where these are most of the slow ones
    the true figure is higher.
    """
    return ratio(*([min(run.progress.reached(gap), budget) for run in runs] for runs in (slow, fast)))


def with_best_one_epoch(runs: Runs) -> dict[str, Sequence[Run]]:
    """Of the rows with one epoch first only those that get to the goal soonest: the baseline at its best."""

    def soonest(rows: list[str]) -> str:
        return min(rows, key=lambda name: [time_to(runs[name], gap).median for gap in (GOAL_GAP, GAPS[-1], GAPS[0])])

    tried = [name for name in runs if name.startswith(ONE_EPOCH)]
    groups = [[name for name in tried if is_told(name) is told] for told in (False, True)]
    kept = {soonest(group) for group in groups if group}
    return {name: found for name, found in runs.items() if name not in tried or name in kept}


def goals(conditions: Conditions, runs: Runs) -> Iterator[Goal]:
    """What is asked of ours beside the baselines that ran: under a bit budget beside those that are told it."""
    if OURS not in runs:
        return
    told = any(map(is_told, runs))
    for name, bound in SOONER_THAN[conditions.scenario.name].items():
        for row in (row for row in runs if row.startswith(name) and is_told(row) is told):
            found = speedup(runs[row], runs[OURS], GOAL_GAP, conditions.budget)
            interval = f"[{found.low:.2g}, {found.high:.2g}]"
            what = f"{conditions.bed}, {conditions.scenario.name}: to {GOAL_GAP:.0%} sooner than {row} {interval}"
            yield Goal(what, found.median, bound)
