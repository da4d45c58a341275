"""The end of a search on the terminal: short, at home in 80 columns, and plain text in a pipe."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ndvq_tune.diagnosis.finding import Diagnosis
from ndvq_tune.judgement.standing import Standing
from ndvq_tune.quantities import count_text
from ndvq_tune.records import SearchRecord, TrialRecord
from ndvq_tune.report.columns import Column, confirmed_columns, metric_columns, param_columns, parent_columns
from ndvq_tune.report.comparison import Entry, ahead, differences, search_columns
from ndvq_tune.report.finding import finding
from ndvq_tune.report.skipped import SKIPPED
from ndvq_tune.report.wording import (
    circumstances,
    evidence_text,
    failures,
    mattered,
    outcome,
    params_text,
    rescues,
    sentence,
    shown_metrics,
    verdict_text,
)

ROWS, RESCUES = 5, 3
COMPARED = 4  # columns that say what searches came to
_FILES = ("report.html", "best.yaml", "summary.json", "trials.parquet", "curves.parquet")


def print_summary(standing: Standing, diagnosis: Diagnosis, console: Console, folder: Path, mlflow: str | None) -> None:
    """Prints what came of the search, the best trials, the front, and where everything is.

    Args:
        standing: The search.
        diagnosis: What is to be thought of it.
        console: Where to print.
        folder: The results folder; files that are in it are named.
        mlflow: What shows the search in MLflow: lines to type or to open.
    """
    search, names = standing.search, standing.search.goals.metrics
    _prose(console, f"{search.name}: {outcome(search)}", style="bold")
    for line in (*failures(search), *circumstances(search)):
        _prose(console, line)
    _rescues(console, search)
    if search.skipped_files:
        _line(console, f"{count_text(len(search.skipped_files), 'file')} skipped, see {folder / SKIPPED}")
    trials = standing.ranked[:ROWS]
    _table(console, "Best trials", _trial_columns(trials, shown_metrics(search)), param_columns(trials))
    if len(names) > 1:
        title = "Rate-distortion front" if {"recon_loss", "bits_per_element"} <= set(names) else "Pareto front"
        _table(console, title, _trial_columns(standing.front, names), param_columns(standing.front))
    _table(console, "Repeated with other seeds", confirmed_columns(standing))
    _line(console)
    _prose(console, finding(standing))
    if line := mattered(search):
        _prose(console, line)
    if standing.best is not None:
        _prose(console, params_text(standing.best), style="dim")
    _line(console)
    _verdict(console, diagnosis, folder)
    _line(console)
    _places(console, folder, mlflow)


def print_diagnosis(diagnosis: Diagnosis, console: Console, folder: Path) -> None:
    """Prints the verdict, and each finding with its evidence, what to do, and the command that does it.

    Args:
        diagnosis: What is to be thought of a search.
        console: Where to print.
        folder: Its results folder, as one types it; commands name it.
    """
    _prose(console, verdict_text(diagnosis), style="bold")
    for found in diagnosis.findings:
        if found.sign != diagnosis.why:
            _line(console)
            _prose(console, sentence(found.sign))
        _prose(console, evidence_text(found), style="dim")
        _prose(console, sentence(found.advice))
        if found.change is not None:
            _line(console, found.change.command(folder))


def print_comparison(compared: Sequence[Entry], console: Console, page: Path) -> None:
    """Prints which search is ahead, or why none is, a row a search, and where the page is.

    Args:
        compared: The searches.
        console: Where to print.
        page: The page that compares them.
    """
    _prose(console, ahead(compared), style="bold")
    for difference in differences(compared):
        _prose(console, difference)
    columns = search_columns(compared)
    _table(console, "Searches", columns[:COMPARED], columns[COMPARED:])
    _line(console)
    _line(console, str(page))


def _verdict(console: Console, diagnosis: Diagnosis, folder: Path) -> None:
    """The verdict, the first thing to do, and where there is more: three lines."""
    _prose(console, verdict_text(diagnosis), style="bold")
    if diagnosis.first is not None:
        _prose(console, f"Next: {diagnosis.first.advice}.")
        findings = count_text(len(diagnosis.findings), "finding")
        _line(console, f"{findings}, with commands: python -m ndvq_tune.report {folder} --diagnose")


def _rescues(console: Console, search: SearchRecord) -> None:
    lines = rescues(search)
    for line in lines[:RESCUES]:
        _prose(console, f"rescued {line}")
    if len(lines) > RESCUES:
        _line(console, f"and {count_text(len(lines) - RESCUES, 'more rescue')}")


def _trial_columns(trials: Sequence[TrialRecord], metrics: Sequence[str]) -> list[Column]:
    return [("trial", [trial.name for trial in trials]), *parent_columns(trials), *metric_columns(trials, metrics)]


def _table(console: Console, title: str, columns: Sequence[Column], more: Sequence[Column] = ()) -> None:
    """A table with all of the first columns, and as many of the others as there is room for; none without rows."""
    if not columns or not columns[0][1]:
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    shown: list[list[str]] = []
    room = console.width
    for number, (head, texts) in enumerate([*columns, *more]):
        room -= max(len(text) for text in (head, *texts)) + 2
        if number >= len(columns) and room < 0:
            break
        table.add_column(head, justify="right" if number else "left", no_wrap=True)
        shown.append(texts)
    for row in zip(*shown, strict=True):
        table.add_row(*row)
    _line(console)
    _line(console, title, style="bold")
    console.print(table)


def _places(console: Console, folder: Path, mlflow: str | None) -> None:
    places = [("results", str(folder))]
    files = [name for name in _FILES if (folder / name).exists()]
    if files:
        places.append(("", ", ".join(files)))
    if mlflow is not None:
        places += zip(("MLflow", ""), mlflow.splitlines(), strict=False)
    for name, text in places:
        _line(console, f"{name:9}{text}")


def _prose(console: Console, text: str, style: str | None = None) -> None:
    console.print(text, style=style, markup=False, highlight=False)


def _line(console: Console, text: str = "", style: str | None = None) -> None:
    """A line as it is: no markup, and no break in a path or a command that someone will copy."""
    console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)
