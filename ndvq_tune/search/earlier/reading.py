"""What is left of earlier searches: a results folder, or the runs of an MLflow experiment. Nothing of it is changed."""

from dataclasses import dataclass
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from ndvq_tune.errors import ConfigError, ResultsError, message_of
from ndvq_tune.problems import validate
from ndvq_tune.records import TrialRecord
from ndvq_tune.search.checkpoints import located
from ndvq_tune.search.engine.codec import has_begun, record_of
from ndvq_tune.search.folder import JOURNAL, SPACE
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
    journal = folder / JOURNAL
    if not journal.is_file():
        others = sorted(path.parent.as_posix() for path in Path("runs").glob(f"*/{JOURNAL}"))
        hint = f"; there are {', '.join(others)}" if others else ""
        raise ResultsError(f"{folder}: holds no search; needs a results folder such as runs/NAME{hint}")
    space = SearchSpace.load(folder / SPACE)
    try:
        storage = JournalStorage(JournalFileBackend(str(journal)))
        studies = [optuna.load_study(study_name=name, storage=storage) for name in optuna.get_all_study_names(storage)]
        frozen = [trial for study in studies[:1] for trial in study.get_trials(deepcopy=False)]
    except (ValueError, KeyError, OSError) as error:
        raise ResultsError(f"{journal}: cannot be read: {message_of(error)}") from None
    trials, unreadable = [], 0
    for trial in frozen:
        if not (trial.state.is_finished() and has_begun(trial)):
            continue
        try:
            trials.append(located(record_of(trial), folder))
        except ConfigError:
            unreadable += 1
    return space, Earlier(space.name, space.search, tuple(trials), unreadable)


def _of_experiment(source: str, space: SearchSpace) -> tuple[Earlier, ...]:
    from ndvq_tune.tracking.reading import stored_searches  # MLflow, which takes seconds to import

    curves = {space.search.goals.metrics[0], "fidelity"}
    return tuple(
        Earlier(
            stored.name, validate(SearchSettings, stored.space.get("search", {}))[0], stored.trials, stored.unreadable
        )
        for stored in stored_searches(source.removeprefix(MLFLOW), space.tracking.uri, curves)
    )
