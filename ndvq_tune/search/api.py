"""A search from Python: what ``python -m ndvq_tune.search`` does, with its results as values."""

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from rich.console import Console

from ndvq_tune.data.cache.source import silent
from ndvq_tune.search.outcome import SearchResult
from ndvq_tune.search.request import knowledge, overrides_of, plan_search
from ndvq_tune.search.run import run_search
from ndvq_tune.search.space import SearchSpace


def search(
    space: SearchSpace | Mapping[str, Any] | str | Path | None = None,
    *,
    output: str | Path | None = None,
    resume: bool = False,
    warm_start: str | Path | None = None,
    address: str | None = None,
    console: Console | None = None,
    **settings: Any,
) -> SearchResult:
    """Search the best VQ-VAE for your data; the call returns when the search ends.

    It may be called in a notebook and inside a running event loop, which it holds up. Ctrl-C, or the notebook's stop
    button, saves everything, and ``resume=True`` goes on.

    Args:
        space: A search space: a YAML file, its content as a mapping, or one that is loaded already. May be left out
            where ``resume`` goes on with the space that ``output`` holds.
        output: Results folder; ``runs/NAME`` if not given.
        resume: Go on with the search that the results folder holds.
        warm_start: What to learn from: the results folder of an earlier search, or ``mlflow:EXPERIMENT``.
        address: An existing Ray cluster: ``auto``, or ``host:port``. A local Ray is started if not given.
        console: Where progress is shown; standard output if not given, ``Console(quiet=True)`` for none.
        settings: Values in place of those of the space: ``trials``, ``data``, ``name``, ``seed``, ``time_budget`` (in
            seconds, or as ``"1h30m"``) and ``tracking_uri``, as the command has them; any other by its key path,
            as ``**{"model.n_hiddens": 64}``.

    Raises:
        ConfigError: If the space or a setting cannot be used; with every problem at once.
        ResultsError: If the results folder cannot be used, or holds another search.
        DataError: If the data cannot be used.
        ClusterError: If no Ray answers, or it is too small.
        TrackingError: If MLflow cannot be used at the start.

    Example:
        ```python
        result = ndvq_tune.search("search_spaces/smoke.yaml", trials=4)
        result.best.params, result.to_dataframe().sort_values("recon_loss")
        model = result.load()
        ```
    """
    planned, folder = plan_search(
        space, overrides_of(settings), None if output is None else Path(output), resume=resume
    )
    known = None if warm_start is None else knowledge(str(warm_start), planned, resume=resume)
    return run_search(planned, folder, console or Console(), lambda: nullcontext(silent), address, known)
