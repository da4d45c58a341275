"""A step at the end of a search, where what fails keeps nothing else from being finished."""

from collections.abc import Callable
from typing import TypeVar

from rich.console import Console

from ndvq_tune.errors import NdvqError, first_line

T = TypeVar("T")


def attempt(console: Console, what: str, step: Callable[[], T], otherwise: T) -> T:
    """What a step gives; where it fails, its cause is told in a line, and the search goes on to its end.

    The trials are in the journal by then, so that ``--resume`` or ``python -m ndvq_tune.report`` can make good for it.

    Args:
        console: Where that is told.
        what: What the step makes, as people know it.
        step: The step.
        otherwise: What is gone on with if it fails.
    """
    try:
        return step()
    except Exception as error:  # whatever a codec, a file system or a damaged checkpoint raises
        cause = first_line(error) if isinstance(error, NdvqError) else f"{type(error).__name__}: {first_line(error)}"
        console.print(f"{what}: left out, as it failed: {cause}", markup=False, highlight=False, soft_wrap=True)
        return otherwise
