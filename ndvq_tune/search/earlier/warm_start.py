"""What a new search takes over from earlier ones. Pure functions.

A trial that the new search could have run itself, on the same data, is one that its sampler may learn from. Of all
others, the best say where to look first: so a cheap search over images seeds one over videos.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ndvq_tune.config import RunConfig
from ndvq_tune.distributions import Range, Searched
from ndvq_tune.judgement.comparison import fronts
from ndvq_tune.quantities import count_text
from ndvq_tune.records import Role, StopReason, TrialRecord, TrialState, full_fidelity
from ndvq_tune.search.earlier.reading import Earlier
from ndvq_tune.search.engine.study import Study
from ndvq_tune.search.space import SearchSpace
from ndvq_tune.search.space.settings import SearchSettings
from ndvq_tune.yaml_file import flatten

# How many files may be bad changes when data is refused, not what is in it; what is measured changes no model.
_SAME_TRAINING = ("data.max_bad", "training.validation_metrics")
_UNREADABLE = "a configuration that this version cannot read"


@dataclass(frozen=True)
class WarmStart:
    """What a new search begins with.

    Attributes:
        known: Finished trials that it could have run itself; ``params`` are those of the new space.
        first_points: Points to try first, by full key path; parameters that a point does not have are free.
        left_out: How many other trials there are, by why they are of no use.
    """

    known: tuple[TrialRecord, ...]
    first_points: tuple[dict[str, Any], ...]
    left_out: Mapping[str, int]

    def give(self, study: Study) -> None:
        """Let a new search begin with it."""
        for known in self.known:
            study.import_(known)
        for point in self.first_points:
            study.enqueue(point)

    def describe(self) -> str:
        """How many trials are of use, and why others are not, in one line."""
        counts = f"{count_text(len(self.known), 'trial')} taken over, {len(self.first_points)} more to be tried first"
        rest = "; ".join(f"{count_text(count, 'trial')}: {reason}" for reason, count in self.left_out.items())
        return f"{counts}; left out: {rest}" if rest else counts


@dataclass(frozen=True)
class _Candidate:
    """An earlier trial, as seen from the new space.

    Attributes:
        trial: The trial.
        chosen: Its values of parameters that the new space searches, where they fit.
        outside: Searched parameters whose values do not fit.
        same_data: Whether it was trained on the same samples.
        obstacle: Why it is not a trial of the new search; None if it could be.
    """

    trial: TrialRecord
    chosen: dict[str, Any]
    outside: tuple[str, ...]
    same_data: bool
    obstacle: str | None

    @property
    def point(self) -> dict[str, Any]:
        """Those that its own search has chosen: what was fixed there, or a default, says nothing of where to look."""
        return {key: value for key, value in self.chosen.items() if key in self.trial.params}


def plan(space: SearchSpace, earlier: Sequence[Earlier]) -> WarmStart:
    """Decide what becomes of each earlier trial.

    A trial is known if data, training and everything else that the new space fixes are the same (also
    ``max_epochs``: it shapes the whole curve), and every searched parameter that counts has a value that the new space
    has. Of all others, the best few become first points, at most ``search.sampler.startup_trials``; ranked by the new
    objectives and constraints. A value that the new space does not have rules a trial out on the same data, where it
    is known what became of it; on other data that parameter is left free. So is what the earlier search had fixed.
    """
    left_out: Counter[str] = Counter()
    candidates: list[_Candidate] = []
    values = {parameter.key: _fitting(space, parameter) for parameter in space.searched}
    for search in earlier:
        left_out.update({_UNREADABLE: search.unreadable} if search.unreadable else {})
        for trial in search.trials:
            if reason := _unusable(trial, space):
                left_out[reason] += 1
            else:
                candidates.append(_candidate(trial, search, space, values))
    known = [replace(c.trial, params=c.chosen) for c in candidates if c.obstacle is None]
    others = [candidate for candidate in candidates if candidate.obstacle is not None]
    points, more = _first_points(space, others, known)
    return WarmStart(tuple(known), tuple(points), dict(left_out + more))


def _unusable(trial: TrialRecord, space: SearchSpace) -> str | None:
    """Why nothing can be learned from a trial."""
    missing = [name for name in space.search.goals.metrics if not trial.finite(name)]
    reasons = {
        "failed": trial.state is TrialState.FAILED,
        "diverged": trial.stop_reason is StopReason.DIVERGED,
        "repeats another trial": trial.role is Role.CONFIRM,
        f"no value of {', '.join(missing)}": bool(missing),
        "last measured on smaller samples": not full_fidelity(trial.metrics),
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def _candidate(
    trial: TrialRecord, search: Earlier, space: SearchSpace, values: Mapping[str, Mapping[str, Any] | Range]
) -> _Candidate:
    leaves = _leaves(trial.config)
    chosen: dict[str, Any] = {}
    outside, inactive = [], set()
    for parameter in space.searched:
        if not space.active(parameter, chosen):
            inactive.add(parameter.key)
        elif found := list(_value(values[parameter.key], leaves[parameter.key])):
            chosen[parameter.key] = found[0]
        else:
            outside.append(parameter.key)
    wanted = _leaves(space.complete(chosen))
    free = {*inactive, *outside, *_SAME_TRAINING}
    differing = [
        key
        for key in wanted | leaves
        if key not in free and _plain(key, wanted.get(key, ...)) != _plain(key, leaves.get(key, ...))
    ]
    first_metric = space.search.goals.metrics[0]
    obstacles = [
        *(f"another {key}" for key in differing),
        *(f"{key} outside the space" for key in outside),
        *(["went on from another trial"] if trial.role is Role.EXPLOIT else []),
        *(["changed on the way, to rescue its codebook"] if trial.rescues else []),
        *([] if _same_stages(trial, search, space) else ["samples grew in other stages"]),
        *([] if all(first_metric in report for report in trial.reports) else [f"epochs without {first_metric}"]),
    ]
    same_data = not any(key.startswith("data.") for key in differing)
    return _Candidate(trial, chosen, tuple(outside), same_data, obstacles[0] if obstacles else None)


def _first_points(
    space: SearchSpace, others: Sequence[_Candidate], known: Sequence[TrialRecord]
) -> tuple[list[dict[str, Any]], Counter[str]]:
    """The best points of trials that are not known, and why all other trials are left out."""
    left_out: Counter[str] = Counter()
    by_trial: dict[int, _Candidate] = {}
    for candidate in others:
        if candidate.same_data and candidate.outside:
            left_out[f"{candidate.outside[0]} outside the space"] += 1
        elif not candidate.point:
            left_out["no parameter in common"] += 1
        else:
            by_trial[id(candidate.trial)] = candidate
    seen = {_key(trial.params) for trial in known}
    points: list[dict[str, Any]] = []
    limit = space.search.sampler.startup_trials
    for front in fronts([candidate.trial for candidate in by_trial.values()], space.search.goals):
        for trial in front:
            candidate = by_trial[id(trial)]
            key = _key(candidate.point)
            if key in seen:
                left_out["the same point as another"] += 1
            elif len(points) == limit:
                left_out[f"{candidate.obstacle}, and not among the best {limit}"] += 1
            else:
                seen.add(key)
                points.append(candidate.point)
    return points, left_out


def _fitting(space: SearchSpace, parameter: Searched) -> Mapping[str, Any] | Range:
    """The values of a parameter: a range, or each choice by what becomes of it in a configuration."""
    if isinstance(parameter.distribution, Range):
        return parameter.distribution
    first = {other.key: other.distribution.probes[0] for other in space.searched}
    return {
        _key(_leaves(space.complete(first | {parameter.key: value}))[parameter.key]): value
        for value in parameter.distribution.probes
    }


def _value(values: Mapping[str, Any] | Range, leaf: Any) -> Iterator[Any]:
    """The value of the space that a leaf of a configuration is, if there is one."""
    if isinstance(values, Range):
        if leaf in values:
            yield leaf
    elif _key(leaf) in values:
        yield values[_key(leaf)]


def _same_stages(trial: TrialRecord, earlier: Earlier, space: SearchSpace) -> bool:
    """Whether the samples were as large at each epoch as they would be in the new search."""
    if space.search.fidelity.stages == 1:
        return all(full_fidelity(report) for report in trial.reports)
    return earlier.search is not None and _stages(earlier.search) == _stages(space.search)


def _stages(search: SearchSettings) -> Any:
    fidelity = search.fidelity
    return fidelity.sizes, fidelity.promote_after or (fidelity.unit, search.scheduler)


def _leaves(config: RunConfig) -> dict[str, Any]:
    """The settings of a configuration by key path; those of the data are not taken apart, as some are mappings."""
    tree = config.to_dict()
    return {f"data.{name}": value for name, value in tree.pop("data").items()} | flatten(tree)


def _plain(key: str, value: Any) -> Any:
    """A value of which different spellings are equal."""
    return str(Path(value).resolve()) if key == "data.path" and "://" not in value else value


def _key(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
