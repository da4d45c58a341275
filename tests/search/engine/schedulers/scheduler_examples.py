"""Trials to compare, without a study."""

from collections.abc import Sequence
from typing import Any

from ndvq_tune.config import RunConfig
from ndvq_tune.records import TrialRecord
from ndvq_tune.search.engine.schedulers import Stops
from ndvq_tune.search.space.settings import SearchSettings

RUN = RunConfig.model_validate({"training": {"max_epochs": 9}})
TWO_OBJECTIVES = [{"metric": "recon_loss", "mode": "min"}, {"metric": "bits_per_element", "mode": "min"}]


def settings_of(**changes: Any) -> SearchSettings:
    return SearchSettings.model_validate(changes)


def trial(number: int, *losses: float, **metrics: float | Sequence[float]) -> TrialRecord:
    """A trial with a report an epoch; a metric is one number for all epochs, or one for each."""
    columns = {
        name: values if isinstance(values, Sequence) else [values] * len(losses) for name, values in metrics.items()
    }
    reports = tuple(
        {"epoch": float(index + 1), "recon_loss": loss, **{name: values[index] for name, values in columns.items()}}
        for index, loss in enumerate(losses)
    )
    return TrialRecord(number, {}, RUN, reports=reports)


def cut(record: TrialRecord, reports: int) -> TrialRecord:
    """A trial as it was after so many reports."""
    return TrialRecord(record.number, record.params, record.config, reports=record.reports[:reports])


def epochs_of(stops: Stops, trials: Sequence[TrialRecord]) -> list[int]:
    """How many epochs each trial gets, one trial after the other."""
    done: list[TrialRecord] = []
    for record in trials:
        ends = (n for n in range(1, len(record.reports) + 1) if stops(cut(record, n), done))
        done.append(cut(record, next(ends, len(record.reports))))
    return [len(record.reports) for record in done]
