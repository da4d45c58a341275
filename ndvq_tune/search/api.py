"""A search from Python: what ``python -m ndvq_tune.search`` does, with its results as values."""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from ndvq_tune.data.cache.source import silent
from ndvq_tune.errors import ResultsError
from ndvq_tune.judgement.standing import Standing
from ndvq_tune.records import TrialRecord
from ndvq_tune.search.request import knowledge, overrides_of, plan_search
from ndvq_tune.search.run import run_search
from ndvq_tune.search.space import SearchSpace

if TYPE_CHECKING:
    import pandas as pd

    from ndvq_tune.model import NDimVQVAE


@dataclass(frozen=True)
class SearchResult:
    """What came of a search.

    Attributes:
        folder: The results folder, with the report.
        standing: The search as a record, and all that is judged of it.
        finished: Whether it came to its end; it was interrupted otherwise, and ``resume=True`` goes on.
        mlflow: What shows it in MLflow: a command, or a page.
    """

    folder: Path
    standing: Standing
    finished: bool
    mlflow: str

    @property
    def best(self) -> TrialRecord | None:
        """The recommended trial; None as long as no trial has led to a model."""
        return self.standing.best

    @property
    def front(self) -> tuple[TrialRecord, ...]:
        """The Pareto front, by the last objective; for one objective, its best trial."""
        return self.standing.front

    def to_dataframe(self) -> "pd.DataFrame":
        """A row a trial, as in ``trials.parquet``: parameters and last metrics by short name."""
        from ndvq_tune.report.tables import trials_table

        frame: pd.DataFrame = trials_table(self.standing.search).to_pandas()
        return frame

    def load(self, trial: TrialRecord | None = None) -> "NDimVQVAE":
        """The model of a trial, in evaluation mode.

        Args:
            trial: The trial, such as one of the front; the recommended one if not given.

        Raises:
            ResultsError: If there is no such model: a trial beside the front and the best few keeps none.
        """
        from ndvq_tune.training.checkpoint import load_model

        trial = trial or self.best
        if trial is None:
            raise ResultsError(f"{self.folder}: no trial has led to a model yet")
        if trial.checkpoint is None or not (self.folder / trial.checkpoint).exists():
            kept = ", ".join(sorted(path.name for path in (self.folder / "checkpoints").glob("*"))) or "none"
            raise ResultsError(f"{self.folder}: no model of {trial.name} is kept; there are {kept}")
        return load_model(self.folder / trial.checkpoint)


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
    outcome = run_search(planned, folder, console or Console(), lambda: nullcontext(silent), address, known)
    return SearchResult(folder, outcome.standing, outcome.finished, outcome.mlflow_command)
