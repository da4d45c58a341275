"""``python -m benchmarks.search``: does it find more, sooner? Strategies on models of recorded trainings.

Every strategy runs in simulated time, from many seeds. What takes the place of training has learned from curves that
``benchmarks.replay.record`` made. The first task asks when each strategy comes near the best model that keeps a bit
budget, the second how soon each finds the front of rate and distortion.
"""

import argparse
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.replay import syne
from benchmarks.replay.beds import BEDS
from benchmarks.replay.comparison import GOAL_GAP, Runs, gap_at, goals, speedup, time_to
from benchmarks.replay.comparison import with_best_one_epoch as tidy
from benchmarks.replay.outcome import GAPS, Estimate
from benchmarks.replay.picture import write_picture
from benchmarks.replay.runs import Conditions, Run, run_all
from benchmarks.replay.simulator import OVERHEAD
from benchmarks.replay.strategies import BASELINES, ONE_EPOCH, OURS, RANDOM, STOCK, STRATEGIES, TOLD
from benchmarks.replay.surrogate import MODELS
from benchmarks.replay.table import DATA, load_curves, recorded
from benchmarks.replay.task import TASKS, Scenario
from benchmarks.report import Goal, goals_table, machine, print_machine, wide_console, write_json

FIRST_SEED = 10_000  # the configurations of the table were drawn with seeds from 0
TRAININGS = 60  # average ones, in full, that a run can pay for
SHARES = (0.05, 0.1, 0.25, 0.5, 1.0)  # of the budget


def rows_of(scenario: Scenario, wanted: Sequence[str]) -> list[str]:
    """The strategies; under a bit budget also each baseline as one that is told of it."""
    told = [name + TOLD for name in wanted if name in BASELINES and scenario.constrained]
    return [*wanted, *told]


def replay(tasks: Sequence[Conditions], options: argparse.Namespace) -> dict[Conditions, dict[str, list[Run]]]:
    """All runs of tasks on one bed, by strategy; seed after seed, as making a bed takes seconds."""
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    rows = {task: rows_of(task.scenario, options.strategies) for task in tasks}
    jobs = [(task, row, seed) for seed in seeds for task in tasks for row in rows[task]]
    runs: dict[Conditions, dict[str, list[Run]]] = {task: {row: [] for row in rows[task]} for task in tasks}
    found = track(run_all(jobs, options.processes), tasks[0].bed, total=len(jobs), transient=True)
    for (task, row, _), one in zip(jobs, found, strict=True):
        runs[task][row].append(one)
    return runs


def times_table(title: str, runs: Runs, budget: float) -> Table:
    """When each strategy had closed the gap, and how many times sooner than others."""
    table = _table(f"{title}: simulated seconds to within")
    against = [name for name in (RANDOM, STOCK) if name in runs]
    for column in (*(f"{gap:.0%}" for gap in GAPS), *(f"x {name.split()[0]}" for name in against), "trials", "epochs"):
        table.add_column(column, justify="right", no_wrap=True)
    for name, found in runs.items():
        times = [_seconds(time_to(found, gap), budget) for gap in GAPS]
        ratios = [f"{speedup(runs[other], found, GOAL_GAP, budget).median:.2g}" for other in against]
        work = [f"{fmean(getattr(run, part) for run in found):.0f}" for part in ("trials", "epochs")]
        table.add_row(name, *times, *ratios, *work, style="bold" if name == OURS else "")
    return table


def gaps_table(title: str, runs: Runs, budget: float) -> Table:
    """How wide the gap was at shares of the budget."""
    table = _table(f"{title}: gap at a share of the budget, in %")
    for share in SHARES:
        table.add_column(f"{share:.0%}", justify="right", no_wrap=True)
    for name, found in runs.items():
        gaps = [gap_at(found, share * budget) for share in SHARES]
        table.add_row(name, *map(_percent, gaps), style="bold" if name == OURS else "")
    return table


def _table(title: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("median \\[95% interval]", no_wrap=True)
    return table


def _seconds(time: Estimate, budget: float) -> str:
    median, low, high = (f"{t:.0f}" if t < budget else f">{budget:.0f}" for t in asdict(time).values())
    return f"{median} \\[{low}, {high}]" if time.low < budget else median


def _percent(gap: Estimate) -> str:
    median, low, high = (f"{100 * g:.1f}" if g < 10 else "-" for g in asdict(gap).values())
    return f"{median} \\[{low}, {high}]"


def compare(console: Console, conditions: Conditions, runs: dict[str, list[Run]]) -> tuple[Runs, list[Goal]]:
    """Print the tables of one task on one bed."""
    title = f"{conditions.bed} bed of {conditions.scenario.data}, {conditions.scenario.name}"
    kept = tidy(runs)
    console.print(times_table(title, kept, conditions.budget))
    console.print(gaps_table(title, kept, conditions.budget))
    if tried := [name for name in runs if name.startswith(ONE_EPOCH)]:
        console.print(f"Tried: {'; '.join(tried)}. Shown is the first to {GOAL_GAP:.0%}.", highlight=False)
    return kept, list(goals(conditions, kept))


def run(console: Console, options: argparse.Namespace) -> tuple[dict[str, Any], list[Goal]]:
    """Run everything, and print each bed when it is done."""
    described = machine()
    print_machine(console, described)
    curves = load_curves(options.data)
    training = fmean(curve.seconds[-1] for curve in curves)
    budget = options.trainings * training / options.lanes
    console.print(
        f"{options.data}: {len(curves)} recorded configurations of {len(curves[0].reports)} epochs.\n"
        f"{options.seeds} seeds, {options.lanes} lanes, {budget:.0f} simulated seconds each, the cost of "
        f"{options.trainings} trainings of {training:.1f} s; {OVERHEAD} s from trial to trial.",
        highlight=False,
    )
    shown: dict[str, Runs] = {}
    asked: list[Goal] = []
    rows: list[dict[str, Any]] = []
    for bed in options.bed:
        tasks = [Conditions(bed, TASKS[name](options.data), options.lanes, budget) for name in options.task]
        for conditions, runs in replay(tasks, options).items():
            kept, found = compare(console, conditions, runs)
            shown[f"{bed}, {conditions.scenario.name}"] = kept
            asked += found
            rows += [one.row(conditions) for row in runs.values() for one in row]
    if not syne.INSTALLED:
        console.print(syne.MISSING)
    if asked:
        console.print(goals_table(asked))
    if options.picture:
        write_picture(options.picture, shown, budget)
    return {"machine": described, "lanes": options.lanes, "budget": budget, "rows": rows}, asked


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    usual = [*BASELINES, OURS]
    parser.add_argument("--bed", nargs="+", choices=BEDS, default=list(MODELS), help="what takes the place of training")
    parser.add_argument("--data", choices=recorded(), default=DATA[0], help="the recorded table")
    parser.add_argument("--task", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--seeds", type=int, default=30, help="runs of each strategy")
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    parser.add_argument("--lanes", type=int, default=2, help="trainings that run at once")
    parser.add_argument("--trainings", type=float, default=TRAININGS, help="budget of a run, in average trainings")
    parser.add_argument(
        "--strategies", nargs="+", choices=STRATEGIES, default=usual, metavar="NAME", help=f"of {list(STRATEGIES)}"
    )
    parser.add_argument("--variants", action="store_true", help="also ours with other settings")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="runs at once on this machine")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw the gaps over time into this file")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write a row for every run to this file")
    options = parser.parse_args()
    if options.variants:
        options.strategies = list(STRATEGIES)
    write_json(options.json, *run(wide_console(), options))


if __name__ == "__main__":
    main()
