"""The same small search by our command and by the recipe of Ray's documentation, each timed from outside."""

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.turns import Pace, Report, turns
from ndvq_tune.goals import Goals
from ndvq_tune.records import TrialRecord
from ndvq_tune.search.engine.study import Study
from ndvq_tune.search.space import SearchSpace

ROOT = Path(__file__).parents[1]
START_SECONDS, TRIAL_SECONDS = 180, 90  # after which a run counts as hung
STOP_SECONDS = 30


def smoke_space(folder: Path, lanes: int, trials: int) -> SearchSpace:
    """The shipped smoke space with one objective, all that ASHA in Ray Tune knows, and nothing else to stop."""
    changes = {
        "data.path": str(folder / "data" / "image_dataset"),
        "search.objectives": [{"metric": "recon_loss", "mode": "min"}],
        "search.constraints": [],
        "search.scheduler": {"type": "asha", "grace_period": 1, "reduction_factor": 2},
        "search.stop": {"collapse": None, "plateau": None},
        "search.time_budget": None,
        "search.trials": trials,
        "search.resources": {"lanes": lanes, "cpus_per_worker": 1},
    }
    overrides = [f"{key}={json.dumps(value)}" for key, value in changes.items()]
    return SearchSpace.load(ROOT / "search_spaces" / "smoke.yaml", overrides)


def ours(space: SearchSpace, folder: Path, workers: int) -> Pace:
    """Search with our command."""
    path, output = folder / "space.yaml", folder / f"ours-{workers}"
    path.write_text(space.to_yaml())
    options = ["--set", f"search.resources.workers_per_trial={workers}"]
    command = ["ndvq_tune.search", "--space", str(path), "--output", str(output), *options]
    name = "ours, 1 worker" if workers else "ours, own process"
    return measured(name, command, folder, space, lambda: of_study(output, space))


def official(space: SearchSpace, folder: Path, spare_cpus: int) -> Pace:
    """Search with the recipe of Ray's documentation; spare CPUs, which Ray only counts, outlive what it leaks."""
    path, reports = folder / "official.yaml", folder / "reports.jsonl"
    path.write_text(space.to_yaml())
    command = ["benchmarks.official_recipe", str(path), str(reports), str(folder / "official")]
    command += ["--spare-cpus", str(spare_cpus)]
    return measured("official recipe", command, folder, space, lambda: of_file(reports))


def of_study(output: Path, space: SearchSpace) -> list[Report]:
    """The reports of our search, so far."""
    return reports_of(Study.open(output, space).records, space.search.goals) if output.exists() else []


def of_file(path: Path) -> list[Report]:
    """The reports that another search has written, so far."""
    return [Report(**json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []


def reports_of(records: Sequence[TrialRecord], goals: Goals) -> list[Report]:
    """Reports in Unix time, none before a trial has ended.

    A record has the seconds since its search began, and the Unix time of its end.
    """
    began = min((r.ended - r.metrics["seconds"] for r in records if r.ended and r.reports), default=None)
    if began is None:
        return []
    metric = goals.objectives[0].metric
    return [
        Report(record.name, began + report["seconds"], report["training_seconds"], report[metric])
        for record in records
        for report in record.reports
    ]


def measured(
    name: str, command: Sequence[str], folder: Path, space: SearchSpace, reports: Callable[[], list[Report]]
) -> Pace:
    """Run a command, and see what it has reported, also when it hangs or fails."""
    lanes, limit = space.search.resources.lanes, START_SECONDS + TRIAL_SECONDS * space.search.trials
    assert isinstance(lanes, int)
    began, unix = time.monotonic(), time.time()
    code, said = run(command, folder, limit)
    problem = f"hung: not done after {limit} s" if code is None else f"failed: {said}" if code else None
    whole, found = time.monotonic() - began, reports()
    first = min((report.at - unix for report in found), default=math.nan)
    return Pace(name, lanes, first, whole, tuple(turns(found, lanes)), problem)


def run(command: Sequence[str], folder: Path, limit: float) -> tuple[int | None, str]:
    """Run a module for so many seconds at most.

    Args:
        command: The module, and its arguments.
        folder: Where it runs, and leaves what it says.
        limit: Seconds.

    Returns:
        Its exit code, or None if it was ended; and the last of what it said.
    """
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
        except subprocess.TimeoutExpired:
            code = None
        finally:
            _end(process)
    return code, log.read_text()[-500:].strip()


def _end(process: subprocess.Popen[bytes]) -> None:
    """Let a process that is still there end; Ray's own processes go with it."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
