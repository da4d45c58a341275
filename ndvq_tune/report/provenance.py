"""What a page says beside the records: of what moment it is, how its model is loaded, and what that was trained on."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from ndvq_tune.config.card import DataCard
from ndvq_tune.errors import CheckpointError
from ndvq_tune.quantities import count_text
from ndvq_tune.records import SearchRecord, TrialRecord, TrialState
from ndvq_tune.report.card import facts
from ndvq_tune.report.code_use import CodeUse
from ndvq_tune.report.summary import versions
from ndvq_tune.training.files import CONFIG, describe, read_file


@dataclass(frozen=True)
class Origin:
    """What a page says that the records of a search do not.

    Attributes:
        as_of: Of what moment the page is, see ``as_of``.
        loads: Python that loads the recommended model; empty where none is kept.
        data: What that model was trained on; empty where it is not known.
        code_uses: How often recommended models use their codes, as far as that is known.
    """

    as_of: str = ""
    loads: str = ""
    data: Mapping[str, str] = field(default_factory=dict)
    code_uses: Sequence[CodeUse] = ()


def as_of(search: SearchRecord, folder: Path, now: datetime, *, running: bool) -> str:
    """Of what moment a page is, and whether the search goes on.

    Args:
        search: The search.
        folder: Its results folder, as one types it.
        now: The moment, with a time zone.
        running: Whether the search itself makes the page.
    """
    moment = f"As of {now:%Y-%m-%d %H:%M %Z}"
    if running:
        return f"{moment}, while the search runs. It makes this page anew about once a minute: reload it."
    if search.count(TrialState.RUNNING):
        command = f"python -m ndvq_tune.search --resume --output {folder.as_posix()}"
        return f"{moment}. Not all trials have ended; if the search does not run, {command} goes on."
    return f"{moment}."


def line_that_loads(trial: TrialRecord | None, folder: Path) -> str:
    """Python that loads a trial's model; empty where none is kept.

    Args:
        trial: The trial.
        folder: The results folder, as one types it.
    """
    if trial is None or trial.weights is None:
        return ""
    place = json.dumps((folder / trial.weights).as_posix(), ensure_ascii=False)
    return f"from ndvq_tune import load_model; model = load_model({place})"


def trained_on(trial: TrialRecord | None, folder: Path) -> dict[str, str]:
    """What a trial's model was trained on, in words; empty where that is not known.

    Of a damaged checkpoint that is said: the rest of the page is as good without it.
    """
    try:
        known = card_of(trial, folder)
    except CheckpointError as error:
        return {"data": f"not known: {error}"}
    return facts(*known) if known else {}


def card_of(trial: TrialRecord | None, folder: Path) -> tuple[DataCard, Sequence[int]] | None:
    """The data card of a trial's model and the shape of a sample, by its checkpoint.

    None where there is no checkpoint, or one of an earlier release.

    Raises:
        CheckpointError: If it is damaged.
    """
    path = None if trial is None or trial.weights is None else folder / trial.weights / CONFIG
    if path is None or not path.is_file():
        return None
    description = describe({CONFIG: read_file(path)})
    card = description.get("data")
    return (DataCard.model_validate(card), description["input_shape"]) if card else None


def made_with() -> str:
    """The versions and the machine that a page is made with, in a line."""
    used = ", ".join(f"{name} {number}" for name, number in versions().items() if number)
    return f"{used}; {platform.system()} {platform.machine()}, {count_text(os.cpu_count() or 1, 'processor')}"
