"""Where the weights of trials lie in the results folder: the best while a trial runs, and what is kept in the end.

Ray Tune keeps a trial's last checkpoint. The best lies beside it, and under ``checkpoints/`` what people take.
"""

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from ndvq_tune.errors import CheckpointError
from ndvq_tune.judgement.standing import Standing
from ndvq_tune.records import Role, SearchRecord, TrialRecord
from ndvq_tune.search.folder import CHECKPOINTS, RAY
from ndvq_tune.training.files import sample_losses_of

KEPT_BESIDE_FRONT = 3  # as many as search.confirm repeats, also if it is asked for when a search goes on


def keep_best(record: TrialRecord, folder: Path) -> str:
    """Put a trial's last checkpoint where it stays when Tune deletes it, and drop the one that was there.

    Args:
        record: The trial; its last checkpoint is its best.
        folder: The results folder.

    Returns:
        The place, relative to the results folder.
    """
    place = Path(RAY, record.name, f"best_{record.checkpoint_epoch:06d}")
    shutil.rmtree(folder / place, ignore_errors=True)  # what a killed driver began
    _copy(folder / str(record.checkpoint), folder / place, linked=True)
    return place.as_posix()


def located(record: TrialRecord, folder: Path) -> TrialRecord:
    """A trial with its checkpoints where they are now: a search that ended has moved some, and dropped the others.

    Args:
        record: The trial, as the journal has it.
        folder: The results folder.
    """
    if not record.state.final:
        return record
    found = {field: _found(folder, place, own) for field, own, place in _places(record)}
    return replace(record, checkpoint=found.get("checkpoint"), best_checkpoint=found.get("best_checkpoint"))


def keep_checkpoints(search: SearchRecord, folder: Path, *, final: bool) -> SearchRecord:
    """Put the checkpoints of the front and of the best trials under ``checkpoints/``; at the end, drop all others.

    The best weights of ``trial-0007`` are in ``checkpoints/trial-0007``, and its last, where these are others, in
    ``checkpoints/trial-0007-last``. Repetitions of the recommended trial are kept, too.

    Args:
        search: The search; its trials' checkpoints are paths below ``folder``.
        folder: The results folder.
        final: Whether the search is over, so that what is not kept can go.

    Returns:
        The search with the checkpoints where they are now, and what they say of single test samples.
    """
    standing = Standing(search)
    kept = {trial.number for trial in _wanted(standing)}
    for trial in search.trials:
        if trial.number in kept:
            _keep(trial, folder)
        if final and trial.state.final:
            shutil.rmtree(folder / RAY / trial.name, ignore_errors=True)
            if trial.number not in kept:
                for path in (folder / CHECKPOINTS / trial.name, folder / CHECKPOINTS / f"{trial.name}-last"):
                    shutil.rmtree(path, ignore_errors=True)
    return replace(search, trials=tuple(with_losses(located(trial, folder), folder) for trial in search.trials))


def _wanted(standing: Standing) -> list[TrialRecord]:
    repetitions = [
        trial
        for trial in standing.search.trials
        if standing.best and trial.role is Role.CONFIRM and trial.parent == standing.best.number
    ]
    return [*standing.recommended, *standing.ranked[:KEPT_BESIDE_FRONT], *repetitions]


def _places(record: TrialRecord) -> Iterator[tuple[str, str | None, str]]:
    """Where each checkpoint of a trial is, by the field of its record, and where it is kept."""
    best = Path(CHECKPOINTS, record.name).as_posix()
    if record.best_epoch:
        yield "best_checkpoint", record.best_checkpoint, best
    if record.checkpoint_epoch:
        same = record.best_epoch in (0, record.checkpoint_epoch)
        yield "checkpoint", record.checkpoint, best if same else f"{best}-last"


def _keep(record: TrialRecord, folder: Path) -> None:
    for _, own, place in _places(record):
        if own is not None and own != place and (folder / own).exists():
            _copy(folder / own, folder / place)


def _found(folder: Path, *places: str | None) -> str | None:
    return next((place for place in places if place is not None and (folder / place).exists()), None)


def with_losses(record: TrialRecord, folder: Path) -> TrialRecord:
    """A trial with what its weights say of single test samples, where they are kept."""
    if record.weights is None or Path(record.weights).parts[0] != CHECKPOINTS:
        return record
    try:
        return replace(record, sample_losses=sample_losses_of(folder / record.weights))
    except CheckpointError:
        return record  # damaged, which whoever loads it will say; no reason to end without tables


def _copy(source: Path, target: Path, linked: bool = False) -> None:
    """A checkpoint without what Ray Tune adds to it: pickles, of no use to anyone else."""
    copy = _link if linked else shutil.copy2
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(".*"), copy_function=copy, dirs_exist_ok=True)


def _link(source: Any, target: Any) -> None:
    """A second name of a file, which costs nothing; a copy where the file system has no such thing."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
