"""How soon a search reports: the steps to its first report, and what all of its processes compute till then.

    python -m benchmarks.start --against ../another_checkout

Each turn starts the smoke space anew, with this working tree's code and with that of another one if there is one, with
a results folder and an MLflow database of its own; a first start, which is not measured, makes the data. A search is
ended at its first report. Seconds of computing are those of the driver, of Ray's own processes and of the lanes; they
depend less on what else runs.
"""

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from benchmarks.report import Goal, goals_table, machine, print_machine, wide_console, write_json

HERE = Path(__file__).parents[1]
STEPS = {"opening": "first line", "trials on": "lanes are known", "starts": "a lane is up", "epoch 1/": "first report"}
MARK = "NDVQ_BENCHMARK_START"
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Start:
    """One start.

    Attributes:
        seconds: From the command to each step.
        cpu: Seconds of computing, of all processes, until the first report.
    """

    seconds: Mapping[str, float]
    cpu: float


def start(tree: Path, space: Path, here: Path) -> Start:
    """Start a search with the code of a working tree, and end it at its first report.

    Args:
        tree: The working tree.
        space: The search space.
        here: The current folder of the search: one without code, as that would come first.
    """
    with tempfile.TemporaryDirectory() as folder:
        mark = f"{os.getpid()}-{time.time_ns()}"
        command = [sys.executable, "-m", "ndvq_tune.search", "--space", str(space), "--output", f"{folder}/out"]
        began = time.perf_counter()
        driver = subprocess.Popen(
            [*command, "--tracking-uri", f"sqlite:///{folder}/mlflow.db"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=here,
            env=os.environ | {"PYTHONPATH": str(tree), MARK: mark},
        )  # fmt: skip
        seconds: dict[str, float] = {}
        printed = []
        assert driver.stdout is not None
        for line in driver.stdout:
            printed.append(line)
            for text, step in STEPS.items():
                if text in line:
                    seconds.setdefault(step, time.perf_counter() - began)
            if len(seconds) == len(STEPS):
                break
        cpu = computed(mark)
        driver.send_signal(signal.SIGINT)
        driver.communicate()
        if len(seconds) < len(STEPS):
            raise RuntimeError(f"the search of {tree} ended before its first report:\n{''.join(printed)}")
        return Start(seconds, cpu)


def computed(mark: str) -> float:
    """Seconds that all living processes with a mark in their environment have computed."""
    ticks = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (process / "environ").read_bytes():
                fields = (process / "stat").read_text().rpartition(")")[2].split()
                ticks += int(fields[11]) + int(fields[12])
        except OSError:  # it has ended, or is not ours
            continue
    return ticks / TICKS


def medians(starts: list[Start]) -> dict[str, float]:
    """Of each step, and of what was computed."""
    steps = {step: statistics.median(one.seconds[step] for one in starts) for step in STEPS.values()}
    return steps | {"computing": statistics.median(one.cpu for one in starts)}


def main() -> None:
    parser = argparse.ArgumentParser(description="How soon a search reports.")
    parser.add_argument("--against", type=Path, help="another working tree, started in turn")
    parser.add_argument("--space", type=Path, default=HERE / "search_spaces" / "smoke.yaml")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    options = parser.parse_args()
    console, described = wide_console(), machine()
    print_machine(console, described)
    trees = {"this tree": HERE} | ({"the other": options.against.resolve()} if options.against else {})
    starts: dict[str, list[Start]] = {name: [] for name in trees}
    with tempfile.TemporaryDirectory() as here:
        space = options.space.resolve()
        start(HERE, space, Path(here))
        for _ in range(options.turns):
            for name, tree in trees.items():
                starts[name].append(start(tree, space, Path(here)))
    found = {name: medians(some) for name, some in starts.items()}
    table = Table(
        box=box.SIMPLE_HEAD, pad_edge=False, title=f"Seconds, medians of {options.turns}", title_justify="left"
    )
    table.add_column("until")
    for name in found:
        table.add_column(name, justify="right")
    for step in (*STEPS.values(), "computing"):
        table.add_row(step, *(f"{figures[step]:.1f}" for figures in found.values()))
    console.print(table)
    goals = []
    if options.against:
        ratio = found["this tree"]["first report"] / found["the other"]["first report"]
        goals.append(Goal("first report, against the other", ratio, 2 / 3, "x", at_least=False))
        console.print(goals_table(goals))
    every: dict[str, Any] = {
        name: [{**one.seconds, "computing": one.cpu} for one in some] for name, some in starts.items()
    }
    write_json(options.json, {"machine": described, "starts": every, "medians": found}, goals)


if __name__ == "__main__":
    main()
