"""Strategies that need no platform: random search, one epoch before the best in full, and Optuna alone."""

from collections.abc import Callable

import optuna

from benchmarks.replay.simulator import Proposal, Report
from benchmarks.replay.task import Task
from ndvq_tune.judgement.pareto import front_ranks
from ndvq_tune.search.engine.optuna_space import suggest


class RandomSearch:
    """Trains random points to the end."""

    def __init__(self, task: Task) -> None:
        self._points = task.random_points()

    def next(self) -> Proposal | None:
        """The next point."""
        return Proposal(*next(self._points))

    def report(self, number: int, report: Report) -> bool:
        """Never stop."""
        return False

    def done(self, number: int) -> None:
        """Nothing to do."""


class OneEpochThenBest:
    """Trains so many random points for one epoch, then goes on with the best of them, one after another, to the end.

    The baseline of Egele et al., "Is one epoch all you need for multi-fidelity hyperparameter optimization?" (2023);
    here with checkpoints, so the first epoch is not trained again.
    """

    def __init__(self, task: Task, points: int) -> None:
        self._scenario = task.scenario
        self._points = task.random_points()
        self._wanted = points
        self._begun: dict[int, Proposal] = {}
        self._first: dict[int, Report] = {}
        self._ranking: list[int] | None = None

    def next(self) -> Proposal | None:
        """A new point, later the best one left; none while first epochs are still running."""
        if len(self._begun) < self._wanted:
            proposal = Proposal(*next(self._points))
            self._begun[proposal.number] = proposal
            return proposal
        if len(self._first) < self._wanted:
            return None
        if self._ranking is None:
            self._ranking = self._ranked()
        return self._begun[self._ranking.pop(0)] if self._ranking else None

    def report(self, number: int, report: Report) -> bool:
        """Stop after the first epoch."""
        return self._first.setdefault(number, report) is report

    def done(self, number: int) -> None:
        """Nothing to do."""

    def _ranked(self) -> list[int]:
        """Those within the budget before others, by front, then by the first objective."""
        ranks = front_ranks([self._scenario.costs(report) for report in self._first.values()])
        fronts = dict(zip(self._first, ranks, strict=True))
        kept = {number: self._scenario.keeps(report["bits_per_element"]) for number, report in self._first.items()}
        losses = {number: self._scenario.costs(report)[0] for number, report in self._first.items()}
        return sorted(self._first, key=lambda number: (not kept[number], fronts[number], losses[number]))


def tpe(seed: int) -> optuna.samplers.BaseSampler:
    """Optuna's default, which is its multi-objective TPE where there are several objectives."""
    return optuna.samplers.TPESampler(seed=seed)


def gaussian_process(seed: int) -> optuna.samplers.BaseSampler:
    """Optuna's Gaussian process; it draws at random what only some configurations have."""
    return optuna.samplers.GPSampler(seed=seed, warn_independent_sampling=False)


class PlainOptuna:
    """Optuna's ask and tell, for one objective or several; all trials go to the end.

    Args:
        task: What is searched for.
        sampler: Makes a sampler from a seed.
    """

    def __init__(self, task: Task, sampler: Callable[[int], optuna.samplers.BaseSampler] = tpe) -> None:
        self._task = task
        self._study = optuna.create_study(
            sampler=sampler(task.seed),
            directions=[optuna.study.StudyDirection.MINIMIZE for _ in task.scenario.objectives],
        )
        self._trials: dict[int, optuna.Trial] = {}
        self._last: dict[int, Report] = {}

    def next(self) -> Proposal | None:
        """What TPE proposes."""
        trial = self._study.ask()
        params = suggest(self._task.space, trial).params
        if self._task.rejects(params):
            self._study.tell(trial, state=optuna.trial.TrialState.FAIL)
            return self.next()
        self._trials[trial.number] = trial
        return Proposal(trial.number, params)

    def report(self, number: int, report: Report) -> bool:
        """Never stop."""
        self._last[number] = report
        return False

    def done(self, number: int) -> None:
        """Tell the last values, and how far the trial is beyond the bit budget."""
        trial, report, scenario = self._trials.pop(number), self._last.pop(number), self._task.scenario
        if scenario.constrained:
            trial.set_constraint("bits_per_element", report["bits_per_element"] - scenario.max_bits)
        self._study.tell(trial, scenario.costs(report))
