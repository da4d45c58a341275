"""Reading a YAML file so that every problem can be placed on its line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from ndvq_tune.errors import ConfigError, Problem


@dataclass(frozen=True)
class Document:
    """A parsed file.

    Attributes:
        name: The file's name for messages.
        content: What it says, overrides included.
        lines: Line of each key path, counted from 1.
        overridden: Key paths that the command line has set, whatever the file says there.
    """

    name: str
    content: dict[str, Any]
    lines: Mapping[str, int]
    overridden: Sequence[str] = ()

    def locate(self, problem: Problem) -> Problem:
        """The problem with where it comes from: the line of its key, or of the nearest parent, or ``--set``."""
        key = problem.key
        if self.overrides(key):
            return replace(problem, key=f"--set {key}")
        while key and key not in self.lines:
            key = key.rpartition(".")[0]
        return replace(problem, line=self.lines.get(key))

    def overrides(self, key: str) -> bool:
        """Whether the command line has set a key, a section that it is in, or some of what is in it."""
        return any(f"{name}.".startswith(f"{key}.") or f"{key}.".startswith(f"{name}.") for name in self.overridden)


def read(path: Path, overrides: Sequence[str] = ()) -> Document:
    """Parse a file.

    Args:
        path: The file.
        overrides: ``key.path=value`` settings that replace what the file says; values are YAML.

    Raises:
        ConfigError: If the file is missing, is no YAML mapping, has a key twice, or an override is malformed.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), [Problem("", f"cannot be read: {_reason(error)}{_others(path)}")]) from None
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise ConfigError(str(path), [Problem("", f"is not valid YAML: {error.problem}", line)]) from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date that there is not
        raise ConfigError(str(path), [Problem("", f"is not valid YAML: {error}")]) from None
    if not isinstance(content, dict):
        raise ConfigError(str(path), [Problem("", "needs a mapping with `name` and at least `model` or `training`")])
    lines: dict[str, int] = {}
    problems = _walk(root, "", lines)
    for override in overrides:
        problems += _override(content, override)
    if problems:
        raise ConfigError(str(path), problems)
    return Document(str(path), content, lines, [override.partition("=")[0] for override in overrides])


def from_mapping(name: str, content: Mapping[str, Any], overrides: Sequence[str] = ()) -> Document:
    """A document of what is no file: a mapping as a file would hold it.

    Args:
        name: Its name for messages.
        content: What it says; it is copied.
        overrides: ``key.path=value`` settings that replace some of that; values are YAML.

    Raises:
        ConfigError: If an override is malformed.

    Example:
        >>> from_mapping("mine", {"model": {"n_codes": 64}}, ["model.n_codes=128"]).content
        {'model': {'n_codes': 128}}
    """
    copy = _copy(content)
    problems = [problem for override in overrides for problem in _override(copy, override)]
    if problems:
        raise ConfigError(name, problems)
    return Document(name, copy, {}, [override.partition("=")[0] for override in overrides])


def from_overrides(overrides: Sequence[str]) -> Document:
    """A document that says only what ``key.path=value`` settings say.

    Example:
        >>> from_overrides(["model.n_codes=64", "model.downsample=[4, 4]"]).content
        {'model': {'n_codes': 64, 'downsample': [4, 4]}}

    Raises:
        ConfigError: If one is malformed.
    """
    return replace(from_mapping("the options", {}, overrides), overridden=())


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The leaves of nested mappings by key path; an empty mapping is one of them.

    Args:
        tree: Mappings of names to values or to mappings.
        prefix: What every key path begins with, its last full stop included.

    Example:
        >>> flatten({"model": {"n_codes": 64, "attention": {"type": "axial"}}, "tracking": {}})
        {'model.n_codes': 64, 'model.attention.type': 'axial', 'tracking': {}}
    """
    leaves: dict[str, Any] = {}
    for name, value in tree.items():
        parent = isinstance(value, Mapping) and value
        leaves |= flatten(value, f"{prefix}{name}.") if parent else {f"{prefix}{name}": value}
    return leaves


def with_values(tree: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of nested mappings with values at key paths: ``flatten`` the other way round.

    Example:
        >>> with_values({"model": {"n_codes": 64}}, {"model.n_codes": 128, "training.seed": 1})
        {'model': {'n_codes': 128}, 'training': {'seed': 1}}
    """
    copy = _copy(tree)
    for key, value in values.items():
        *parents, name = key.split(".")
        node = copy
        for parent in parents:
            node = node.setdefault(parent, {})
        node[name] = value
    return copy


def _copy(tree: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _copy(value) if isinstance(value, dict) else value for name, value in tree.items()}


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else (error.strerror or str(error))


def _others(path: Path) -> str:
    """The spaces that lie where one was looked for."""
    others = sorted(other.name for other in path.parent.glob("*.yaml")) if path.parent.is_dir() else []
    return f"; {path.parent} has {', '.join(others)}" if others else ""


def _walk(node: yaml.Node | None, prefix: str, lines: dict[str, int]) -> list[Problem]:
    """Note each key's line; PyYAML itself lets a second use of a key win without a word."""
    problems: list[Problem] = []
    if not isinstance(node, yaml.MappingNode):
        return problems
    for key_node, value in node.value:
        key, line = f"{prefix}{key_node.value}", key_node.start_mark.line + 1
        if key in lines:
            problems.append(Problem(key, f"stands here and on line {lines[key]}; a key may stand once", line))
        lines[key] = line
        problems += _walk(value, f"{key}.", lines)
    return problems


def _override(content: dict[str, Any], override: str) -> list[Problem]:
    key, equals, text = override.partition("=")
    if not (key and equals):
        return [Problem(f"--set {override}", "needs the form key.path=value, such as model.n_hiddens=64")]
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):
        return [Problem(f"--set {override}", "the value is not valid YAML")]
    *parents, name = key.split(".")
    node = content
    for parent in parents:
        child = node.setdefault(parent, {})
        if not isinstance(child, dict):
            return [Problem(f"--set {override}", f"{parent!r} is a value, not a section")]
        node = child
    node[name] = value
    return []
