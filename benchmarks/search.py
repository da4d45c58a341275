"""``python -m benchmarks.search``: does it find more, sooner? Strategies replayed on recorded trainings.

Every strategy runs in simulated time on the same table of learning curves, which ``benchmarks.replay.record`` made,
from many seeds. The first scenario asks when each comes near the best model that keeps a bit budget, the second how
soon each finds the front of rate and distortion.
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
from benchmarks.replay.comparison import GAPS, GOAL_GAP, SOONER_THAN, Runs, gap_at, goals, speedup, time_to
from benchmarks.replay.comparison import with_best_one_epoch as tidy
from benchmarks.replay.lookup import Lookup, StandIn
from benchmarks.replay.outcome import Estimate
from benchmarks.replay.picture import write_picture
from benchmarks.replay.runs import Conditions, Run, run_all
from benchmarks.replay.simulator import OVERHEAD
from benchmarks.replay.strategies import BASELINES, KNOWING, ONE_EPOCH, OURS, STRATEGIES
from benchmarks.replay.table import TABLE, Curve, load_curves, load_space
from benchmarks.replay.task import BUDGET, FRONT, Scenario
from benchmarks.report import Goal, goals_table, machine, print_machine, wide_console, write_json

SCENARIOS = {"budget": BUDGET, "front": FRONT}
FIRST_SEED = 10_000  # the configurations of the table were drawn with seeds from 0
TRAININGS = 60  # average ones, in full, that a run can pay for
SHARES = (0.05, 0.1, 0.25, 0.5, 1.0)  # of the budget


def rows_of(scenario: Scenario, wanted: Sequence[str]) -> list[str]:
    """The strategies; under a bit budget also each baseline as one that is told of it."""
    knowing = [name + KNOWING for name in wanted if name in BASELINES and scenario.constrained]
    return [*wanted, *knowing]


def replay(scenario: Scenario, options: argparse.Namespace, conditions: Conditions) -> dict[str, list[Run]]:
    """All runs of a scenario, by strategy."""
    rows = rows_of(scenario, options.strategies)
    jobs = [(conditions, scenario, row, seed) for row in rows for seed in range(FIRST_SEED, FIRST_SEED + options.seeds)]
    runs: dict[str, list[Run]] = {row: [] for row in rows}
    for run in track(run_all(jobs, options.processes), scenario.name, total=len(jobs), transient=True):
        runs[run.strategy].append(run)
    return runs


def times_table(title: str, runs: Runs, budget: float) -> Table:
    """When each strategy had closed the gap, and how many times sooner than others."""
    table = _table(f"{title}: simulated seconds to within")
    against = [name for name in SOONER_THAN if name in runs]
    for column in (*(f"{gap:.0%}" for gap in GAPS), *(f"x {name.split()[0]}" for name in against), "trials", "epochs"):
        table.add_column(column, justify="right", no_wrap=True)
    for name, found in runs.items():
        times = [_seconds(time_to(found, gap), budget) for gap in GAPS]
        ratios = [f"{speedup(runs[other], found, GOAL_GAP, budget):.2g}" for other in against]
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


def print_stand_in(console: Console, curves: Sequence[Curve], lookup: Lookup) -> StandIn:
    """Say how far a replay can be trusted."""
    found = lookup.stand_in()
    weights = sorted(lookup.weights.items(), key=lambda item: -item[1])[:5]
    console.print(
        f"Table: {len(curves)} configurations of {len(curves[0].reports)} epochs. "
        f"Where one was not recorded, the nearest of the same rate stands in. Leaving each out: rank correlation of "
        f"the final recon_loss {found.rank_correlation:.2f} (within one rate {found.within_rate:.2f}), median error of "
        f"it {found.loss_error:.1%}, mean error of the cost {found.cost_error:.0%}.\n"
        f"What counts most for nearness: {', '.join(f'{key} {weight:.0%}' for key, weight in weights)}.",
        highlight=False,
    )
    return found


def run(console: Console, options: argparse.Namespace) -> tuple[dict[str, Any], list[Goal]]:
    """Replay everything, and print each scenario when it is done."""
    described = machine()
    print_machine(console, described)
    curves = load_curves(options.table)
    stand_in = print_stand_in(console, curves, Lookup(load_space(), curves))
    training = fmean(curve.seconds[-1] for curve in curves)
    conditions = Conditions(options.table, options.lanes, options.trainings * training / options.lanes)
    console.print(
        f"{options.seeds} seeds, {options.lanes} lanes, {conditions.budget:.0f} simulated seconds each, the cost of "
        f"{options.trainings} trainings of {training:.1f} s; {OVERHEAD} s from trial to trial.",
        highlight=False,
    )
    shown: dict[str, Runs] = {}
    asked: list[Goal] = []
    everything: dict[str, Any] = {}
    for name in options.scenarios:
        scenario = SCENARIOS[name]
        runs = replay(scenario, options, conditions)
        everything[name] = {row: [asdict(one) for one in found] for row, found in runs.items()}
        shown[scenario.name] = kept = tidy(runs)
        console.print(times_table(scenario.name, kept, conditions.budget))
        console.print(gaps_table(scenario.name, kept, conditions.budget))
        asked += goals(name, kept, conditions.budget)
    if tried := [name for name in options.strategies if name.startswith(ONE_EPOCH)]:
        console.print(f"Tried: {'; '.join(tried)}. Shown is the first to {GOAL_GAP:.0%}.", highlight=False)
    if not syne.INSTALLED:
        console.print(syne.MISSING)
    if asked:
        console.print(goals_table(asked))
    if options.picture:
        write_picture(options.picture, shown, conditions.budget)
    found = {"machine": described, "stand_in": asdict(stand_in), "lanes": options.lanes, "budget": conditions.budget}
    return {**found, "runs": everything}, asked


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    usual = [*BASELINES, OURS]
    parser.add_argument("--seeds", type=int, default=30, help="runs of each strategy")
    parser.add_argument("--lanes", type=int, default=2, help="trainings that run at once")
    parser.add_argument("--trainings", type=float, default=TRAININGS, help="budget of a run, in average trainings")
    parser.add_argument(
        "--strategies", nargs="+", choices=STRATEGIES, default=usual, metavar="NAME", help=f"of {list(STRATEGIES)}"
    )
    parser.add_argument("--variants", action="store_true", help="also ours with other settings")
    parser.add_argument("--scenarios", nargs="+", choices=SCENARIOS, default=list(SCENARIOS))
    parser.add_argument("--table", type=Path, default=TABLE, help="the recorded curves")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="runs at once on this machine")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw the gaps over time into this file")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything, every run too, to this file")
    options = parser.parse_args()
    if options.variants:
        options.strategies = list(STRATEGIES)
    write_json(options.json, *run(wide_console(), options))


if __name__ == "__main__":
    main()
