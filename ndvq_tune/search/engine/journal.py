"""The file that a search is kept in."""

import json
import os
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from optuna.storages.journal import BaseJournalBackend

SECONDS_TO_DISK = 1.0


class Journal(BaseJournalBackend):
    """Optuna's journal in a file that has one writer, who is its one reader, too, and holds the whole results folder.

    The operating system has every entry at once, so a driver that is killed loses none; the disk has it within a second
    or so. To wait for the disk at each of some forty entries a trial takes longer than all else that the driver does.
    Optuna asks what is new before and after all that it does; it hears that from memory, not from the file.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._on_disk = path, time.monotonic()
        self._unread = deque(path.read_bytes().splitlines() if path.exists() else ())

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Add entries."""
        lines = [json.dumps(log, separators=(",", ":")).encode() for log in logs]
        with self._path.open("ab") as file:
            file.writelines(line + b"\n" for line in lines)
            file.flush()
            if time.monotonic() - self._on_disk > SECONDS_TO_DISK:
                os.fsync(file.fileno())
                self._on_disk = time.monotonic()
        self._unread.extend(lines)

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """The entries that have not been read yet, which are those from that number on."""
        while self._unread:
            yield json.loads(self._unread.popleft())


def drop_torn_line(journal: Path) -> None:
    """Cut off a last line that a killed driver did not finish: Optuna would append to it and spoil both lines."""
    if not journal.exists():
        return
    content = journal.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with journal.open("r+b") as file:
            file.truncate(whole)
