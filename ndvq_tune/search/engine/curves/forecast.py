"""What the model of learning curves says of the trials of a search, and of points that were not tried yet."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from ndvq_tune.goals import Report
from ndvq_tune.metrics import METRICS
from ndvq_tune.records import TrialRecord
from ndvq_tune.search.engine.curves.features import Features
from ndvq_tune.search.engine.curves.process import Array, Process, Row, process_of
from ndvq_tune.search.space import SearchSpace

RIDGE = 0.1
TINY = 1e-12
MAX_EPOCHS = "training.max_epochs"

_LOGS: Mapping[str, Callable[[float], float]] = {
    "psnr": lambda value: -value * math.log(10) / 10,
    "ssim": lambda value: math.log(max(1 - value, TINY)),
    "ms_ssim": lambda value: math.log(max(1 - value, TINY)),
}
"""The logarithm of the error that a metric tells of, where it is not that of the metric itself."""


class Curves:
    """How the trials of a space look to the model.

    Args:
        space: The space. Its search has one objective that training decides, and at most one that is known before it.
        rungs: The epochs whose reports the model sees, beside a trial's last.
    """

    def __init__(self, space: SearchSpace, rungs: Sequence[int]) -> None:
        objectives = space.search.goals.objectives
        self.learned = next(objective for objective in objectives if not METRICS[objective.metric].constant)
        self.known = next((objective for objective in objectives if METRICS[objective.metric].constant), None)
        self.features = Features(space)
        self._rungs, self._longest = frozenset(rungs), math.log(max(2, space.max_epochs))

    def rows(self, records: Sequence[TrialRecord]) -> tuple[Row, ...]:
        """The reports that the model sees, in the order in which they came; first those of other searches.

        A trial that diverged ends with the highest loss of all: the model is to learn where that happens.
        """
        seen = [(record, report) for record in records for report in self._reports(record)]
        seen.sort(key=lambda pair: (pair[0].number >= 0, pair[1].get("seconds", 0.0), pair[0].number))
        losses = [self.log_loss(report) for _, report in seen]
        highest = max(filter(math.isfinite, losses), default=0.0)
        return tuple(
            Row(self.features(record.params), self.t(report["epoch"]), record.number, min(loss, highest))
            for (record, report), loss in zip(seen, losses, strict=True)
        )

    def t(self, epoch: float) -> float:
        """How far an epoch is: 0 for the first, 1 for the last that any trial has."""
        return math.log(epoch) / self._longest

    def last(self, params: Mapping[str, Any], trial: int = -1) -> Row:
        """Where the last report of a trial is to be predicted."""
        return Row(self.features(params), self.t(params[MAX_EPOCHS]) if MAX_EPOCHS in params else 1.0, trial)

    def log_loss(self, report: Report) -> float:
        """The logarithm of the loss that a report tells of; infinite where it is not finite."""
        value = report.get(self.learned.metric, math.nan)
        if not math.isfinite(value):
            return math.inf
        if self.learned.metric in _LOGS:
            return _LOGS[self.learned.metric](value)
        return self.learned.cost(1.0) * math.log(max(value, TINY))

    def bits(self, metrics: Mapping[str, float]) -> float:
        """The objective that is known before training, as a cost; 0 where there is none."""
        return self.known.cost(metrics[self.known.metric]) if self.known else 0.0

    def _reports(self, record: TrialRecord) -> list[Report]:
        last = () if record.sound else record.reports[-1:]
        told = (report for report in record.reports if self.learned.metric in report)
        return [report for report in told if report["epoch"] in self._rungs or report in last]


class Forecast:
    """What the model expects, given some records. It is fitted when it is first asked of trials or points.

    Args:
        curves: How trials look to the model.
        records: The trials.
    """

    def __init__(self, curves: Curves, records: Sequence[TrialRecord]) -> None:
        self.curves, self.rows = curves, curves.rows(records)
        reported = {row.trial for row in self.rows}
        self.records = [record for record in records if record.number in reported and record.sound]

    @cached_property
    def _process(self) -> Process:
        return process_of(self.rows)

    @cached_property
    def losses(self) -> Mapping[int, float]:
        """The log loss that each sound trial will have after its last epoch."""
        if not self.records:
            return {}
        mean, _ = self._process.predict([self.curves.last(record.params, record.number) for record in self.records])
        return dict(zip([record.number for record in self.records], mean.tolist(), strict=True))

    def of(self, points: Sequence[Mapping[str, Any]]) -> tuple[Array, Array]:
        """Mean and standard deviation of the log loss that trials of new points will have after their last epoch."""
        return self._process.predict([self.curves.last(params) for params in points])

    def seconds(self, points: Sequence[Mapping[str, Any]]) -> Array:
        """How long an epoch of these points takes, up to a factor, by ridge regression of its logarithm."""
        known = np.array([self.curves.features(record.params) for record in self.records])
        logs = np.array([-math.log(max(record.metrics["samples_per_second"], TINY)) for record in self.records])
        away = known - known.mean(0)
        weights = np.linalg.solve(away.T @ away + RIDGE * np.eye(away.shape[1]), away.T @ (logs - logs.mean()))
        asked = np.array([self.curves.features(params) for params in points])
        return np.asarray(np.exp((asked - known.mean(0)) @ weights))
