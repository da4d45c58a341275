"""Optuna's side of a search: its journal, and how a trial is read from it."""

from pathlib import Path

import optuna
from optuna.storages.journal import JournalFileOpenLock
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from ndvq_tune.records import Rescue, Role, StopReason, TrialRecord, TrialState

JOURNAL = "optuna.journal"

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


class OneWriter(JournalFileOpenLock):
    """No lock: a results folder has one driver at a time, which holds the whole folder."""

    def acquire(self) -> bool:
        """Nothing to wait for."""
        return True

    def release(self) -> None:
        """Nothing to give back."""


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
