"""Ray Tune as its documentation has it: OptunaSearch beside the ASHA scheduler, both unchanged, without a cluster.

They hear of a trial what Tune's controller tells them, in its order: a report that stops a trial is its last result,
and the searcher is told that the trial is complete.
"""

from types import SimpleNamespace
from typing import Any

from optuna import Trial
from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler
from ray.tune.search.optuna import OptunaSearch

from benchmarks.replay.simulator import Proposal, Report
from benchmarks.replay.task import Task
from ndvq_tune.search.engine.optuna_space import suggest

ITERATION, METRIC = "training_iteration", "penalised"


class StockRay:
    """OptunaSearch and AsyncHyperBandScheduler. Neither knows constraints, so the metric has a penalty.

    With several objectives the searcher is told all; the scheduler can take only one.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        several = list(task.scenario.objectives) if len(task.scenario.objectives) > 1 else None
        self._searcher = OptunaSearch(
            self._define, metric=several or METRIC, mode=["min"] * len(several) if several else "min", seed=task.seed
        )
        self._scheduler = AsyncHyperBandScheduler(
            metric=METRIC, mode="min", max_t=task.space.max_epochs, grace_period=1, reduction_factor=3
        )
        self._trials: dict[int, Any] = {}
        self._last: dict[int, dict[str, Any]] = {}
        self._begun = 0

    def next(self) -> Proposal | None:
        """What OptunaSearch suggests."""
        number, self._begun = self._begun, self._begun + 1
        params = self._searcher.suggest(str(number))["params"]
        if self._task.rejects(params):
            self._searcher.on_trial_complete(str(number), error=True)
            return self.next()
        self._trials[number] = SimpleNamespace(trial_id=str(number))
        self._scheduler.on_trial_add(None, self._trials[number])
        return Proposal(number, params)

    def report(self, number: int, report: Report) -> bool:
        """Ask the scheduler; the searcher hears of it if the trial goes on."""
        result = {**report, METRIC: self._task.scenario.penalised(report), ITERATION: int(report["epoch"])}
        self._last[number] = result
        if self._scheduler.on_trial_result(None, self._trials[number], result) == TrialScheduler.STOP:
            return True
        self._searcher.on_trial_result(str(number), result)
        return False

    def done(self, number: int) -> None:
        """Complete the trial with its last result."""
        result = self._last.pop(number)
        self._scheduler.on_trial_complete(None, self._trials.pop(number), result)
        self._searcher.on_trial_complete(str(number), result)

    def _define(self, trial: Trial) -> dict[str, Any]:
        return {"params": suggest(self._task.space, trial).params}
