"""A search space as YAML with comments, in the layout that people write: a line a setting."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from ndvq_tune.config import RunConfig
from ndvq_tune.problems import is_section

_WIDTH = 118


def to_yaml(content: Mapping[str, Any], head: str, comments: Sequence[tuple[str, str]]) -> str:
    """The text of a space.

    Args:
        content: What the file says.
        head: Comment at its top.
        comments: Key paths, and what to say before them; what is no longer there is said before its section.

    Example:
        >>> content = {"name": "small", "model": {"n_codes": 64}}
        >>> print(to_yaml(content, "Narrowed", [("model.n_codes", "was 8")]), end="")
        # Narrowed
        name: small
        model:
          # was 8
          n_codes: 64
    """
    placed: dict[str, list[str]] = {}
    for key, comment in comments:
        placed.setdefault(_nearest(content, key), []).append(comment)
    return "".join(f"{line}\n" for line in [*_comment(head, ""), *_lines(content, "", placed)])


def _lines(node: Mapping[str, Any], prefix: str, comments: Mapping[str, Sequence[str]]) -> Iterator[str]:
    indent = "  " * prefix.count(".")
    for name, value in node.items():
        key = f"{prefix}{name}"
        for comment in comments.get(key, ()):
            yield from _comment(comment, indent)
        if isinstance(value, Mapping) and value and (not prefix or is_section(RunConfig, key)):
            yield f"{indent}{_flow(name)}:"
            yield from _lines(value, f"{key}.", comments)
        else:
            yield from _setting(name, value, indent)


def _setting(name: str, value: Any, indent: str) -> list[str]:
    """A setting in one line, or in several if it is too long for that."""
    line = f"{indent}{_flow(name)}: {_flow(value)}"
    if len(line) <= _WIDTH:
        return [line]
    width = _WIDTH - len(indent)
    text = yaml.safe_dump({name: value}, default_flow_style=None, sort_keys=False, width=width, allow_unicode=True)
    return textwrap.indent(text, indent).splitlines()


def _comment(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ")


def _flow(value: Any) -> str:
    text: str = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10**6, allow_unicode=True)
    return text.removesuffix("...\n").strip()


def _nearest(content: Mapping[str, Any], key: str) -> str:
    """A key path, or that of the nearest section around it that there is."""
    found: list[str] = []
    node: Any = content
    for name in key.split("."):
        if not isinstance(node, Mapping) or name not in node:
            break
        found.append(name)
        node = node[name]
    return ".".join(found)
