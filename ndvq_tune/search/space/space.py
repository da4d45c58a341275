"""A search space: one YAML file that describes data, model, training and search completely.

Any leaf of ``model`` and ``training`` is a value or a distribution; a distribution may have a ``when``.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import Field

from ndvq_tune import distributions
from ndvq_tune.config import DataConfig, Frozen, RunConfig
from ndvq_tune.config.training import ValidationMetric
from ndvq_tune.distributions import Range, Searched
from ndvq_tune.errors import ConfigError, Problem
from ndvq_tune.problems import is_section, nearest, validate
from ndvq_tune.search.space.settings import SearchSettings, TrackingSettings
from ndvq_tune.yaml_file import Document, flatten, read, with_values

SEARCHED_SECTIONS = ("model", "training")
ABOUT = ("when", "prefer", "confidence")  # what may stand beside a distribution

_RENAMED = {"training.optimizer": "training.optimizer.type"}  # since release 0.1


class SpaceFile(Frozen):
    """The parts of a search space that are never searched."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="name of the search and of its folder")
    search: SearchSettings = SearchSettings()
    tracking: TrackingSettings = TrackingSettings()


@dataclass(frozen=True)
class SearchSpace:
    """A checked search space.

    Attributes:
        name: The search's name.
        source: The space as a plain mapping, overrides included; written to ``space.yaml`` and read back on resume.
        fixed: ``data``, ``model`` and ``training`` without what is searched.
        searched: The searched parameters, each behind those it depends on.
        search: How to search.
        tracking: Where to track.

    Example:
        >>> from ndvq_tune.yaml_file import from_overrides
        >>> leaves = ["name=small", "model.n_codes={choice: [64, 512]}", "training.learning_rate=0.002"]
        >>> space = SearchSpace.from_document(from_overrides(leaves))
        >>> [parameter.key for parameter in space.searched]
        ['model.n_codes']
        >>> config = space.complete({"model.n_codes": 512})
        >>> config.model.n_codes, config.training.learning_rate
        (512, 0.002)
    """

    name: str
    source: Mapping[str, Any]
    fixed: Mapping[str, Any]
    searched: tuple[Searched, ...]
    search: SearchSettings
    tracking: TrackingSettings

    @classmethod
    def load(cls, path: Path, overrides: Sequence[str] = ()) -> "SearchSpace":
        """Read and check a space.

        Args:
            path: The YAML file.
            overrides: ``key.path=value`` settings that replace what the file says; values are YAML.

        Raises:
            ConfigError: With every problem of the file at once.
        """
        return cls.from_document(read(path, overrides))

    @classmethod
    def from_document(cls, document: Document) -> "SearchSpace":
        """Check a parsed file."""
        content = _last_word(document)
        sections = {key: content[key] for key in RunConfig.model_fields if key in content}
        rest = {key: value for key, value in content.items() if key not in RunConfig.model_fields}
        found, problems = _distributions(sections)
        file, more = validate(SpaceFile, rest, also_allowed=tuple(RunConfig.model_fields))
        fixed = _without(sections, [parameter.key for parameter in found] + [problem.key for problem in problems])
        problems += more + _invalid_values(fixed, found) + _wrong_conditions(fixed, found)
        problems += _wrong_first(found, file.search.first) if file else []
        if problems or file is None:
            located = [document.locate(problem) for problem in problems]
            raise ConfigError(document.name, sorted(located, key=lambda problem: problem.line or 0))
        return cls(file.name, content, fixed, _ordered(found), file.search, file.tracking)

    def complete(self, chosen: Mapping[str, Any]) -> RunConfig:
        """The complete configuration for chosen values; parameters that do not count get their defaults.

        Validation measures what the goals name, too.
        """
        config = RunConfig.model_validate(with_values(self.fixed, chosen))
        asked = {*config.training.validation_metrics, *self.search.named_metrics}
        measured = tuple(name for name in get_args(ValidationMetric) if name in asked)
        return config.with_training(validation_metrics=measured)

    def active(self, parameter: Searched, chosen: Mapping[str, Any]) -> bool:
        """Whether a parameter counts, given what was chosen of those before it."""
        current = flatten(self.complete(chosen).to_dict()) if parameter.when else {}
        return all(current[key] in allowed for key, allowed in parameter.when.items())

    @property
    def data(self) -> DataConfig:
        """The data set, which is never searched."""
        return self.complete({}).data

    @property
    def max_epochs(self) -> int:
        """Most epochs that a trial of this space can have."""
        searched = [p.distribution.probes for p in self.searched if p.key == "training.max_epochs"]
        return max(map(int, searched[0])) if searched else self.complete({}).training.max_epochs

    def to_yaml(self) -> str:
        """The space as YAML, overrides included."""
        return yaml.safe_dump(dict(self.source), sort_keys=False, default_flow_style=None, width=120)


def _last_word(document: Document) -> dict[str, Any]:
    """What a file says, without what its first points say of settings that the command line has set."""
    search = document.content.get("search")
    first = search.get("first") if isinstance(search, dict) else None
    if not isinstance(first, list) or document.overrides("search.first"):
        return document.content
    points = [
        {key: value for key, value in point.items() if not document.overrides(key)}
        if isinstance(point, dict)
        else point
        for point in first
    ]
    return with_values(document.content, {"search.first": [point for point in points if point]})


def _distributions(sections: Mapping[str, Any]) -> tuple[list[Searched], list[Problem]]:
    """Every leaf that describes a distribution."""
    found: list[Searched] = []
    problems: list[Problem] = []
    for key, leaf in _leaf_mappings(sections):
        try:
            found.append(_searched(key, leaf))
        except ValueError as error:
            problems.append(Problem(key, str(error)))
    return found, problems


def _leaf_mappings(node: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for name, value in node.items():
        key = f"{prefix}{name}"
        if not isinstance(value, dict) or key == "data" or not isinstance(name, str) or "." in name:
            continue  # what is no key of ours at all, pydantic finds
        if is_section(RunConfig, key) and value.keys().isdisjoint(distributions.KINDS):
            yield from _leaf_mappings(value, f"{key}.")
        else:
            yield key, value


def _searched(key: str, leaf: dict[str, Any]) -> Searched:
    kinds = [name for name in leaf if name not in ABOUT]
    if len(kinds) != 1 or kinds[0] not in distributions.KINDS:
        hint = "".join(nearest(str(name), distributions.KINDS) for name in kinds if name not in distributions.KINDS)
        raise ValueError(f"{leaf!r} given; needs a value or one of {', '.join(distributions.KINDS)}{hint}")
    when = leaf.get("when", {})
    if not isinstance(when, dict):
        raise ValueError(f"when: {when!r} given; needs a mapping of key paths to values")
    conditions = {_RENAMED.get(k, str(k)): tuple(v) if isinstance(v, list) else (v,) for k, v in when.items()}
    distribution = distributions.parse(kinds[0], leaf[kinds[0]])
    return Searched(key, distribution, conditions, distributions.preference(distribution, leaf))


def _invalid_values(fixed: Mapping[str, Any], found: Sequence[Searched]) -> list[Problem]:
    """Problems of the fixed values, and of every value that a distribution can give."""
    first = {parameter.key: parameter.distribution.probes[0] for parameter in found}
    problems = validate(RunConfig, with_values(fixed, first))[1]
    for parameter in found:
        for value in parameter.distribution.probes[1:]:
            if isinstance(parameter.distribution, Range) and any(p.key == parameter.key for p in problems):
                break  # one wrong end says it all
            tried = validate(RunConfig, with_values(fixed, first | {parameter.key: value}))[1]
            known = {problem.key for problem in problems if not problem.key.startswith(parameter.key)}
            problems += [problem for problem in tried if problem.key not in known and problem not in problems]
    return problems


def conditional() -> list[str]:
    """Key paths that a condition can name: of single values, not of mappings such as ``data.augment``."""
    return [key for key, value in flatten(RunConfig().to_dict()).items() if not isinstance(value, Mapping)]


def _wrong_conditions(fixed: Mapping[str, Any], found: Sequence[Searched]) -> list[Problem]:
    """Conditions on keys or values that do not exist, and conditions that go round in circles."""
    known = conditional()
    problems: list[Problem] = []
    for parameter in found:
        for key, values in parameter.when.items():
            if key not in known:
                problems.append(Problem(f"{parameter.key}.when", f"no parameter {key!r}{nearest(key, known)}"))
                continue
            for value in values:
                tried = validate(RunConfig, with_values(fixed, {key: value}))[1]
                wrong = [problem.message for problem in tried if problem.key == key]
                problems += [Problem(f"{parameter.key}.when", f"{key}: {message}") for message in wrong]
    if not problems and len(_ordered(found)) < len(found):
        problems.append(Problem("", "the conditions under `when` go round in a circle"))
    return problems


def _wrong_first(found: Sequence[Searched], points: Sequence[Mapping[str, Any]]) -> list[Problem]:
    """Points to try first that the space does not have."""
    known = {parameter.key: parameter.distribution for parameter in found}
    problems = []
    for place, point in enumerate(points, start=1):
        for key, value in point.items():
            if key not in known:
                what = f"nothing is searched under {key!r}{nearest(key, known)}"
            elif value in known[key]:
                continue
            else:
                what = f"{key}: {value!r} given; needs {known[key]}"
            problems.append(Problem("search.first", f"point {place}: {what}"))
    return problems


def _ordered(found: Sequence[Searched]) -> tuple[Searched, ...]:
    """Parameters behind those that their conditions name; those in a circle are left out."""
    waiting = {parameter.key: parameter for parameter in found}
    ordered: list[Searched] = []
    while ready := [p for p in waiting.values() if not any(_within(key, waiting) for key in p.when)]:
        ordered += ready
        for parameter in ready:
            del waiting[parameter.key]
    return tuple(ordered)


def _within(key: str, keys: Iterable[str]) -> bool:
    """Whether a key path is one of some, or is of a section that is."""
    return any(f"{key}.".startswith(f"{name}.") for name in keys)


def _without(tree: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    """A copy of a tree without some key paths."""
    copy = with_values(tree, {})
    for key in keys:
        *parents, name = key.split(".")
        node = copy
        for parent in parents:
            node = node[parent]
        del node[name]
    return copy
