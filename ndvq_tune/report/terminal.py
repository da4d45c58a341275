"""The end of a search on the terminal: short, at home in 80 columns, and plain text in a pipe."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ndvq_tune.records import SearchRecord, TrialRecord, short_name, short_value
from ndvq_tune.report.ranking import best, pareto, ranked
from ndvq_tune.report.skipped import SKIPPED
from ndvq_tune.report.wording import (
    count_text,
    finding,
    label,
    metric_text,
    outcome,
    params_text,
    shown_metrics,
    stop_reasons,
)

ROWS = 5
_FILES = ("report.html", "best.yaml", "summary.json", "trials.parquet", "curves.parquet")


def print_summary(search: SearchRecord, console: Console, folder: Path, mlflow_command: str | None) -> None:
    """Prints what came of the search, the best trials, the front, and where everything is.

    Args:
        search: The search.
        console: Where to print.
        folder: The results folder; files that are in it are named.
        mlflow_command: What shows the search in MLflow.
    """
    _line(console, f"{search.name}: {outcome(search)}", style="bold")
    reasons = stop_reasons(search)
    if reasons:
        _line(console, "stopped early by " + ", ".join(f"{name} {count}" for name, count in reasons.items()))
    if search.skipped_files:
        _line(console, f"{count_text(len(search.skipped_files), 'file')} skipped, see {folder / SKIPPED}")
    trials = ranked(search)
    if trials:
        _table(console, "Best trials", trials[:ROWS], shown_metrics(search))
    front = pareto(search)
    if len(search.objectives) > 1 and front:
        names = [name for name, _ in search.objectives]
        title = "Rate-distortion front" if {"recon_loss", "bits_per_element"} <= set(names) else "Pareto front"
        _table(console, title, front, names)
    _line(console)
    _prose(console, finding(search))
    winner = best(search)
    if winner is not None:
        _prose(console, params_text(winner), style="dim")
    _line(console)
    _places(console, folder, mlflow_command)


def _table(console: Console, title: str, trials: Sequence[TrialRecord], metrics: Sequence[str]) -> None:
    """A row a trial: its metrics, then as many of its parameters as there is room for."""
    columns = [("trial", [trial.name for trial in trials])]
    columns += [(label(name), [metric_text(name, trial.metrics.get(name)) for trial in trials]) for name in metrics]
    for key in dict.fromkeys(key for trial in trials for key in trial.params):
        texts = [short_value(trial.params[key]) if key in trial.params else "" for trial in trials]
        columns.append((short_name(key), texts))
    table = Table(box=None, pad_edge=False, header_style="dim")
    room = console.width
    for number, (head, texts) in enumerate(columns):
        width = max(len(text) for text in (head, *texts)) + 2
        if number > len(metrics) and width > room:
            break
        room -= width
        table.add_column(head, justify="right" if number else "left", no_wrap=True)
    shown = [texts for _, texts in columns[: len(table.columns)]]
    for row in zip(*shown, strict=True):
        table.add_row(*row)
    _line(console)
    _line(console, title, style="bold")
    console.print(table)


def _places(console: Console, folder: Path, mlflow_command: str | None) -> None:
    places = [("results", str(folder))]
    files = [name for name in _FILES if (folder / name).exists()]
    if files:
        places.append(("", ", ".join(files)))
    if mlflow_command is not None:
        places.append(("MLflow", mlflow_command))
    for name, text in places:
        _line(console, f"{name:9}{text}")


def _prose(console: Console, text: str, style: str | None = None) -> None:
    console.print(text, style=style, markup=False, highlight=False)


def _line(console: Console, text: str = "", style: str | None = None) -> None:
    """A line as it is: no markup, and no break in a path or a command that someone will copy."""
    console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)
