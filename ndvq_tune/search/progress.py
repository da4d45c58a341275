"""What a person sees while a search runs: a live table on a terminal, one line a report anywhere else."""

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from ndvq_tune.records import TrialRecord, TrialState
from ndvq_tune.report.wording import origin_text

STYLES = {
    TrialState.RUNNING: "cyan",
    TrialState.COMPLETED: "green",
    TrialState.PRUNED: "yellow",
    TrialState.FAILED: "red",
}
SHOWN = 16

_COLUMNS = {
    "recon_loss": ("recon_loss", ".4f"),
    "psnr": ("psnr", ".2f"),
    "ssim": ("ssim", ".4f"),
    "ms_ssim": ("ms_ssim", ".4f"),
    "perplexity": ("perplexity", ".1f"),
    "usage": ("codebook_usage", ".1%"),
    "bits": ("bits_per_element", ".4f"),
}
"""What is shown of a trial's last report, where it has that: the metric, and its format."""


class Progress(Protocol):
    """A view of a running search; a context while it runs."""

    def update(self, record: TrialRecord) -> None:
        """A trial has started, reported or ended."""

    def note(self, message: str) -> None:
        """Something that a person should know."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...


def search_progress(
    console: Console, trials: Callable[[], int], known: tuple[TrialRecord, ...], budget: float | None
) -> Progress:
    """The view that fits where the output goes.

    Args:
        console: Where the output goes.
        trials: Says how many trials the whole search will have; that may change on the way.
        known: Trials of earlier sessions.
        budget: Seconds that this session may take, if limited.
    """
    view = LiveTable if console.is_terminal else Lines
    return view(console, trials, known, budget)


class Lines:
    """One line a report, without control characters.

    Args:
        console: Where the lines go.
        trials: Says how many trials the whole search will have.
        known: Trials of earlier sessions, which are not shown again.
        budget: Not shown in lines.
    """

    def __init__(
        self, console: Console, trials: Callable[[], int], known: tuple[TrialRecord, ...], budget: float | None
    ) -> None:
        self._console, self._trials = console, trials
        self._shown = {record.name: record.metrics.get("epoch") for record in known}

    def update(self, record: TrialRecord) -> None:
        """Print what is new: that the trial starts, its report, how it ended."""
        epoch = record.metrics.get("epoch")
        if record.name not in self._shown or epoch != self._shown[record.name]:
            self._shown[record.name] = epoch
            self._line(f"{record.name} {self._position(record)}")
        if record.state.final:
            self._line(f"{record.name} {_outcome(record)}")

    def _position(self, record: TrialRecord) -> str:
        if not record.reports:
            begins = origin_text(record) or "starts"
            return f"{begins} ({len(self._shown)} of {self._trials()})"
        values = " ".join(f"{name} {cell}" for name, cell in _cells(record.metrics).items() if cell)
        return f"epoch {int(record.metrics['epoch'])}/{record.config.training.max_epochs} {values}"

    def note(self, message: str) -> None:
        """Print the message."""
        self._line(message)

    def _line(self, text: str) -> None:
        self._console.print(text, soft_wrap=True, highlight=False, markup=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        return


class LiveTable:
    """A table of trials that is redrawn in place.

    Args:
        console: A terminal.
        trials: Says how many trials the whole search will have.
        known: Trials of earlier sessions.
        budget: Seconds that this session may take, if limited; for the time left.
    """

    def __init__(
        self, console: Console, trials: Callable[[], int], known: tuple[TrialRecord, ...], budget: float | None
    ) -> None:
        self._trials, self._budget = trials, budget
        self._records = {record.number: record for record in known}
        self._done_before = sum(record.state.final for record in known)
        self._started = time.monotonic()
        self._live = Live(console=console, get_renderable=self._render, refresh_per_second=2, transient=True)

    def update(self, record: TrialRecord) -> None:
        """Take in where the trial is; the next redraw shows it."""
        self._records[record.number] = record

    def note(self, message: str) -> None:
        """Print the message above the table."""
        self._live.console.print(message, markup=False)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.__exit__(None, None, None)

    def _render(self) -> Group:
        table = Table(box=None, pad_edge=False)
        visible = self._visible()
        columns = [name for name in _COLUMNS if any(_cells(record.metrics)[name] for record in visible)]
        for name in ("trial", "epoch", *columns, "state"):
            table.add_column(name, justify="left" if name in ("trial", "state") else "right", no_wrap=name != "state")
        for record in visible:
            epoch = f"{int(record.metrics.get('epoch', 0))}/{record.config.training.max_epochs}"
            state = Text(_outcome(record) or "running", style=STYLES[record.state], no_wrap=True, overflow="ellipsis")
            cells = _cells(record.metrics)
            table.add_row(record.name, epoch, *(cells[name] for name in columns), state)
        return Group(table, self._bar())

    def _visible(self) -> list[TrialRecord]:
        """The running trials and the latest ended ones."""
        records = sorted(self._records.values(), key=lambda record: (not record.state.final, record.number))
        return sorted(records[-SHOWN:], key=lambda record: record.number)

    def _bar(self) -> Bar:
        done = sum(record.state.final for record in self._records.values())
        elapsed = time.monotonic() - self._started
        bar = Bar("{task.description}", BarColumn(), MofNCompleteColumn(), "{task.fields[time]}")
        total = self._trials()
        left = seconds_left(done - self._done_before, total - done, elapsed, self._budget)
        times = f"{clock(elapsed)} passed" + (f", about {clock(left)} left" if left is not None else "")
        bar.add_task("trials", total=total, completed=done, time=times)
        return bar


def seconds_left(done: int, waiting: int, elapsed: float, budget: float | None) -> float | None:
    """Estimate of the seconds left: at the rate of this session so far, but no more than its budget leaves.

    Args:
        done: Trials that have ended in this session.
        waiting: Trials that are still to end.
        elapsed: Seconds of this session.
        budget: Seconds that it may take, if limited.

    Returns:
        The estimate; None as long as no trial has ended and there is no budget.

    Example:
        >>> seconds_left(done=4, waiting=6, elapsed=120, budget=None)
        180.0
        >>> seconds_left(done=4, waiting=6, elapsed=120, budget=200)
        80
    """
    by_trials = elapsed / done * waiting if done else None
    by_budget = max(0.0, budget - elapsed) if budget is not None else None
    estimates = [estimate for estimate in (by_trials, by_budget) if estimate is not None]
    return min(estimates) if estimates else None


def clock(seconds: float) -> str:
    """Seconds as ``m:ss`` or ``h:mm:ss``.

    Example:
        >>> clock(75), clock(3675)
        ('1:15', '1:01:15')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _outcome(record: TrialRecord) -> str:
    if record.state is TrialState.FAILED:
        return f"failed: {(record.error or 'unknown error').splitlines()[0]}"
    if record.state is TrialState.PRUNED:
        return f"pruned ({record.stop_reason})"
    return str(record.state) if record.state.final else ""


def _cells(metrics: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: format(metrics[metric], spec) if metric in metrics else "" for name, (metric, spec) in _COLUMNS.items()
    }
