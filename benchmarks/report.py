"""What benchmarks say at the end: on what machine, which goals are reached, and a file with everything."""

import json
import os
import platform
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from rich import box
from rich.console import Console
from rich.table import Table

WIDTH = 150  # where the output is no terminal


@dataclass(frozen=True)
class Goal:
    """A figure and what it should be.

    Attributes:
        what: What is measured, in words.
        measured: The figure.
        bound: What it should be at least, or at most.
        unit: Written behind both.
        at_least: Whether more is better.
    """

    what: str
    measured: float
    bound: float
    unit: str = "x"
    at_least: bool = True

    @property
    def reached(self) -> bool:
        """Whether the figure is on the right side of the bound."""
        return self.measured >= self.bound if self.at_least else self.measured <= self.bound


def goals_table(goals: Iterable[Goal]) -> Table:
    """Goals, measured figures, and plainly whether each is reached."""
    table = Table(title="Goals", title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("what")
    table.add_column("goal", justify="right")
    table.add_column("measured", justify="right")
    table.add_column("reached")
    for goal in goals:
        sign = "≥" if goal.at_least else "≤"
        reached = "[green]yes" if goal.reached else "[red]NO"
        table.add_row(goal.what, f"{sign} {goal.bound:g}{goal.unit}", f"{goal.measured:.3g}{goal.unit}", reached)
    return table


def machine() -> dict[str, Any]:
    """What the figures depend on beside the code."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
    }


def wide_console() -> Console:
    """Where results are printed: as wide as the terminal, or wide enough for the tables in a file or a pipe."""
    return Console(width=None if sys.stdout.isatty() else WIDTH)


def print_machine(console: Console, described: dict[str, Any]) -> None:
    """One line above the tables; the load tells whether other programs took part of the machine."""
    text = "{cpu}, {cores} cores (load {load:.1f}), threads: {threads}, torch {torch}, {date}"
    console.print(text.format(**described), highlight=False, style="dim", soft_wrap=True)


def write_json(path: Path | None, results: dict[str, Any], goals: Iterable[Goal]) -> None:
    """Write all results with their goals, if a file is wanted."""
    if path:
        content = {**results, "goals": [{**asdict(goal), "reached": goal.reached} for goal in goals]}
        path.write_text(json.dumps(content, indent=2) + "\n")


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
