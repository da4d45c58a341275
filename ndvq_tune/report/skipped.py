"""Files that a data set left out: all of them in a table, and one line about them."""

import csv
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from ndvq_tune.atomic import replacing

SKIPPED = "skipped.csv"


def write_skipped(skipped: Mapping[str, str], folder: Path) -> Path:
    """Writes ``skipped.csv`` with the columns ``file`` and ``reason``, and returns its path."""
    path = folder / SKIPPED
    # Names may hold bytes that are no UTF-8.
    with replacing(path) as draft, draft.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        csv.writer(file).writerows([("file", "reason"), *skipped.items()])
    return path


def print_skipped(console: Console, skipped: Mapping[str, str], files: int, table: Path) -> None:
    """Prints one line: how many files are left out, the first with its reason, and where to find the others.

    Args:
        console: Where to print.
        skipped: The files.
        files: How many there are in all.
        table: What ``write_skipped`` wrote.
    """
    if skipped:
        name, reason = next(iter(skipped.items()))
        more = f" and {len(skipped) - 1} more" if len(skipped) > 1 else ""
        line = f"skipped {len(skipped)} of {files} files: {name} ({reason}){more}; see {table}"
        console.print(line, markup=False, highlight=False)
