"""What a search costs beside training: ours next to the recipe of Ray's documentation, and the driver's own cost.

    python -m benchmarks.overhead

Searches of the shipped smoke space, one after the other, with one lane unless told otherwise: ours with a worker
process and without one, and Ray's official recipe of a ``TorchTrainer`` a trial (``benchmarks.official_recipe``). Same
model, data, threads, objective and early stopping; ours also keeps MLflow, a journal and a checkpoint of every report,
the recipe none of these. Overhead is a lane's time from the last report of one trial to the last report of the next,
less what that one spent in training and validation. The driver's cost is ``benchmarks.bookkeeping``.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.report import Goal, goals_table, machine, print_machine, write_json
from benchmarks.turns import Pace, Report, turns
from ndvq_tune.records import TrialRecord
from ndvq_tune.search.distributions import Choice, Distribution, Range
from ndvq_tune.search.settings.scheduler import AshaSettings
from ndvq_tune.search.space import SearchSpace
from ndvq_tune.search.study import Study

ROOT = Path(__file__).parents[1]
OFFICIAL = "official recipe, a trainer a trial"
LESS_OVERHEAD, MORE_TRIALS = 20, 5
START_SECONDS, TRIAL_SECONDS = 180, 90  # after which a run counts as hung
STOP_SECONDS = 30


def smoke_space(folder: Path, lanes: int) -> SearchSpace:
    """The shipped smoke space with one objective, all that ASHA in Ray Tune knows, and nothing else to stop."""
    changes = {
        "data.path": str(folder / "data" / "image_dataset"),
        "search.objectives": [{"metric": "recon_loss", "mode": "min"}],
        "search.constraints": [],
        "search.scheduler": {"type": "asha", "grace_period": 1, "reduction_factor": 2},
        "search.stop": {"collapse": None, "plateau": None},
        "search.time_budget": None,
        "search.resources": {"lanes": lanes, "cpus_per_worker": 1},
    }
    overrides = [f"{key}={json.dumps(value)}" for key, value in changes.items()]
    return SearchSpace.load(ROOT / "search_spaces" / "smoke.yaml", overrides)


def ours(space: SearchSpace, folder: Path, trials: int, workers: int) -> Pace:
    """Search with our command."""
    path, output = folder / "space.yaml", folder / f"ours-{workers}"
    path.write_text(space.to_yaml())
    options = ["--set", f"search.resources.workers_per_trial={workers}", "--trials", str(trials)]
    command = ["ndvq_tune.search", "--space", str(path), "--output", str(output), *options]

    def reports() -> list[Report]:
        return reports_of(Study.open(output, space).records) if output.exists() else []

    name = f"ours, workers_per_trial {workers}"
    return measured(name, command, folder, trials, _lanes(space), reports)


def reports_of(records: Sequence[TrialRecord]) -> list[Report]:
    """Reports in Unix time. A record has the seconds since its search began, and the Unix time of its end."""
    began = min((r.ended - r.metrics["seconds"] for r in records if r.ended and r.reports), default=0.0)
    return [
        Report(record.name, began + report["seconds"], report["training_seconds"])
        for record in records
        for report in record.reports
    ]


def official(space: SearchSpace, folder: Path, trials: int) -> Pace:
    """Search with the recipe of Ray's documentation."""
    job, times, lanes = folder / "job.json", folder / "times.jsonl", _lanes(space)
    job.write_text(json.dumps(official_job(space, trials, lanes, str(folder / "official"))))

    def reports() -> list[Report]:
        lines = times.read_text().splitlines() if times.exists() else []
        return [Report(**json.loads(line)) for line in lines]

    return measured(OFFICIAL, ["benchmarks.official_recipe", str(job), str(times)], folder, trials, lanes, reports)


def official_job(space: SearchSpace, trials: int, lanes: int, storage: str) -> dict[str, Any]:
    """What ``benchmarks.official_recipe`` needs to know of a space, in plain values."""
    scheduler, objective = space.search.scheduler, space.search.objectives[0]
    assert isinstance(scheduler, AshaSettings)
    return {
        "fixed": space.complete({}).to_dict(),
        "searched": {parameter.key: _plain(parameter.distribution) for parameter in space.searched},
        "metric": objective.metric,
        "mode": objective.mode,
        "max_epochs": space.max_epochs,
        "grace_period": scheduler.grace_period,
        "reduction_factor": scheduler.reduction_factor,
        "trials": trials,
        "lanes": lanes,
        "storage": storage,
    }


def run_searches(console: Console, trials: int, official_trials: int, lanes: int) -> tuple[list[Pace], list[Goal]]:
    """All three ways, one after the other."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        space = smoke_space(folder, lanes)
        ways: list[Callable[[], Pace]] = [
            lambda: ours(space, folder, trials, workers=1),
            lambda: ours(space, folder, trials, workers=0),
            lambda: official(space, folder, official_trials),
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
    """A row for each way."""
    table = Table(
        title="From trial to trial", title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False
    )
    columns = ("way", "trials", "overhead a trial, s", "training, s", "trials/min", "first report, s", "whole, s")
    for name in columns:
        table.add_column(name, justify="left" if name == "way" else "right")
    for pace in paces:
        figures = ["-"] * 3
        if pace.turns:
            overhead = f"{pace.overhead:.2f} ({pace.overheads[0]:.2f} to {pace.overheads[-1]:.2f})"
            figures = [overhead, f"{pace.trained:.2f}", f"{pace.per_minute:.1f}"]
        counted = len(pace.turns)
        table.add_row(pace.name, str(counted), *figures, f"{pace.first_report:.1f}", f"{pace.whole:.0f}")
    return table


def measured(
    name: str, command: Sequence[str], folder: Path, trials: int, lanes: int, reports: Callable[[], list[Report]]
) -> Pace:
    """Run a command, and see what it has reported, also when it hangs or fails."""
    limit = START_SECONDS + TRIAL_SECONDS * trials
    began, unix = time.monotonic(), time.time()
    log = folder / "log.txt"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            code = process.wait(limit)
            problem = f"failed: {log.read_text()[-2000:]}" if code else None
        except subprocess.TimeoutExpired:
            problem = f"hung: not done after {limit} s"
        finally:
            _end(process)
    whole, found = time.monotonic() - began, reports()
    first = min((report.at - unix for report in found), default=math.nan)
    return Pace(name, lanes, first, whole, tuple(turns(found, lanes)), problem)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Let a process that is still there end; Ray's own processes go with it."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _lanes(space: SearchSpace) -> int:
    assert isinstance(space.search.resources.lanes, int)
    return space.search.resources.lanes


def _plain(distribution: Distribution) -> dict[str, Any]:
    match distribution:
        case Choice(values):
            return {"choice": values}
        case Range(low, high, log, integer=False):
            return {"low": low, "high": high, "log": log}
        case _:
            raise TypeError(f"{distribution} has no counterpart in benchmarks.official_recipe")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--trials", type=int, default=24, help="trials of our searches")
    parser.add_argument("--official-trials", type=int, default=6, help="trials of the official recipe")
    parser.add_argument("--lanes", type=int, default=1, help="concurrent trials")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything to this file too")
    options = parser.parse_args()
    console = Console()
    described = machine()
    print_machine(console, described)
    paces, goals = run_searches(console, options.trials, options.official_trials, options.lanes)
    console.print(goals_table(goals))
    write_json(options.json, {"machine": described, "searches": [asdict(pace) for pace in paces]}, goals)


if __name__ == "__main__":
    main()
