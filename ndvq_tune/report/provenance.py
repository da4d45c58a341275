"""Where the recommended model is and how to load it, what it was trained on, and what the page was made with."""

import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path

from ndvq_tune.config.card import Cut, DataCard
from ndvq_tune.quantities import count_text
from ndvq_tune.records import TrialRecord
from ndvq_tune.report.summary import versions
from ndvq_tune.report.wording import listed
from ndvq_tune.training.files import CONFIG, describe, read_file


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
    """What a trial's model was trained on, by its checkpoint; empty where there is none, or one of an earlier release.

    Raises:
        CheckpointError: If the checkpoint is damaged.
    """
    path = None if trial is None or trial.weights is None else folder / trial.weights / CONFIG
    if path is None or not path.is_file():
        return {}
    description = describe({CONFIG: read_file(path)})
    card = description.get("data")
    return facts(DataCard.model_validate(card), description["input_shape"]) if card else {}


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
        **_cut(card.train_cut),
        **_rate(card),
        "range": f"{card.low:g} to {card.high:g}, which a model sees as 0 to 1",
        "values": f"{card.dtype}, for training from {card.minimum:g} to {card.maximum:g}",
        "fingerprint": f"{card.fingerprint}{test}",
    }


def _cut(cut: Cut) -> dict[str, str]:
    """How training samples were cut from files, where they are no whole images or arrays."""
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
