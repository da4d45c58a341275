"""What is left of earlier searches: a results folder, or the runs of an MLflow experiment. Nothing of it is changed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from ndvq_tune.errors import ResultsError
from ndvq_tune.judgement.pareto import crowding, front_ranks
from ndvq_tune.problems import validate
from ndvq_tune.records import TrialRecord
from ndvq_tune.search.engine.journal import record_of
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
    """

    name: str
    search: SearchSettings | None
    trials: tuple[TrialRecord, ...]


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
    found = _of_experiment(source, space) if source.startswith(MLFLOW) else (_of_folder(Path(source)),)
    if not any(earlier.trials for earlier in found):
        raise ResultsError(f"{source}: has no finished trials to start from")
    return found


def read_folder(folder: Path) -> tuple[SearchSpace, tuple[TrialRecord, ...]]:
    """The space and the finished trials of a results folder; also while a driver is at work in it.

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
        studies = storage.get_all_studies()
        trials = storage.get_all_trials(studies[0]._study_id, deepcopy=False) if studies else []
    except (ValueError, KeyError, OSError) as error:
        raise ResultsError(f"{journal}: cannot be read: {error}") from None
    # Optuna also keeps points that were never trained here: those have not started.
    return space, tuple(record_of(t) for t in trials if t.state.is_finished() and "started" in t.user_attrs)


def fronts(trials: Sequence[TrialRecord], search: SearchSettings) -> list[list[TrialRecord]]:
    """Trials in groups that are equally good, best first; all need finite objectives.

    Those that keep the constraints come first, by fronts of non-dominated trials, and in each front those that are
    far from all others before the rest. All others follow by how far they are beyond the constraints.
    """
    beyond = {id(trial): _beyond(trial, search) for trial in trials}
    kept = [trial for trial in trials if not beyond[id(trial)]]
    costs = [[objective.cost(trial.metrics[objective.metric]) for objective in search.objectives] for trial in kept]
    by_rank: dict[int, list[int]] = {}
    for index, rank in enumerate(front_ranks(costs)):
        by_rank.setdefault(rank, []).append(index)
    good = [_spread([kept[i] for i in by_rank[rank]], [costs[i] for i in by_rank[rank]]) for rank in sorted(by_rank)]
    broken = sorted((trial for trial in trials if beyond[id(trial)]), key=lambda trial: beyond[id(trial)])
    return good + [list(equal) for _, equal in groupby(broken, lambda trial: beyond[id(trial)])]


def _of_folder(folder: Path) -> Earlier:
    space, trials = read_folder(folder)
    return Earlier(space.name, space.search, trials)


def _of_experiment(source: str, space: SearchSpace) -> tuple[Earlier, ...]:
    from ndvq_tune.tracking.reading import stored_searches  # MLflow, which takes seconds to import

    curves = {space.search.objectives[0].metric, "fidelity"}
    return tuple(
        Earlier(stored.name, validate(SearchSettings, stored.space.get("search", {}))[0], stored.trials)
        for stored in stored_searches(source.removeprefix(MLFLOW), space.tracking.uri, curves)
    )


def _spread(front: list[TrialRecord], costs: list[list[float]]) -> list[TrialRecord]:
    distances = crowding(costs)
    return [front[index] for index in sorted(range(len(front)), key=lambda index: -distances[index])]


def _beyond(trial: TrialRecord, search: SearchSettings) -> float:
    """How far a trial is beyond the constraints, all together; 0 where it keeps them all."""
    return sum(bound.beyond(trial.metrics.get(bound.metric, math.nan)) for bound in search.constraints)
