"""What came of a search: what it gives back to whoever started it."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ndvq_tune.diagnosis.case import Asked
from ndvq_tune.diagnosis.finding import Diagnosis
from ndvq_tune.diagnosis.rules import diagnose
from ndvq_tune.errors import ResultsError
from ndvq_tune.judgement.standing import Standing
from ndvq_tune.records import TrialRecord
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
        diagnosis: A verdict on the recommended model, and what to do next.
        finished: Whether it came to its end; it was interrupted otherwise, and ``resume=True`` goes on.
        mlflow: What shows it in MLflow, a line each: a command, where no server runs already, and the page to open.
    """

    folder: Path
    standing: Standing
    diagnosis: Diagnosis
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
        if trial.weights is None or not (self.folder / trial.weights).exists():
            kept = ", ".join(sorted(path.name for path in (self.folder / "checkpoints").glob("*"))) or "none"
            raise ResultsError(f"{self.folder}: no model of {trial.name} is kept; there are {kept}")
        return load_model(self.folder / trial.weights)


def diagnosed(standing: Standing, space: SearchSpace) -> Diagnosis:
    """What is to be thought of a search of that space, and what to do next."""
    settings = space.search
    return diagnose(standing, Asked(space.searched, settings.trials, settings.sampler.startup_trials))
