"""Optuna's side of a search: its journal, and how a trial is read from it."""

import json
import os
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
from optuna.storages.journal import BaseJournalBackend
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from ndvq_tune.records import Rescue, Role, StopReason, TrialRecord, TrialState

SECONDS_TO_DISK = 1.0

STATES = {
    OptunaState.COMPLETE: TrialState.COMPLETED,
    OptunaState.PRUNED: TrialState.PRUNED,
    OptunaState.FAIL: TrialState.FAILED,
}
OPTUNA_STATES = {ours: theirs for theirs, ours in STATES.items()}


class FirstObjectiveStudy(optuna.Study):
    """A study whose intermediate values measure the first objective, also where there are several.

    Optuna's TPE ranks pruned trials by intermediate values, but asks for ``direction``, which a study with several
    objectives refuses to have.
    """

    @property
    def direction(self) -> optuna.study.StudyDirection:
        """That of the first objective."""
        return self.directions[0]


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


def record_of(frozen: FrozenTrial) -> TrialRecord:
    """A trial as the journal has it."""
    attributes = frozen.user_attrs
    reason, checkpoint = attributes.get("stop_reason"), attributes.get("checkpoint", {})
    origin = attributes.get("origin", {})
    return TrialRecord(
        number=frozen.number,
        params=attributes["params"],
        config=attributes["config"],
        state=STATES.get(frozen.state, TrialState.RUNNING),
        reports=tuple(value for key, value in sorted(attributes.items()) if key.startswith("report:") and value),
        stop_reason=StopReason(reason) if reason else None,
        error=attributes.get("error"),
        checkpoint=checkpoint.get("folder"),
        checkpoint_epoch=checkpoint.get("epoch", 0),
        started=attributes["started"],
        ended=attributes.get("ended"),
        role=Role(origin.get("role", Role.SEARCH)),
        parent=origin.get("parent"),
        rescues=tuple(Rescue(*rescue) for rescue in attributes.get("rescues", ())),
    )


def drop_torn_line(journal: Path) -> None:
    """Cut off a last line that a killed driver did not finish: Optuna would append to it and spoil both lines."""
    if not journal.exists():
        return
    content = journal.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with journal.open("r+b") as file:
            file.truncate(whole)
