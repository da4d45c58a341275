"""The cache of decoded data, and a data set, on the terminal."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ndvq_tune.quantities import bytes_text, count_text, duration
from ndvq_tune.report.card import facts

if TYPE_CHECKING:  # the cache can be shown without torch
    from ndvq_tune.config import DataConfig
    from ndvq_tune.data.cache.entries import Entry
    from ndvq_tune.data.dataset import Dataset, Statistic

_NAMED = 10


def cached_text(new: "Sequence[Entry]", root: Path) -> str:
    """Whether data was in the cache, or which entries were made for it."""
    if not new:
        return f"in the cache already, {root}"
    size = bytes_text(sum(entry.size for entry in new))
    return f"decoded into {root}: {count_text(len(new), 'entry', 'entries')}, {size}"


def print_cache(console: Console, root: Path, limit: int, entries: "Sequence[Entry]") -> None:
    """Prints where the cache is, how full, and its entries.

    Args:
        console: Where to print.
        root: The cache.
        limit: Bytes that it may take.
        entries: What is in it, in the order of the table.
    """
    size = bytes_text(sum(entry.size for entry in entries))
    print_line(console, f"{root}: {count_text(len(entries), 'entry', 'entries')}, {size} of {bytes_text(limit)}")
    if not entries:
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("items", "rows", "size", "last used"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("decoded from", overflow="fold")
    for entry in entries:
        settings = ", ".join(f"{name} {value}" for name, value in entry.settings.items() if value is not None)
        table.add_row(
            _items_text(entry),
            f"{sum(entry.rows):,}",
            bytes_text(entry.size),
            f"{duration(max(0.0, time.time() - entry.used))} ago",
            Text.assemble(entry.place, (f"\n{settings}" * bool(settings), "dim")),
        )
    console.print(table)


def print_damage(console: Console, damage: Mapping[Path, Sequence[str]]) -> None:
    """Prints which entries are damaged, and in which files."""
    for folder, files in damage.items():
        print_line(
            console, f"{folder}: damaged: {', '.join(files)}; remove this folder, and it is decoded again when needed"
        )
    if not damage:
        print_line(console, "all check sums are right")


def print_dataset(console: Console, config: "DataConfig", dataset: "Dataset", where: str) -> None:
    """Prints facts of a data set as a model will see it.

    Args:
        console: Where to print.
        config: What it was opened with.
        dataset: The data set.
        where: Whether it was in the cache.
    """
    of_card = facts(dataset.card, dataset.train.shape) if dataset.card else {}
    shown = of_card | {
        "data": f"{config.type}, {config.path}",
        "files": f"{dataset.files:,}, of which {len(dataset.skipped):,} are skipped",
        "mean": f"{_numbers(dataset.mean)}, of what a model sees",
        "variance": f"{_numbers(dataset.variance)}, of what a model sees",
        "augment": ", ".join(config.augment) or "nothing",
        "cache": where,
    }
    for name, text in shown.items():
        print_line(console, f"{name:12}{text}")


def print_skipped_files(console: Console, skipped: Mapping[str, str]) -> None:
    """Prints the first files that a data set left out, with the reasons."""
    for name, reason in list(skipped.items())[:_NAMED]:
        print_line(console, f"skipped {name}: {reason}")
    if len(skipped) > _NAMED:
        print_line(console, f"skipped {len(skipped) - _NAMED:,} more")


def print_line(console: Console, text: str) -> None:
    """Prints a line as it is: no markup, and no break in a path that someone will copy."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def _numbers(statistic: "Statistic") -> str:
    """One number, or that of each channel, of many the first."""
    each = statistic if isinstance(statistic, tuple) else (statistic,)
    return " ".join([f"{value:.4g}" for value in each[:_NAMED]] + ["..."] * (len(each) > _NAMED))


def _items_text(entry: "Entry") -> str:
    text = count_text(len(entry.rows), entry.noun.removesuffix("s"))
    return f"{text}\n{entry.skipped:,} skipped" if entry.skipped else text
