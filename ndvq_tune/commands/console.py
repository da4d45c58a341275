"""What all commands share: where they print, how they fail, and how they show work on data."""

import atexit
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.progress import Progress as Bar
from rich.progress import TaskID

from ndvq_tune.errors import NdvqError

if TYPE_CHECKING:  # NumPy, which --help does without
    from ndvq_tune.data.cache.source import Progress

USER_ERROR = 2
INTERRUPTED = 130

# Before it exits Python looks through all that was imported for what can be freed, which takes 2 s.
atexit.register(gc.freeze)


def output_console() -> Console:
    """Where a command prints: as wide as the terminal, and in a file or a pipe as wide as a line is."""
    return Console(soft_wrap=not sys.stdout.isatty())


@contextmanager
def plain_errors() -> Iterator[None]:
    """Print a user's mistake without a traceback and exit with code 2; on Ctrl-C say so and exit with 130."""
    errors = Console(stderr=True, soft_wrap=True, style="red", highlight=False, markup=False)
    try:
        yield
    except KeyboardInterrupt:
        errors.print("Interrupted")
        raise typer.Exit(INTERRUPTED) from None
    except NdvqError as error:
        errors.print(str(error))
        raise typer.Exit(USER_ERROR) from None


@contextmanager
def data_progress(console: Console) -> Iterator["Progress"]:
    """A bar for each piece of work on data, while it lasts; on a terminal only."""
    with Bar(console=console, transient=True, disable=not console.is_terminal) as bar:
        tasks: dict[str, TaskID] = {}

        def show(description: str, done: int, total: int) -> None:
            if description not in tasks:
                tasks[description] = bar.add_task(description, total=total)
            bar.update(tasks[description], completed=done)

        yield show
