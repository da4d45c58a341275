"""What a page says beside the records: of what moment it is, how its model is loaded, and what that was trained on."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from ndvq_tune.config.card import Cut, DataCard
from ndvq_tune.quantities import count_text
from ndvq_tune.records import SearchRecord, TrialRecord, TrialState
from ndvq_tune.report.summary import versions
from ndvq_tune.report.wording import listed
from ndvq_tune.training.files import CONFIG, describe, read_file


@dataclass(frozen=True)
class Origin:
    """What a page says that the records of a search do not.

    Attributes:
        as_of: Of what moment the page is, see ``as_of``.
        loads: Python that loads the recommended model; empty where none is kept.
        data: What that model was trained on; empty where it is not known.
    """

    as_of: str = ""
    loads: str = ""
    data: Mapping[str, str] = field(default_factory=dict)


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
    """What a trial's model was trained on, in words; empty where that is not known."""
    known = card_of(trial, folder)
    return facts(*known) if known else {}


def card_of(trial: TrialRecord | None, folder: Path) -> tuple[DataCard, Sequence[int]] | None:
    """The data card of a trial's model and the shape of a sample, by its checkpoint.

    None where there is no checkpoint, or one of an earlier release.

    Raises:
        CheckpointError: If the checkpoint is damaged.
    """
    path = None if trial is None or trial.weights is None else folder / trial.weights / CONFIG
    if path is None or not path.is_file():
        return None
    description = describe({CONFIG: read_file(path)})
    card = description.get("data")
    return (DataCard.model_validate(card), description["input_shape"]) if card else None


def facts(card: DataCard, shape: Sequence[int]) -> dict[str, str]:
    """A data card as its reader reads it, a line each.

    Args:
        card: The card.
        shape: Shape ``(C, *S)`` of a sample.
    """
    names = f" ({listed(card.channel_names)})" if card.channel_names else ""
    test = f"; test files {card.test_fingerprint}" if card.test_fingerprint != card.fingerprint else ""
    return {
        "data": f"{card.type}, from {'a folder' if card.source == 'folder' else card.source}",
        "files": f"{card.files:,}",
        "samples": f"{card.train_samples:,} for training, {card.test_samples:,} for testing",
        "shape": f"{' x '.join(map(str, shape))}, channels first{names}",
        **cut_facts(card.train_cut),
        **_rate(card),
        "range": f"{card.low:g} to {card.high:g}, which a model sees as 0 to 1",
        "values": f"{card.dtype}, for training from {card.minimum:g} to {card.maximum:g}",
        "fingerprint": f"{card.fingerprint}{test}",
    }


def cut_facts(cut: Cut) -> dict[str, str]:
    """How samples were cut from files, where they are no whole images or arrays."""
    rows = f"{count_text(cut.length, 'row')}, {cut.step} apart, a sample every {cut.stride}" if cut.length else ""
    crop = f"{cut.crop} x {cut.crop} from larger frames" if cut.crop else ""
    return {"cut": "; ".join(filter(None, (rows, crop)))} if rows or crop else {}


def _rate(card: DataCard) -> dict[str, str]:
    """Steps or frames a second of a sample, where it has a rate, and which files have another one."""
    if card.sample_rate:
        resampled = f"; {count_text(sum(card.resampled.values()), 'file')} resampled" if card.resampled else ""
        return {"sample rate": f"{card.sample_rate:,g} Hz{resampled}"}
    others = listed([f"{count:,} of {rate:.4g}" for rate, count in card.file_rates.items()])
    return {"frame rate": f"{card.frame_rate:.4g} a second; files: {others}"} if card.frame_rate else {}


def made_with() -> str:
    """The versions and the machine that a page is made with, in a line."""
    used = ", ".join(f"{name} {number}" for name, number in versions().items() if number)
    return f"{used}; {platform.system()} {platform.machine()}, {count_text(os.cpu_count() or 1, 'processor')}"
