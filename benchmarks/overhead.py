"""What a search costs beside training: ours next to the recipe of Ray's documentation, and the driver's own cost.

    python -m benchmarks.overhead

Searches of the shipped smoke space, one after the other, with one lane unless told otherwise: ours with a worker
process and without one, and Ray's official recipe of a ``TorchTrainer`` a trial (``benchmarks.official_recipe``). Same
model, data, threads, objective and early stopping; ours also keeps MLflow, a journal and a checkpoint of every report,
the recipe none of these. Overhead is a lane's time from the last report of one trial to the last report of the next,
less what that one spent in training and validation. The driver's cost is that of ``benchmarks.bookkeeping``.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.bookkeeping import REPORTS, TRIALS, Cost
from benchmarks.report import Goal, goals_table, machine, print_machine, wide_console, write_json
from benchmarks.searching import official, ours, smoke_space
from benchmarks.turns import Pace

LESS_OVERHEAD, MORE_TRIALS = 20, 5
TRIALS_PER_SECOND, MEGABYTES_GROWN = 20, 100
MEGABYTE = 1e6


def run_searches(
    console: Console, trials: int, official_trials: int, lanes: int, spare_cpus: int
) -> tuple[list[Pace], list[Goal]]:
    """All three ways, one after the other."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        space = smoke_space(folder, lanes, trials)
        ways: list[Callable[[], Pace]] = [
            lambda: ours(space, folder, workers=1),
            lambda: ours(space, folder, workers=0),
            lambda: official(smoke_space(folder, lanes, official_trials), folder, spare_cpus),
        ]
        paces = []
        for way in ways:
            paces.append(way())
            console.print(f"{paces[-1].name}: {paces[-1].problem or 'done'}", highlight=False, markup=False)
    console.print(paces_table(paces))
    return paces, goals_of(paces)


def goals_of(paces: Sequence[Pace]) -> list[Goal]:
    """Ours against the recipe, as far as both got."""
    recipe = paces[-1]
    found = []
    for pace in paces[:-1] if recipe.turns else ():
        if pace.turns:
            less, more = recipe.overhead / pace.overhead, pace.per_minute / recipe.per_minute
            found.append(Goal(f"less overhead a trial, {pace.name}", less, LESS_OVERHEAD))
            found.append(Goal(f"trials a minute, {pace.name}", more, MORE_TRIALS))
    return found


def paces_table(paces: Sequence[Pace]) -> Table:
    """A row for each way: turns measured, medians, what lies before the first report, and the whole command."""
    columns = ("way", "turns", "overhead, s", "range, s", "training, s", "trials/min", "first, s", "all, s")
    table = _table("From trial to trial", columns)
    for pace in paces:
        figures = ["-"] * 4
        if pace.turns:
            extent = f"{pace.overheads[0]:.2f}-{pace.overheads[-1]:.2f}"
            figures = [f"{pace.overhead:.2f}", extent, f"{pace.trained:.2f}", f"{pace.per_minute:.1f}"]
        table.add_row(pace.name, str(len(pace.turns)), *figures, f"{pace.first_report:.1f}", f"{pace.whole:.0f}")
    return table


def cost_of(sampler: str, trials: int) -> Cost:
    """The driver's cost, in a process of its own, so that memory is that of these trials."""
    command = [sys.executable, "-m", "benchmarks.bookkeeping", "--sampler", sampler, "--trials", str(trials)]
    found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return Cost(**found | {"memory": {int(ended): size for ended, size in found["memory"].items()}})


def cost_goals(cost: Cost) -> list[Goal]:
    """What bookkeeping may cost. That memory is flat means: little more than the records themselves."""
    quarter, last = cost.quarter, max(cost.memory)
    grown = (cost.memory[last] - cost.memory[quarter]) / MEGABYTE
    missing = cost.trials + cost.reports - sum(cost.in_mlflow)
    return [
        Goal(f"trials a second, {cost.sampler}", cost.rate, TRIALS_PER_SECOND, ""),
        Goal(f"memory grown, trial {quarter} to {last}", grown, MEGABYTES_GROWN, " MB", at_least=False),
        Goal("trials and reports missing in MLflow", missing, 0, "", at_least=False),
    ]


def costs_table(costs: Sequence[Cost]) -> Table:
    """A row for each sampler; what MLflow takes runs beside the driver."""
    columns = ("sampler", "trials/s", "all, s", "CPU, s", "driver, s", "proposing, s", "MLflow, s", "memory, MB")
    table = _table(f"Bookkeeping of {costs[0].trials:,} trials with {REPORTS} reports", columns)
    for cost in costs:
        seconds = (cost.seconds, cost.cpu, cost.driver, cost.proposing, cost.mlflow)
        memory = "-".join(f"{size / MEGABYTE:.0f}" for size in (cost.memory[cost.quarter], max(cost.memory.values())))
        table.add_row(cost.sampler, f"{cost.rate:.1f}", *(f"{spent:.1f}" for spent in seconds), memory)
    return table


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for place, name in enumerate(columns):
        table.add_column(name, justify="right" if place else "left", no_wrap=True)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--trials", type=int, default=24, help="trials of our searches")
    parser.add_argument("--official-trials", type=int, default=6, help="trials of the official recipe")
    parser.add_argument("--lanes", type=int, default=1, help="concurrent trials")
    parser.add_argument("--spare-cpus", type=int, default=0, help="CPUs that Ray counts for the recipe beyond its need")
    parser.add_argument("--bookkeeping-trials", type=int, default=TRIALS, help="made-up trials of the driver")
    parser.add_argument("--part", choices=("searches", "bookkeeping"), help="only this; both if not given")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything to this file too")
    options = parser.parse_args()
    console = wide_console()
    described = machine()
    print_machine(console, described)
    paces: list[Pace] = []
    costs: list[Cost] = []
    goals: list[Goal] = []
    if options.part != "bookkeeping":
        paces, goals = run_searches(console, options.trials, options.official_trials, options.lanes, options.spare_cpus)
    if options.part != "searches":
        costs = [cost_of(sampler, options.bookkeeping_trials) for sampler in ("random", "tpe")]
        console.print(costs_table(costs))
        goals += cost_goals(costs[0])  # what TPE takes longer is Optuna's own
    console.print(goals_table(goals))
    results = {
        "machine": described,
        "searches": [asdict(pace) for pace in paces],
        "bookkeeping": [asdict(cost) for cost in costs],
    }
    write_json(options.json, results, goals)


if __name__ == "__main__":
    main()
