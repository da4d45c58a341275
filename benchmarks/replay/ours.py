"""Our own search: the engine that the runner uses, on a study in memory and in simulated time."""

from collections.abc import Sequence

from benchmarks.replay.encoding import bits_of
from benchmarks.replay.simulator import Proposal, Report
from benchmarks.replay.task import Task
from ndvq_tune.config import RunConfig
from ndvq_tune.search.engine.engine import Engine
from ndvq_tune.search.engine.proposals import Check
from ndvq_tune.search.engine.study import Study
from ndvq_tune.search.engine.verdict import Decision
from ndvq_tune.yaml_file import flatten

BITS = "bits_per_element"


class Ours:
    """The engine.

    Args:
        task: What is searched for.
        settings: Settings of the search beside the task's own, as ``key.path=value``.
        preflight: Whether configurations over the bit budget are rejected before they are trained.
    """

    def __init__(self, task: Task, settings: Sequence[str] = (), preflight: bool = True) -> None:
        self._max_bits = task.scenario.max_bits if preflight and task.scenario.constrained else None
        space = task.space_with(*settings)
        self._study = Study.in_memory(space, clock=task.clock)
        self._engine = Engine(self._study, space, self)
        self._decisions: dict[int, Decision] = {}

    def next(self) -> Proposal | None:
        """A new trial, or one that was paused."""
        record = self._engine.next_trial()
        if record is None:
            number = self._engine.next_paused()
            if number is None:
                return None
            self._engine.resume(number)
            record = self._study.record(number)
        return Proposal(record.number, record.params)

    def report(self, number: int, report: Report) -> bool:
        """Ask the engine, which ends trials of all epochs itself."""
        self._decisions[number] = self._engine.report(number, report)
        return self._decisions[number] is not Decision.CONTINUE

    def done(self, number: int) -> None:
        """End a trial that is not merely paused."""
        if self._decisions[number] is Decision.STOP:
            self._engine.finish(number)

    def check(self, config: RunConfig) -> Check:
        """As pre-flight does: how far a configuration is beyond the bit budget."""
        if self._max_bits is None:
            return Check()
        excess = _bits(config) - self._max_bits
        return Check({BITS: excess}, (BITS,) if excess > 0 else ())

    def goal_metrics(self, config: RunConfig) -> dict[str, float] | None:
        """As pre-flight does: its bits, within the budget."""
        bits = _bits(config)
        return {BITS: bits} if self._max_bits is None or bits <= self._max_bits else None


def _bits(config: RunConfig) -> float:
    return bits_of(flatten(config.to_dict()))
