"""How slow work on data is reported."""

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""``progress(description, done, total)``: called as work goes on, ``done`` counting up to ``total``."""


def silent(description: str, done: int, total: int) -> None:
    """A progress that shows nothing."""
