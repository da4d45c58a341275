"""What is asked for, from the command line or from Python: the space to search, and the folder to do it in."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ndvq_tune.errors import ConfigError, Problem, ResultsError
from ndvq_tune.search.consistency import check
from ndvq_tune.search.folder import check_new, kept_space
from ndvq_tune.search.space import SearchSpace
from ndvq_tune.yaml_file import from_mapping

if TYPE_CHECKING:
    from ndvq_tune.search.earlier.warm_start import WarmStart

RUNS = Path("runs")
SHORT = {
    "trials": "search.trials",
    "data": "data.path",
    "name": "name",
    "seed": "search.seed",
    "time_budget": "search.time_budget",
    "tracking_uri": "tracking.uri",
}
"""Settings that have a name of their own, in the command and here, by what they stand for in a space."""


def overrides_of(settings: Mapping[str, Any]) -> list[str]:
    """Settings as ``key.path=value``, without those that are None.

    Example:
        >>> overrides_of({"trials": 4, "data": "my videos", "model.n_hiddens": 64, "seed": None})
        ['search.trials=4', 'data.path="my videos"', 'model.n_hiddens=64']
    """
    given = {SHORT.get(name, name): value for name, value in settings.items() if value is not None}
    return [f"{key}={json.dumps(str(value) if isinstance(value, Path) else value)}" for key, value in given.items()]


def plan_search(
    space: SearchSpace | Mapping[str, Any] | str | Path | None,
    overrides: Sequence[str],
    output: Path | None,
    *,
    resume: bool = False,
    look_only: bool = False,
) -> tuple[SearchSpace, Path]:
    """The space to search, and the results folder to do it in, which is absolute.

    Args:
        space: A search space, as ``search`` takes it.
        overrides: ``key.path=value`` settings that replace what it says.
        output: Results folder; ``runs/NAME`` if not given.
        resume: Whether the folder's own search goes on.
        look_only: Whether nothing will be written, so that the folder may hold anything.

    Raises:
        ConfigError: If the space cannot be searched as it says.
        ResultsError: If the folder is not free, or holds no search to go on with.
    """
    if space is None and not (resume and output):
        raise ConfigError("space", [Problem("", "is needed, unless resume and output name a search")])
    given = None if space is None else _loaded(space, overrides)
    folder = (output or RUNS / (given.name if given else "")).resolve()
    if given is None or resume:
        given = kept_space(folder, overrides)
    elif not look_only:
        check_new(folder)
    check(given)
    return given, folder


def knowledge(source: str, space: SearchSpace, *, resume: bool = False) -> "WarmStart":
    """What a new search takes over from an earlier one.

    Args:
        source: The results folder of an earlier search, or ``mlflow:EXPERIMENT``.
        space: The space of the new one.
        resume: Whether it is not new.

    Raises:
        ResultsError: If there is nothing to learn from, or the search is not new.
        TrackingError: If MLflow cannot be read.
    """
    from ndvq_tune.search.earlier.reading import read
    from ndvq_tune.search.earlier.warm_start import plan

    if resume:
        raise ResultsError("a warm start is for a new search; one that goes on has trials of its own")
    return plan(space, read(source, space))


def _loaded(space: SearchSpace | Mapping[str, Any] | str | Path, overrides: Sequence[str]) -> SearchSpace:
    if isinstance(space, str | Path):
        return SearchSpace.load(Path(space), overrides)
    content = space.source if isinstance(space, SearchSpace) else space
    return SearchSpace.from_document(from_mapping("space", content, overrides))
