"""How long parts of the driver's work take, and where their time goes."""

import cProfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from ndvq_tune.records import TrialRecord
from ndvq_tune.search.engine.optuna_space import Draft
from ndvq_tune.search.engine.study import Study
from ndvq_tune.tracking.mlflow import MlflowTracker


@dataclass
class Watch:
    """Adds up the seconds of a part, and profiles it if it has what to do that with."""

    seconds: float = 0.0
    profile: cProfile.Profile | None = None

    @contextmanager
    def running(self) -> Iterator[None]:
        """The part runs."""
        start = time.perf_counter()
        if self.profile:
            self.profile.enable()
        try:
            yield
        finally:
            if self.profile:
                self.profile.disable()
            self.seconds += time.perf_counter() - start


@dataclass
class Watches:
    """One for each part of the driver's work."""

    driver: Watch = field(default_factory=Watch)
    proposing: Watch = field(default_factory=Watch)
    mlflow: Watch = field(default_factory=Watch)


class WatchedStudy(Study):
    """A study that knows how long its proposals take."""

    watch = Watch()

    def propose(self, params: Mapping[str, object] | None = None, at_random: bool = False) -> Draft:
        """As any study does."""
        with self.watch.running():
            return super().propose(params, at_random)


class WatchedTracker(MlflowTracker):
    """A tracker that knows how long it works for trials."""

    watch = Watch()

    def sync(self, trial: TrialRecord) -> None:
        """As any tracker does."""
        with self.watch.running():
            super().sync(trial)
