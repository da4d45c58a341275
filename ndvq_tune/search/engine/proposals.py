"""Where new trials come from: the sampler, a grid, a better member of the population, or the best to repeat."""

import json
import random
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any, Protocol

from ndvq_tune.config import RunConfig
from ndvq_tune.errors import ConfigError, Problem
from ndvq_tune.judgement.lineage import origin
from ndvq_tune.judgement.standing import Standing
from ndvq_tune.records import Role, StopReason, TrialRecord
from ndvq_tune.search.engine.curves.decisions import Decisions
from ndvq_tune.search.engine.curves.proposal import Params
from ndvq_tune.search.engine.finishing import to_finish
from ndvq_tune.search.engine.optuna_space import Draft
from ndvq_tune.search.engine.samplers import grid
from ndvq_tune.search.engine.schedulers.pbt import perturbed, source_of
from ndvq_tune.search.engine.study import Study
from ndvq_tune.search.space import SearchSpace
from ndvq_tune.search.space.settings.sampler import GRID

MOST_REJECTIONS = 300
OWN_ATTEMPTS = 10  # of a sampler, before points are drawn at random
REPEATED = "repeated"


@dataclass(frozen=True)
class Check:
    """What is known of a configuration before it is trained.

    Attributes:
        constraints: How far it is beyond each bound that is known beforehand; positive where one is broken.
        broken: Those that rule it out.
    """

    constraints: Mapping[str, float] = field(default_factory=dict)
    broken: tuple[str, ...] = ()


class Preflight(Protocol):
    """What is known of configurations before they are trained."""

    def check(self, config: RunConfig) -> Check:
        """All that is known of one that is about to become a trial."""

    def goal_metrics(self, config: RunConfig) -> Mapping[str, float] | None:
        """Metrics that its goals read; None if they rule it out. Asked of hundreds of candidates, so it is quick."""


class NoPreflight:
    """Nothing is known, and nothing ruled out."""

    def check(self, config: RunConfig) -> Check:
        """Nothing."""
        return Check()

    def goal_metrics(self, config: RunConfig) -> Mapping[str, float]:
        """Nothing."""
        return {}


class Proposals:
    """Begins trials in a study.

    Args:
        study: The study.
        space: The space.
        preflight: What is known of configurations before they are trained.
        decisions: What proposes points; one of Optuna's samplers if there is none.
    """

    def __init__(self, study: Study, space: SearchSpace, preflight: Preflight, decisions: Decisions | None) -> None:
        self._study, self._space, self._preflight = study, space, preflight
        self._tried = {_key(record.params) for record in (*study.known, *study.records)}
        self._exhausted = False
        began = [record.params.items() for record in study.records]
        self._first = deque(point for point in space.search.first if not any(point.items() <= one for one in began))
        self._decisions = decisions
        self._grid = None
        if space.search.sampler.type == GRID:
            self._grid = deque(point for point in grid(space) if _key(point) not in self._tried)

    @property
    def trials(self) -> int:
        """Trials that the search will have: never more than its space has points."""
        begun, wanted = self._study.count(Role.SEARCH), self._space.search.trials
        if self._exhausted:
            return begun
        return wanted if self._grid is None else min(wanted, begun + len(self._grid))

    @property
    def repetitions(self) -> int:
        """Repetitions that follow the search, at most."""
        confirm = self._space.search.confirm
        return confirm.top * confirm.seeds if confirm else 0

    def searched(self) -> TrialRecord | None:
        """A trial of a new point that is not ruled out beforehand; none when all trials of the search have begun.

        A point that was tried before is left out: the same configuration learns the same again. After it, or after a
        few that were ruled out, points are drawn at random, as the sampler would come back to what it likes.
        """
        at_random = self._by_chance()
        rejected = 0
        for attempt in range(MOST_REJECTIONS):
            if self._study.count(Role.SEARCH) >= self.trials:
                return None
            at_random = at_random or attempt >= OWN_ATTEMPTS
            draft = self._study.propose(self._given(at_random), at_random=at_random)
            if _key(draft.params) in self._tried:
                self._study.reject(draft, {}, (REPEATED,))
                at_random = True
                continue
            check = self._preflight.check(draft.config)
            if not check.broken:
                self._tried.add(_key(draft.params))
                return self._study.begin(draft, check.constraints)
            self._study.reject(draft, check.constraints, check.broken)
            rejected += 1
        if rejected == MOST_REJECTIONS:
            raise self._nothing_allowed()
        self._exhausted = True
        return None

    def heir(self) -> TrialRecord | None:
        """A trial in place of a member of the population that ended because it was among the worst."""
        records, settings = self._study.records, self._space.search
        exploited = [record for record in records if record.stop_reason is StopReason.EXPLOITED]
        orphans = sorted(exploited, key=lambda record: (record.ended or 0.0, record.number))
        for orphan in orphans[self._study.count(Role.EXPLOIT) :]:
            source = source_of(orphan, rivals(orphan, records), settings)
            if source:
                params = perturbed(source.params, self._space, random.Random(f"{settings.seed}/{orphan.number}"))
                return self._study.begin(self._study.propose(params), role=Role.EXPLOIT, parent=source)
        return None

    def finish(self) -> TrialRecord | None:
        """A trial that trains a recommended one to its end, from its last checkpoint; none if all have come there."""
        stopped = self.to_finish()
        return stopped and self._study.begin(self._again(stopped), role=Role.FINISH, parent=stopped)

    def repetition(self) -> TrialRecord | None:
        """A repetition of one of the best with another seed; none when there are enough."""
        confirm = self._space.search.confirm
        if confirm is None:
            return None
        done = {(r.parent, r.config.training.seed) for r in self._study.records if r.role is Role.CONFIRM}
        for number, original in product(range(1, confirm.seeds + 1), self._to_confirm(confirm.top)):
            seed = original.config.training.seed + number
            if (original.number, seed) not in done:
                draft = self._again(original)
                seeded = replace(draft, config=draft.config.with_training(seed=seed))
                return self._study.begin(seeded, role=Role.CONFIRM, parent=original)
        return None

    def to_finish(self) -> TrialRecord | None:
        """The recommended trial that ``finish`` would go on from."""
        finish = self._space.search.finish
        return to_finish(self._standing(), finish.top) if finish else None

    def _given(self, at_random: bool) -> Params | None:
        """The next point where it is not up to one of Optuna's samplers; what it leaves out still is."""
        if self._first:
            return self._first.popleft()
        if self._grid:
            return self._grid.popleft()
        if self._decisions is None or at_random or not self._study.learns:
            return None
        best = self._decisions.proposals(self._study.records, self._study.count(Role.SEARCH), self._known)
        return next((params for params in best if not self._preflight.check(self._space.complete(params)).broken), None)

    def _known(self, params: Params) -> Mapping[str, float] | None:
        """What is known of a point before it is trained; None for one that was tried or is ruled out."""
        return None if _key(params) in self._tried else self._preflight.goal_metrics(self._space.complete(params))

    def _to_confirm(self, top: int) -> list[TrialRecord]:
        """The recommended trial, then the rest of the front, then the next best; not what trained them to their end."""
        standing = Standing(self._study.to_record().without_repetitions)
        trials = {record.number: record for record in self._study.records}
        numbers = dict.fromkeys(origin(trial, trials) for trial in (*standing.recommended, *standing.ranked))
        return [trials[number] for number in numbers][:top]

    def _again(self, record: TrialRecord) -> Draft:
        """The point of a trial once more, with its own configuration."""
        return replace(self._study.propose(record.params), config=record.config)

    def _standing(self) -> Standing:
        return Standing(self._study.to_record())

    def _by_chance(self) -> bool:
        """Whether the next point is drawn at random whatever has been learned; the same for the same seed."""
        settings = self._space.search
        return (
            random.Random(f"{settings.seed}/{self._study.count(Role.SEARCH)}").random()
            < settings.sampler.random_fraction
        )

    def _nothing_allowed(self) -> ConfigError:
        counts = ", ".join(f"{count} by {name}" for name, count in self._study.rejected.items())
        message = f"ruled out {MOST_REJECTIONS} configurations in a row before training ({counts}); see --dry-run"
        return ConfigError(self._space.name, [Problem("search.constraints", message)])


def rivals(record: TrialRecord, records: Sequence[TrialRecord]) -> Iterator[TrialRecord]:
    """The trials that a trial is compared with: all others of the search."""
    return (other for other in records if other.number != record.number and other.role.searches)


def _key(params: Mapping[str, Any]) -> str:
    return json.dumps(params, sort_keys=True)
