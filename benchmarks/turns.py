"""From the reports of a search: how long a lane takes for a trial, and how much of that is no training."""

import json
import math
import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Report:
    """A trial's report, as the driver saw it.

    Attributes:
        trial: The trial's name.
        at: Unix time at which the driver heard of it.
        trained: Seconds that the trial had spent in training and validation until then, by its worker's clock.
        loss: The first objective.
    """

    trial: str
    at: float
    trained: float
    loss: float = math.nan


def write(path: Path, trial: str, report: Mapping[str, Any], metric: str) -> None:
    """Add a ``Report`` to a file, as a line of JSON."""
    line = {"trial": trial, "at": time.time(), "trained": report["training_seconds"], "loss": report[metric]}
    with path.open("a") as file:
        file.write(json.dumps(line) + "\n")


@dataclass(frozen=True)
class Turn:
    """A lane's time for one trial: from the last report of the trial before, to its own last report.

    Attributes:
        trial: The trial's name.
        seconds: How long that was.
        trained: Seconds of it in training and validation.
    """

    trial: str
    seconds: float
    trained: float

    @property
    def overhead(self) -> float:
        """Seconds of it in which the lane did not train."""
        return self.seconds - self.trained


def turns(reports: Iterable[Report], lanes: int) -> list[Turn]:
    """The turn of every trial but the first on each lane, which has the lane's own start-up before it."""
    by_trial = groupby(sorted(reports, key=attrgetter("trial", "at")), key=attrgetter("trial"))
    spans = [_span(list(some)) for _, some in by_trial]
    free: list[float] = []  # when each lane's last trial ended
    found: list[Turn] = []
    for _, last in sorted(spans, key=itemgetter(0)):
        if len(free) == lanes:
            before = min(free)
            free.remove(before)
            found.append(Turn(last.trial, last.at - before, last.trained))
        free.append(last.at)
    return found


def _span(reports: Sequence[Report]) -> tuple[float, Report]:
    """When a trial's training began, and its last report."""
    return reports[0].at - reports[0].trained, reports[-1]


@dataclass(frozen=True)
class Pace:
    """How fast a way to search goes.

    Attributes:
        name: The way, in words.
        lanes: Concurrent trials.
        first_report: Seconds from the start of the command to its first report.
        whole: Seconds of the whole command.
        turns: Turns of its trials.
        problem: What went wrong; figures are of what came before.
    """

    name: str
    lanes: int
    first_report: float
    whole: float
    turns: tuple[Turn, ...]
    problem: str | None = None

    @property
    def overheads(self) -> list[float]:
        """Seconds a trial in which its lane did not train, least first."""
        return sorted(turn.overhead for turn in self.turns)

    @property
    def overhead(self) -> float:
        """Their median."""
        return statistics.median(self.overheads)

    @property
    def trained(self) -> float:
        """Seconds a trial in training and validation, on average."""
        return statistics.mean(turn.trained for turn in self.turns)

    @property
    def per_minute(self) -> float:
        """Trials a minute of all lanes together, once they run."""
        return 60 * self.lanes / statistics.mean(turn.seconds for turn in self.turns)
