"""The same small search by our command and by the recipe of Ray's documentation, each timed from outside."""

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.turns import Pace, Report, turns
from ndvq_tune.records import TrialRecord
from ndvq_tune.search.engine.study import Study
from ndvq_tune.search.space import SearchSpace
from ndvq_tune.search.space.distributions import Choice, Distribution, Range
from ndvq_tune.search.space.settings.scheduler import AshaSettings

ROOT = Path(__file__).parents[1]
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

    name = "ours, 1 worker" if workers else "ours, own process"
    return measured(name, command, folder, trials, _lanes(space), reports)


def reports_of(records: Sequence[TrialRecord]) -> list[Report]:
    """Reports in Unix time. A record has the seconds since its search began, and the Unix time of its end."""
    began = min((r.ended - r.metrics["seconds"] for r in records if r.ended and r.reports), default=0.0)
    return [
        Report(record.name, began + report["seconds"], report["training_seconds"])
        for record in records
        for report in record.reports
    ]


def official(space: SearchSpace, folder: Path, trials: int, spare_cpus: int) -> Pace:
    """Search with the recipe of Ray's documentation; spare CPUs, which Ray only counts, outlive what it leaks."""
    job, times, lanes = folder / "job.json", folder / "times.jsonl", _lanes(space)
    job.write_text(json.dumps(official_job(space, trials, lanes, str(folder / "official"), spare_cpus)))

    def reports() -> list[Report]:
        lines = times.read_text().splitlines() if times.exists() else []
        return [Report(**json.loads(line)) for line in lines]

    return measured(
        "official recipe", ["benchmarks.official_recipe", str(job), str(times)], folder, trials, lanes, reports
    )


def official_job(space: SearchSpace, trials: int, lanes: int, storage: str, spare_cpus: int = 0) -> dict[str, Any]:
    """What ``benchmarks.official_recipe`` needs to know of a space, in plain values."""
    scheduler, objective = space.search.scheduler, space.search.goals.objectives[0]
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
        "spare_cpus": spare_cpus,
        "storage": storage,
    }


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
            problem = f"failed: {log.read_text()[-500:].strip()}" if code else None
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
