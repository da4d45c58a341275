"""The results folder: who may use it, and which space it holds."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ndvq_tune.config.run import as_kept
from ndvq_tune.errors import ResultsError
from ndvq_tune.locks import try_lock
from ndvq_tune.pictures.showcase import Showcase
from ndvq_tune.records import TrialRecord
from ndvq_tune.report.skipped import SKIPPED
from ndvq_tune.search.space import SearchSpace
from ndvq_tune.yaml_file import flatten, read, with_values

SPACE = "space.yaml"
JOURNAL = "optuna.journal"
SUMMARY = "summary.json"
PICTURES = "pictures"  # what there is to see and hear of some of them
CHECKPOINTS = "checkpoints"  # those of the best trials; Ray has all others
RAY = "ray"  # what Ray writes
# What may be there after a start that failed: a search without a trial has no journal. MLflow's is that of a Ray job.
LEFT_BY_A_START = (".lock", SPACE, SKIPPED, RAY, "mlflow.db", "mlruns")
MAY_CHANGE = (
    *("search.trials", "search.time_budget", "search.until", "search.stall", "search.confirm", "search.finish"),
    *("search.resources", "search.first", "tracking.uri"),
)


@contextmanager
def claim(folder: Path) -> Iterator[None]:
    """Hold a results folder for one driver.

    Raises:
        ResultsError: If the folder cannot be written, or another driver runs a search in it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = try_lock(folder / ".lock")
    except OSError as error:
        raise ResultsError(f"{folder}: cannot be written: {error.strerror or error}") from None
    if lock is None:
        raise ResultsError(f"{folder}: another driver runs a search in this folder")
    with lock:
        yield


def check_new(folder: Path) -> None:
    """Make sure that a folder is free for a new search.

    Raises:
        ResultsError: If it holds a search, or anything else.
    """
    if (folder / JOURNAL).exists():
        raise ResultsError(
            f"{folder}: already holds a search; go on with it with --resume, or give another --name or --output"
        )
    if folder.exists() and any(path.name not in LEFT_BY_A_START for path in folder.iterdir()):
        raise ResultsError(f"{folder}: is not empty and holds no search; give another --name or --output")


def kept_space(folder: Path, overrides: Sequence[str]) -> SearchSpace:
    """The space of a search that goes on, with what may change while it does.

    Raises:
        ResultsError: If the folder holds no search, or an override changes what its trials mean.
    """
    if not (folder / JOURNAL).exists():
        raise ResultsError(f"{folder}: holds no search to resume")
    kept, space = _kept(folder), _kept(folder, overrides)
    before, after = flatten(kept.source), flatten(space.source)
    changed = [key for key in before | after if after.get(key, ...) != before.get(key, ...) and not _may_change(key)]
    if changed:
        raise ResultsError(
            f"{folder}: a search that goes on keeps its space, but {', '.join(changed)} would change; "
            f"only {', '.join(MAY_CHANGE)} may"
        )
    return space


def _kept(folder: Path, overrides: Sequence[str] = ()) -> SearchSpace:
    document = read(folder / SPACE, overrides)
    return SearchSpace.from_document(replace(document, content=as_kept(document.content)))


def _may_change(key: str) -> bool:
    """Whether a leaf may; a section around what may is a leaf only while it is empty, and then says nothing."""
    return any(f"{key}.".startswith(f"{allowed}.") or allowed.startswith(f"{key}.") for allowed in MAY_CHANGE)


def write_space(folder: Path, space: SearchSpace) -> None:
    """Keep the space as run, overrides included, and with ``data.normalise``, as ``as_kept`` needs it."""
    explicit = replace(space, source=with_values(space.source, {"data.normalise": space.data.normalise}))
    (folder / SPACE).write_text(explicit.to_yaml(), encoding="utf-8")


def pictures_in(folder: Path, trials: Sequence[TrialRecord]) -> dict[str, Showcase]:
    """What a results folder has to show of some trials, by their names; earlier releases left still pictures only."""
    places = {trial.name: Showcase.places(folder / PICTURES, trial.name) for trial in trials}
    return {name: showcase.kept() for name, showcase in places.items() if showcase.still.is_file()}
