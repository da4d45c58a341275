"""Syne Tune's schedulers of several fidelities, where it is installed (``pip install syne-tune``).

ASHA draws at random, BOHB by kernel densities; MOASHA draws at random and stops by fronts. MOBSTER, with a Gaussian
process, is no longer there in release 0.16.
"""

import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np

from benchmarks.replay.encoding import Params
from benchmarks.replay.simulator import Proposal, Report
from benchmarks.replay.task import Task
from ndvq_tune.distributions import Choice

try:
    from syne_tune import config_space
    from syne_tune.backend.trial_status import Trial
    from syne_tune.optimizer import baselines
    from syne_tune.optimizer.scheduler import SchedulerDecision
    from syne_tune.optimizer.schedulers.multiobjective.moasha import MOASHA
except ImportError:
    INSTALLED = False
else:
    INSTALLED = True

MISSING = "Syne Tune is not installed (pip install syne-tune); its strategies are left out."
SCHEDULERS = ("ASHA", "BOHB", "MOASHA")
METRIC, EPOCH = "penalised", "epoch"


class SyneTune:
    """One of its schedulers. They know neither conditions nor constraints: the metric has a penalty.

    Parameters that do not count in a configuration are suggested all the same, and dropped.
    """

    def __init__(self, task: Task, name: str) -> None:
        logging.getLogger("syne_tune").setLevel(logging.ERROR)
        self._task = task
        np.random.seed(task.seed)  # ASHA and MOASHA draw from it, whatever their own seed
        domains = {parameter.key: _domain(parameter.distribution) for parameter in task.space.searched}
        self._scheduler = _scheduler(name, domains, task)
        self._trials: dict[int, Any] = {}
        self._last: dict[int, dict[str, Any]] = {}

    def next(self) -> Proposal | None:
        """What the scheduler suggests."""
        config, params = next(pair for pair in self._suggestions() if not self._task.rejects(pair[1]))
        trial = Trial(len(self._trials), config, datetime.now(UTC))
        self._trials[trial.trial_id] = trial
        self._scheduler.on_trial_add(trial)
        return Proposal(trial.trial_id, params)

    def report(self, number: int, report: Report) -> bool:
        """Ask the scheduler."""
        result = {**report, METRIC: self._task.scenario.penalised(report), EPOCH: int(report["epoch"])}
        if self._scheduler.on_trial_result(self._trials[number], result) != SchedulerDecision.STOP:
            return False
        self._scheduler.on_trial_remove(self._trials[number])
        return True

    def done(self, number: int) -> None:
        """Nothing to do: the last epoch stops a trial as any other can."""

    def _suggestions(self) -> Iterator[tuple[Params, Params]]:
        while True:
            with warnings.catch_warnings(action="ignore"):  # statsmodels divides by zero for choices of one value
                config = self._scheduler.suggest().config
            yield config, self._params(config)

    def _params(self, config: Params) -> Params:
        params: dict[str, Any] = {}
        for parameter in self._task.space.searched:
            if self._task.space.active(parameter, params):
                value = config[parameter.key]
                params[parameter.key] = json.loads(value) if isinstance(parameter.distribution, Choice) else value
        return params


def _scheduler(name: str, domains: Mapping[str, Any], task: Task) -> Any:
    settings = {"time_attr": EPOCH, "max_t": task.space.max_epochs, "random_seed": task.seed}
    if name != "MOASHA":
        return getattr(baselines, name)(domains, metric=METRIC, **settings)
    return MOASHA(domains, metrics=[METRIC, *task.scenario.objectives[1:]], **settings)


def _domain(distribution: Any) -> Any:
    if isinstance(distribution, Choice):
        return config_space.choice([json.dumps(value) for value in distribution.values])
    draw = config_space.loguniform if distribution.log else config_space.uniform
    return draw(distribution.low, distribution.high)
