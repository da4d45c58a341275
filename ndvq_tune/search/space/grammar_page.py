"""The tables of ``docs/space.md``, made out of the models that check a space, so that the page cannot drift."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import yaml

from ndvq_tune.config import RunConfig, VideoData
from ndvq_tune.errors import ConfigError, Problem
from ndvq_tune.metrics import METRICS
from ndvq_tune.model import build_model_of_shapes
from ndvq_tune.problems import nearest
from ndvq_tune.search.space.grammar import DISTRIBUTIONS, Schema, plain_schema, sections
from ndvq_tune.training.evaluation import static_metrics

Row = Sequence[str]

_TABLE = re.compile(r"(<!-- table: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
_TYPES = {"integer": "whole number", "number": "number", "string": "text", "boolean": "`true`, `false`"}
_LIMITS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
_BETTER = {"min": "lower", "max": "higher", None: ""}
_WIDE = 1_000_000  # YAML on one line


def filled(page: str) -> str:
    """The page with every table made anew: what is between ``<!-- table: NAME -->`` and ``<!-- end -->``.

    A name is ``distributions``, ``metrics``, a section such as ``search.stop``, or a section with ``/types`` behind it
    where ``type`` tells which settings it has. A section's table has the settings of the sections in it too, but for
    those that have a table of their own.

    Raises:
        ConfigError: If it asks for a table that there is not.
    """
    schema = plain_schema()
    nodes = dict(_sections(schema, {"properties": schema["properties"]}, ""))
    shown = {name for _, name, _ in _TABLE.findall(page)} & nodes.keys()
    tables: dict[str, Callable[[], str]] = {"distributions": _distributions, "metrics": _metrics}
    for key, node in nodes.items():
        tables[key] = lambda key=key, node=node: _settings(schema, node, key, shown)  # type: ignore[misc]
        tables[f"{key}/types"] = lambda node=node: _types(schema, node)  # type: ignore[misc]

    def table(match: re.Match[str]) -> str:
        begin, name, end = match.groups()
        if name not in tables:
            raise ConfigError("the page", [Problem(name, f"no table of that name{nearest(name, tables)}")])
        return begin + tables[name]() + end

    return _TABLE.sub(table, page)


def in_words(value: Schema) -> str:
    """What a setting allows, or the words that it may be.

    Example:
        >>> in_words({"type": "array", "items": {"type": "integer", "minimum": 1}})
        'list of whole numbers >= 1'
    """
    if "$comment" in value:
        return str(value["$comment"])
    if "enum" in value or "const" in value:
        return ", ".join(f"`{word}`" for word in value.get("enum", [value.get("const")]))
    if "anyOf" in value:
        return ", or ".join(in_words(kind) for kind in value["anyOf"] if kind.get("type") != "null")
    if value.get("type") == "array":
        at_least = f", at least {value['minItems']} of them" if value.get("minItems", 1) > 1 else ""
        return f"list of {_plural(in_words(value['items']))}{at_least}"
    if value.get("properties"):
        return f"mapping of names to {_plural(in_words(next(iter(value['properties'].values()))))}"
    if sections(value) or value.get("type") == "object":
        return "mapping"
    limits = " and ".join(f"{sign} {value[name]:g}" for name, sign in _LIMITS.items() if name in value)
    return f"{_TYPES[value['type']]} {limits}".strip()


def _plural(words: str) -> str:
    return re.sub(r"\b(number|text|mapping)\b", r"\1s", words)


def _sections(schema: Schema, section: Schema, prefix: str) -> Iterator[tuple[str, Schema]]:
    """Every section below one, by key path."""
    for name, node in section["properties"].items():
        if sections(node):
            yield f"{prefix}{name}", node
        for inner in sections(node):
            yield from _sections(schema, schema["$defs"][inner], f"{prefix}{name}.")


def _settings(schema: Schema, node: Schema, key: str, shown: Iterable[str]) -> str:
    rows: dict[Row, list[str]] = {}
    definitions = {name: schema["$defs"][name] for name in sections(node)}
    for definition in definitions.values():
        tag = definition["properties"].get("type", {}).get("const", "")
        for row in _rows(schema, definition, key, "", shown):
            if row[0] != "`type`" or len(definitions) == 1:
                rows.setdefault(row, []).append(f"`{tag}`")
    if len(definitions) == 1:
        return _markdown(("setting", "values", "default", "meaning"), rows)
    with_types = ((name, ", ".join(types), *rest) for (name, *rest), types in rows.items())
    return _markdown(("setting", "with `type`", "values", "default", "meaning"), with_types)


def _rows(schema: Schema, section: Schema, key: str, prefix: str, shown: Iterable[str]) -> Iterator[Row]:
    for inner, value in section["properties"].items():
        name, path = f"{prefix}{inner}", f"{key}.{prefix}{inner}"
        default = _default(value, required=inner in section.get("required", ()))
        about = value.get("description", "")
        nested = [schema["$defs"][found] for found in sections(value)]
        if not nested:
            yield f"`{name}`", in_words(value), default, about
        elif path in shown:
            yield f"`{name}`", in_words(value), default, f"{about or _about(nested)}: see [{inner}](#{inner})"
        else:
            if "anyOf" in value:
                yield f"`{name}`", "mapping, or `null`", default, about or _about(nested)
            for definition in nested:
                yield from _rows(schema, definition, key, f"{name}.", shown)


def _about(definitions: Sequence[Schema]) -> str:
    """The first sentence of a section's docstring."""
    text = definitions[0]["description"] if len(definitions) == 1 else "one of several types"
    first = text.split(". ")[0].removesuffix(".")
    return first[:1].lower() + first[1:]


def _default(value: Schema, *, required: bool) -> str:
    if required:
        return "required"
    default = value.get("default")
    if isinstance(default, Mapping) and sections(value):
        return "on" if "anyOf" in value else ""
    if default is None:
        return "off" if sections(value) else "not set"
    return f"`{_flow(default)}`"


def _flow(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=_WIDE).removesuffix("\n...\n").strip()


def _types(schema: Schema, node: Schema) -> str:
    definitions = (schema["$defs"][name] for name in sections(node))
    rows = ((f"`{found['properties']['type']['const']}`", found["description"]) for found in definitions)
    return _markdown(("`type`", "what it is"), rows)


def _distributions() -> str:
    bounds = {kind: "values" if kind == "choice" else "low, high" for kind in DISTRIBUTIONS}
    rows = ((f"`{{{kind}: [{bounds[kind]}]}}`", draws) for kind, draws in DISTRIBUTIONS.items())
    return _markdown(("distribution", "what it draws"), rows)


def _metrics() -> str:
    config = RunConfig(data=VideoData())
    beforehand = static_metrics(build_model_of_shapes(config.model, VideoData().sample_shape))
    rows = (
        (f"`{name}`", metric.unit, _BETTER[metric.mode], "yes" if name in beforehand else "", metric.meaning)
        for name, metric in METRICS.items()
    )
    return _markdown(("metric", "unit", "better", "known beforehand", "meaning"), rows)


def _markdown(header: Row, rows: Iterable[Row]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
