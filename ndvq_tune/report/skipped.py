"""Files that a data set left out, all of them in a table, and those that it resampled; a line about each."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from ndvq_tune.atomic import replacing
from ndvq_tune.quantities import count_text

if TYPE_CHECKING:
    from ndvq_tune.config.card import DataCard
    from ndvq_tune.data.dataset import Dataset

SKIPPED = "skipped.csv"


def tell_of_files(console: Console, dataset: "Dataset", folder: Path) -> None:
    """Writes ``skipped.csv``, and prints a line about skipped files and one about resampled ones, where there are some.

    Args:
        console: Where to print.
        dataset: The data set.
        folder: Where the table goes.
    """
    print_skipped(console, dataset.skipped, dataset.files, write_skipped(dataset.skipped, folder))
    print_resampled(console, dataset.card)


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


def print_resampled(console: Console, card: "DataCard | None") -> None:
    """Prints, where sounds have different rates, which one was chosen and how many were resampled to it."""
    if card and card.resampled:
        sounds = sum(card.file_rates.values())
        others = ", ".join(f"{count:,} of {rate:,g} Hz" for rate, count in card.resampled.items())
        console.print(
            f"resampled {sum(card.resampled.values()):,} of {count_text(sounds, 'sound')} to {card.sample_rate:,g} Hz "
            f"({others}): data.sample_rate, or else the rate of the first",
            markup=False,
            highlight=False,
        )
