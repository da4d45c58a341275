"""What is known of a trial and of a search, in plain values.

The search writes these; tracking and reports read them. They name neither Ray, Optuna nor MLflow.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ndvq_tune.goals import Goals

if TYPE_CHECKING:
    from ndvq_tune.config import RunConfig  # pydantic, which names and short values need not wait for
    from ndvq_tune.distributions import Searched


class TrialState(StrEnum):
    """Where a trial is; the last three are final."""

    RUNNING = "running"
    COMPLETED = "completed"
    PRUNED = "pruned"
    FAILED = "failed"

    @property
    def final(self) -> bool:
        """Whether nothing more happens to the trial."""
        return self is not TrialState.RUNNING


class StopReason(StrEnum):
    """Why a trial was stopped before its last epoch."""

    SCHEDULER = "scheduler"
    COLLAPSE = "collapse"
    PLATEAU = "plateau"
    DIVERGED = "diverged"
    TIME_BUDGET = "time_budget"
    TRIAL_TIME = "trial_time"
    COST = "cost"
    EXPLOITED = "exploited"
    SEARCH_ENDED = "search_ended"

    @property
    def leaves_off(self) -> bool:
        """Whether it says nothing against the trial as such, which may then be trained to its end.

        A plateau may end as the learning rate falls; bounds of time and cost are kept.
        """
        return self in (
            *(StopReason.SCHEDULER, StopReason.EXPLOITED, StopReason.PLATEAU),
            *(StopReason.SEARCH_ENDED, StopReason.TIME_BUDGET),
        )


class Role(StrEnum):
    """Why there is a trial: to search, to go on from a better one's weights (PBT), to repeat one, or to end one."""

    SEARCH = "search"
    EXPLOIT = "exploit"
    CONFIRM = "confirm"
    FINISH = "finish"

    @property
    def searches(self) -> bool:
        """Whether such a trial is one that the search compares; the others follow when it has chosen."""
        return self in (Role.SEARCH, Role.EXPLOIT)

    @property
    def inherits(self) -> bool:
        """Whether such a trial begins with its parent's weights."""
        return self in (Role.EXPLOIT, Role.FINISH)


@dataclass(frozen=True)
class Rescue:
    """What was done to a trial whose codebook had collapsed.

    Attributes:
        epoch: The epoch after which it was done.
        action: ``restart_codes``, ``lower_beta``, or ``impossible`` where neither would change anything.
    """

    epoch: int
    action: str


@dataclass(frozen=True)
class Stay:
    """A trial's time on a lane: it has several where it was paused, lost its lane, or its search was interrupted.

    Times are those of its reports: seconds since the search began, all sessions together.

    Attributes:
        lane: What tells the lane from all others.
        begun: When the lane took the trial.
        ended: When the trial gave it back; None while it has it, and where its driver was killed.
    """

    lane: str
    begun: float
    ended: float | None = None


@dataclass(frozen=True)
class TrialRecord:
    """One trial, as far as it has come.

    Attributes:
        number: Its number in the search, from 0.
        params: What the search chose, by full key path (``model.n_codes``), in plain values.
        config: The complete run configuration.
        state: Where it is.
        reports: A report an epoch, oldest first: ``epoch`` (from 1), ``seconds`` since the search began, and metrics.
        stop_reason: Why it was pruned.
        error: The error's text, if it failed.
        checkpoint: Folder of its last checkpoint, which it goes on from, relative to the results folder; None if there
            was none, or it is gone.
        checkpoint_epoch: The epoch of that checkpoint; 0 if there was none.
        best_checkpoint: Folder of its best checkpoint, which may be the last one; None as with ``checkpoint``.
        best_epoch: The epoch of that checkpoint; 0 if there was none.
        started: Unix time of its first start.
        ended: Unix time of its final state.
        role: Why there is this trial.
        parent: Number of the trial that it goes on from, or repeats.
        rescues: What was done to keep its codebook alive, in order.
        stays: Its times on lanes, in order; none in searches of 0.1.
        sample_losses: ``recon_loss`` of the test samples one by one at its best checkpoint, where that is kept.
    """

    number: int
    params: Mapping[str, Any]
    config: "RunConfig"
    state: TrialState = TrialState.RUNNING
    reports: tuple[Mapping[str, float], ...] = ()
    stop_reason: StopReason | None = None
    error: str | None = None
    checkpoint: str | None = None
    checkpoint_epoch: int = 0
    best_checkpoint: str | None = None
    best_epoch: int = 0
    started: float | None = None
    ended: float | None = None
    role: Role = Role.SEARCH
    parent: int | None = None
    rescues: tuple[Rescue, ...] = ()
    stays: tuple[Stay, ...] = ()
    sample_losses: tuple[float, ...] = ()

    @property
    def name(self) -> str:
        """The trial's name in folders, tables and MLflow, such as ``trial-0007``."""
        return name_of(self.number)

    @property
    def parent_name(self) -> str | None:
        """The name of the trial that this one goes on from, or repeats."""
        return None if self.parent is None else name_of(self.parent)

    @property
    def metrics(self) -> Mapping[str, float]:
        """The last report; empty before the first."""
        return self.reports[-1] if self.reports else {}

    @property
    def weights(self) -> str | None:
        """Folder of the weights that it offers: its best ones. Searches of 0.1 have only the last."""
        return self.best_checkpoint if self.best_epoch else self.checkpoint

    @property
    def weights_epoch(self) -> int:
        """The epoch of these weights; 0 if there never were any."""
        return self.best_epoch or self.checkpoint_epoch

    @property
    def has_model(self) -> bool:
        """Whether there was ever a model of it; ``weights`` says where that is, if it is kept."""
        return self.checkpoint is not None or self.checkpoint_epoch > 0

    @property
    def result(self) -> Mapping[str, float]:
        """The report that its weights reached, by which it is judged; the last one of a trial without weights."""
        reports = (report for report in self.reports if report.get("epoch") == self.weights_epoch)
        return next(reports, self.metrics)

    @property
    def sound(self) -> bool:
        """Whether its numbers mean something: it neither failed nor diverged."""
        return self.state is not TrialState.FAILED and self.stop_reason is not StopReason.DIVERGED

    def finite(self, *names: str) -> bool:
        """Whether its result has a finite value for each of these metrics."""
        return all(math.isfinite(self.result.get(name, math.nan)) for name in names)


def name_of(number: int) -> str:
    """The name of the trial of that number."""
    return f"trial-{number:04d}"


def number_of(trial_name: str) -> int:
    """The number of the trial of that name."""
    return int(trial_name.rpartition("-")[2])


def short_name(key: str) -> str:
    """A parameter's flat, short name for tables: ``model.n_codes`` is ``n_codes``."""
    return key.split(".", 1)[1]


def short_value(value: object, digits: int = 3) -> str:
    """A value in short: so many digits for a float, ``2x4x4`` for a list of numbers, ``psnr, ssim`` for names."""
    if isinstance(value, list | tuple):
        between = ", " if any(isinstance(item, str) for item in value) else "x"
        return between.join(short_value(item, digits) for item in value)
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)


def fidelity(report: Mapping[str, float]) -> float:
    """Share of a full sample's elements that a report was measured on; only reports of equal shares compare.

    Reports of searches without ``search.fidelity`` did not always say so.
    """
    return report.get("fidelity", 1.0)


def full_fidelity(report: Mapping[str, float]) -> bool:
    """Whether a report was measured on samples of full size."""
    return fidelity(report) == 1.0


@dataclass(frozen=True)
class Importance:
    """How much a parameter mattered in a search.

    Attributes:
        key: Its full key path.
        share: Of the differences in final loss, what it explains by itself; 0 to 1.
        low: The lower end of the 95% interval.
        high: The upper end.
    """

    key: str
    share: float
    low: float
    high: float


@dataclass(frozen=True)
class Baseline:
    """What something plain makes of the same test samples, for a model to be compared with.

    Attributes:
        name: What it is, such as ``bicubic`` or ``H.264``.
        recon_loss: As the models are measured: 1 is that of the mean.
        bits_per_element: Its size; None where nothing is coded.
    """

    name: str
    recon_loss: float
    bits_per_element: float | None = None


@dataclass(frozen=True)
class SearchRecord:
    """A whole search.

    Attributes:
        name: The search's name.
        trials: Its trials, by number.
        goals: What makes a good trial.
        parameters: What is searched, and what each is drawn from.
        seed: The search's seed.
        wall_seconds: Seconds that its sessions ran, all together.
        skipped_files: Files of the data that were left out, and why.
        rejected: How many configurations were never trained, by what ruled them out: the metric of a constraint, or
            ``memory``.
        ended_by: What ended the search before its last trial: ``until``, ``stall``, ``time_budget`` or ``errors``.
        importances: How much each parameter mattered, most first; known once the search is over.
        baselines: What the recommended model is compared with; measured once the search is over.
        unreadable: How many more trials it has that this version cannot read, by why.
    """

    name: str
    trials: tuple[TrialRecord, ...]
    goals: Goals
    parameters: "tuple[Searched, ...]" = ()
    seed: int = 0
    wall_seconds: float = 0.0
    skipped_files: Mapping[str, str] = field(default_factory=dict)
    rejected: Mapping[str, int] = field(default_factory=dict)
    ended_by: str | None = None
    importances: tuple[Importance, ...] = ()
    baselines: tuple[Baseline, ...] = ()
    unreadable: Mapping[str, int] = field(default_factory=dict)

    @property
    def without_repetitions(self) -> "SearchRecord":
        """The search as it was judged before its best were repeated with other seeds."""
        return replace(self, trials=tuple(trial for trial in self.trials if trial.role is not Role.CONFIRM))

    @property
    def searched(self) -> "SearchRecord":
        """The search with the trials that it consists of; what followed when it had chosen is counted apart."""
        return replace(self, trials=tuple(trial for trial in self.trials if trial.role.searches))

    def count(self, state: TrialState) -> int:
        """Trials in a state."""
        return sum(trial.state is state for trial in self.trials)

    def count_role(self, role: Role) -> int:
        """Trials of a role."""
        return sum(trial.role is role for trial in self.trials)
