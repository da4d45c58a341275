"""What is left of earlier searches: a results folder, or the runs of an MLflow experiment. Nothing of it is changed."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial

from ndvq_tune.errors import ConfigError, ResultsError, message_of
from ndvq_tune.problems import validate
from ndvq_tune.quantities import count_text
from ndvq_tune.records import Baseline, Importance, SearchRecord, TrialRecord
from ndvq_tune.search.checkpoints import located, with_losses
from ndvq_tune.search.engine.codec import REJECTED, has_begun, record_of
from ndvq_tune.search.folder import JOURNAL, SPACE, SUMMARY
from ndvq_tune.search.space import SearchSpace
from ndvq_tune.search.space.settings import SearchSettings

MLFLOW = "mlflow:"


@dataclass(frozen=True)
class Earlier:
    """An earlier search.

    Attributes:
        name: Its name.
        search: How it searched; None where that is not known.
        trials: Its finished trials.
        unreadable: How many more there are whose configuration is lost, or not one of this version.
    """

    name: str
    search: SearchSettings | None
    trials: tuple[TrialRecord, ...]
    unreadable: int = 0


def read(source: str, space: SearchSpace) -> tuple[Earlier, ...]:
    """The searches that a warm start of ``space`` can learn from: one of a folder, any number of an experiment.

    Args:
        source: A results folder, or ``mlflow:EXPERIMENT`` in the MLflow store of the space.
        space: The space of the new search.

    Raises:
        ResultsError: There is no search, or none of its trials is finished.
        ConfigError: The folder's space is not one that this version can read.
        TrackingError: There is no such experiment, or MLflow cannot be read.
    """
    found = _of_experiment(source, space) if source.startswith(MLFLOW) else (read_folder(Path(source))[1],)
    if not any(earlier.trials or earlier.unreadable for earlier in found):
        raise ResultsError(f"{source}: has no finished trials to start from")
    return found


def read_folder(folder: Path) -> tuple[SearchSpace, Earlier]:
    """The space and the search of a results folder; also while a driver is at work in it.

    Raises:
        ResultsError: The folder holds no search.
        ConfigError: Its space is not one that this version can read.
    """
    space, _, frozen = _kept(folder)
    begun = [trial for trial in frozen if trial.state.is_finished() and has_begun(trial)]
    trials, unreadable = _readable(begun)
    return space, Earlier(space.name, space.search, trials, sum(unreadable.values()))


def read_search(folder: Path) -> tuple[SearchSpace, SearchRecord]:
    """The space and the whole search of a results folder: its journal, what its summary adds, and kept checkpoints.

    Raises:
        ResultsError: The folder holds no search, or none of its trials can be read.
        ConfigError: Its space is not one that this version can read.
    """
    space, attributes, frozen = _kept(folder)
    trials, unreadable = _readable([trial for trial in frozen if has_begun(trial)])
    if not trials:
        why = "".join(f"; {count_text(count, 'trial')}: {reason}" for reason, count in unreadable.items())
        raise ResultsError(f"{folder}: has no trials that this version can read{why}")
    summary = _summary(folder)
    latest = max((report["seconds"] for trial in trials for report in trial.reports), default=0.0)
    return space, SearchRecord(
        name=space.name,
        trials=tuple(with_losses(located(trial, folder), folder) for trial in trials),
        goals=space.search.goals,
        parameters=space.searched,
        seed=space.search.seed,
        wall_seconds=attributes.get("wall_seconds", latest),
        skipped_files=summary.get("skipped_files", {}),
        rejected=Counter(broken for trial in frozen for broken in trial.user_attrs.get(REJECTED, ())),
        ended_by=summary.get("ended_by"),
        importances=tuple(Importance(**importance) for importance in summary.get("importance", ())),
        baselines=tuple(Baseline(**baseline) for baseline in summary.get("baselines", ())),
        unreadable=unreadable,
    )


def _kept(folder: Path) -> tuple[SearchSpace, Mapping[str, Any], list[FrozenTrial]]:
    """The space of a results folder, and what its journal says of the search and of each trial."""
    journal = folder / JOURNAL
    if not journal.is_file():
        others = sorted(path.parent.as_posix() for path in Path("runs").glob(f"*/{JOURNAL}"))
        hint = f"; there are {', '.join(others)}" if others else ""
        raise ResultsError(f"{folder}: holds no search; needs a results folder such as runs/NAME{hint}")
    space = SearchSpace.load(folder / SPACE)
    try:
        storage = JournalStorage(JournalFileBackend(str(journal)))
        studies = [optuna.load_study(study_name=name, storage=storage) for name in optuna.get_all_study_names(storage)]
        trials = [trial for study in studies[:1] for trial in study.get_trials(deepcopy=False)]
        return space, studies[0].user_attrs if studies else {}, trials
    except (ValueError, KeyError, OSError) as error:
        raise ResultsError(f"{journal}: cannot be read: {message_of(error)}") from None


def _readable(frozen: Sequence[FrozenTrial]) -> tuple[tuple[TrialRecord, ...], Counter[str]]:
    """Records of trials; and how many have a configuration that is not one of this version, by what is wrong first."""
    trials, unreadable = [], Counter[str]()
    for trial in frozen:
        try:
            trials.append(record_of(trial))
        except ConfigError as error:
            unreadable[f"{error.problems[0].key}: {error.problems[0].message}"] += 1
    return tuple(trials), unreadable


def _summary(folder: Path) -> dict[str, Any]:
    """What ``summary.json`` says; nothing before it is written."""
    try:
        content: dict[str, Any] = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ResultsError(f"{folder / SUMMARY}: cannot be read: {message_of(error)}") from None
    return content


def _of_experiment(source: str, space: SearchSpace) -> tuple[Earlier, ...]:
    from ndvq_tune.tracking.reading import stored_searches  # MLflow, which takes seconds to import

    curves = {space.search.goals.metrics[0], "fidelity"}
    return tuple(
        Earlier(
            stored.name, validate(SearchSettings, stored.space.get("search", {}))[0], stored.trials, stored.unreadable
        )
        for stored in stored_searches(source.removeprefix(MLFLOW), space.tracking.uri, curves)
    )
