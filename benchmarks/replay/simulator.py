"""Simulated time: lanes take what a strategy proposes, and report what was recorded when it would have come."""

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from benchmarks.replay.table import Curve

OVERHEAD = 0.4  # seconds from trial to trial on a warm lane (docs/benchmarks.md); the same for every strategy
Report = Mapping[str, float]


@dataclass(frozen=True)
class Proposal:
    """What a lane should train. A number that left its lane before its last epoch is paused: it goes on from there."""

    number: int
    params: Mapping[str, Any]


class Strategy(Protocol):
    """Decides what is trained, and for how long."""

    def next(self) -> Proposal | None:
        """What a free lane should do; none as long as there is nothing."""

    def report(self, number: int, report: Report) -> bool:
        """Hear of an epoch; whether the lane should leave the trial."""

    def done(self, number: int) -> None:
        """The lane has left the trial: the strategy wanted it, or there is no further epoch."""


@dataclass
class Clock:
    """What time it is in the simulation, in seconds."""

    now: float = 0.0

    def __call__(self) -> float:
        """The time."""
        return self.now


@dataclass(frozen=True)
class Event:
    """A report, and when it came."""

    seconds: float
    number: int
    report: Report


@dataclass
class _Trial:
    curve: Curve
    epochs: int = 0

    @property
    def next_seconds(self) -> float:
        """How long the next epoch takes."""
        before = self.curve.seconds[self.epochs - 1] if self.epochs else 0.0
        return self.curve.seconds[self.epochs] - before

    @property
    def over(self) -> bool:
        return self.epochs == len(self.curve.reports)


def simulate(
    strategy: Strategy,
    train: Callable[[Mapping[str, Any]], Curve],
    clock: Clock,
    *,
    lanes: int,
    budget: float,
    overhead: float = OVERHEAD,
) -> list[Event]:
    """Run a strategy until the budget of simulated seconds is spent, or nothing runs and nothing is proposed.

    Returns:
        All reports in the order in which they came; of those that came at once, the one that was begun first.
    """
    trials: dict[int, _Trial] = {}
    running: list[tuple[float, int, int]] = []  # when it reports, order, number
    events: list[Event] = []
    order = 0

    def run(number: int, wait: float) -> None:
        nonlocal order
        order += 1
        heapq.heappush(running, (clock.now + wait + trials[number].next_seconds, order, number))

    def fill() -> None:
        while len(running) < lanes and (proposal := strategy.next()):
            trials.setdefault(proposal.number, _Trial(train(proposal.params)))
            run(proposal.number, overhead)

    fill()
    while running and running[0][0] <= budget:
        clock.now, _, number = heapq.heappop(running)
        trial = trials[number]
        report = trial.curve.reports[trial.epochs]
        trial.epochs += 1
        events.append(Event(clock.now, number, report))
        if strategy.report(number, report) or trial.over:
            strategy.done(number)
        else:
            run(number, 0.0)
        fill()
    return events
