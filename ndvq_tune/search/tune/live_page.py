"""The report while a search runs."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from ndvq_tune.records import SearchRecord

PAUSE = 60.0  # seconds from one page to the next


class LivePage:
    """``report.html``, written anew at most once a minute by a thread of its own; what fails there ends no search.

    Args:
        write: Writes the page of a search as it is.
        failed: Is told once why that failed.
        clock: Tells seconds.
    """

    def __init__(
        self,
        write: Callable[[SearchRecord], None],
        failed: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._write, self._failed, self._clock = write, failed, clock
        self._writer = ThreadPoolExecutor(1)
        self._writing: Future[None] | None = None
        self._due = 0.0
        self._told = False

    def refresh(self, search: Callable[[], SearchRecord]) -> None:
        """Write the page anew if the last one is old enough and whole, and there is something to show.

        Args:
            search: Gives the search as it is; asked only where the page is due.
        """
        if self._clock() < self._due or not (self._writing is None or self._writing.done()):
            return
        self._tell()
        record = search()
        if any(trial.reports for trial in record.trials):
            self._due = self._clock() + PAUSE
            self._writing = self._writer.submit(self._write, record)

    def close(self) -> None:
        """Wait until the page is whole."""
        self._writer.shutdown()
        self._tell()

    def _tell(self) -> None:
        error = None if self._writing is None else self._writing.exception()
        if error is not None and not self._told:
            self._failed(f"report.html: cannot be written now ({error}); the search goes on")
            self._told = True
