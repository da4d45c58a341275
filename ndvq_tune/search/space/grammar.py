"""The grammar of search spaces as a JSON schema, for editors: made out of the models that check a space.

Beyond it, ``SearchSpace.load`` knows what one value means for another, such as a factor for each dimension.
"""

from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from ndvq_tune.config import RunConfig
from ndvq_tune.distributions import CONFIDENCES, Preference
from ndvq_tune.metrics import METRICS
from ndvq_tune.search.space.settings.goals import DirectedMetric, MetricName
from ndvq_tune.search.space.settings.stopping import seconds
from ndvq_tune.search.space.space import SEARCHED_SECTIONS, SpaceFile, conditional

Schema = dict[str, Any]

DIALECT = "http://json-schema.org/draft-07/schema#"  # the one that editors know best

DISTRIBUTIONS = {
    "choice": "one of these values, of any kind",
    "uniform": "a number from low to high",
    "log_uniform": "a number from low to high, by its logarithm: as often from 0.001 to 0.01 as from 0.01 to 0.1",
    "int_uniform": "a whole number from low to high, both included",
    "log_int_uniform": "a whole number from low to high, both included, by its logarithm",
}
"""The kinds of distribution, and what each draws."""

WHEN = "under which this setting counts: key paths, each with its value or list of values; else the default holds"

PREFER = "the value that is believed to be best: values near it are tried more often, less and less so with more trials"
CONFIDENCE = "how surely it is believed to be best"

_DEFINITIONS = "#/$defs/"
_SECTIONS = ("name", "data", "model", "training", "search", "tracking")
_LIMITS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")

# What our validators of text allow, pydantic cannot tell.
_BY_VALIDATOR: Mapping[Any, Schema] = {
    get_args(MetricName)[1].func: {"enum": list(METRICS), "$comment": "name of a metric"},
    get_args(DirectedMetric)[-1].func: {
        "enum": [metric.name for metric in METRICS.values() if metric.mode],
        "$comment": "name of a metric",
    },
    seconds: {
        "anyOf": [
            {"type": "number", "exclusiveMinimum": 0},
            {"type": "string", "pattern": r"^(?=.*[1-9])(\d+h)?(\d+m)?(\d+s?)?$"},
        ],
        "$comment": "seconds, or a duration such as 90s, 10m, 1h30m",
    },
}


class _Generator(GenerateJsonSchema):
    schema_dialect = DIALECT

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False  # an editor shows the key

    def dict_schema(self, schema: Any) -> Schema:
        mapping = super().dict_schema(schema)
        names = self.generate_inner(schema["keys_schema"]).get("enum")
        if names is None:
            return mapping
        values = mapping["additionalProperties"]
        return {**mapping, "properties": dict.fromkeys(names, values), "additionalProperties": False}

    def function_after_schema(self, schema: Any) -> Schema:
        return self._by_validator(schema) or super().function_after_schema(schema)

    def function_before_schema(self, schema: Any) -> Schema:
        return self._by_validator(schema) or super().function_before_schema(schema)

    def _by_validator(self, schema: Any) -> Schema:
        return dict(_BY_VALIDATOR.get(schema["function"]["function"], {}))


def plain_schema() -> Schema:
    """The schema of a space that searches nothing."""
    models = (SpaceFile, RunConfig)
    found, schema = models_json_schema([(model, "validation") for model in models], schema_generator=_Generator)
    definitions = {name: _tidy(definition) for name, definition in schema["$defs"].items()}
    parts = [definitions.pop(found[model, "validation"]["$ref"].removeprefix(_DEFINITIONS)) for model in models]
    properties = {name: value for part in parts for name, value in part["properties"].items()}
    return {
        "$schema": DIALECT,
        "title": "A search space of ndvq_tune",
        "type": "object",
        "properties": {name: properties[name] for name in _SECTIONS},
        "required": ["name"],
        "additionalProperties": False,
        "$defs": definitions,
    }


def space_schema() -> Schema:
    """The schema of a space: every leaf of ``model`` and ``training`` is a value or a distribution."""
    schema = plain_schema()
    definitions = schema["$defs"]
    conditions: Schema = {key: {} for key in conditional()}
    for section in SEARCHED_SECTIONS:
        node = schema["properties"][section]
        conditions |= {key: _value(leaf) for key, leaf in leaves(schema, node, section)}
        for name in _nested(schema, node):
            for key, leaf in definitions[name]["properties"].items():
                if not sections(leaf):
                    definitions[name]["properties"][key] = _or_distribution(leaf)
    definitions["when"] = {
        "description": WHEN,
        "type": "object",
        "properties": {key: {"anyOf": [leaf, {"type": "array", "items": leaf}]} for key, leaf in conditions.items()},
        "additionalProperties": False,
    }
    return {name: _by_type(part, definitions) if name == "$defs" else part for name, part in schema.items()} | {
        "properties": _by_type(schema["properties"], definitions)
    }


def sections(node: Schema) -> list[str]:
    """The definitions that a node of a schema may be: one, several where ``type`` tells, none for a leaf."""
    nodes = [node, *node.get("anyOf", ()), *node.get("oneOf", ()), node.get("items", {})]
    return [found["$ref"].removeprefix(_DEFINITIONS) for found in nodes if "$ref" in found]


def leaves(schema: Schema, node: Schema, key: str) -> Iterator[tuple[str, Schema]]:
    """Every setting below a node that is no section itself.

    Args:
        schema: The whole schema, for its definitions.
        node: A section or a setting of it.
        key: The node's key path.

    Yields:
        Key path and schema of a setting.
    """
    if not sections(node):
        yield key, node
    for name in sections(node):
        for inner, value in schema["$defs"][name]["properties"].items():
            yield from leaves(schema, value, f"{key}.{inner}")


def _nested(schema: Schema, node: Schema) -> Iterator[str]:
    for name in sections(node):
        yield name
        for inner in schema["$defs"][name]["properties"].values():
            yield from _nested(schema, inner)


def _tidy(definition: Schema) -> Schema:
    """A definition without its class's name, and with its docstring as plain text."""
    text = definition.get("description", "").replace("``", "`")
    return {key: value for key, value in definition.items() if key != "title"} | {"description": " ".join(text.split())}


def _value(leaf: Schema) -> Schema:
    return {name: part for name, part in leaf.items() if name not in ("description", "default")}


def _or_distribution(leaf: Schema) -> Schema:
    about = {name: part for name, part in leaf.items() if name in ("description", "default")}
    value = _value(leaf)
    kinds = {"choice": {"type": "array", "items": value, "minItems": 1, "uniqueItems": True}, **_ranges(value)}
    described = {kind: {"description": DISTRIBUTIONS[kind], **bounds} for kind, bounds in kinds.items()}
    distribution = {
        "type": "object",
        "properties": {
            **described,
            "prefer": {"description": PREFER, **value},
            "confidence": {"description": CONFIDENCE, "enum": list(CONFIDENCES), "default": Preference.confidence},
            "when": {"$ref": f"{_DEFINITIONS}when"},
        },
        "additionalProperties": False,
        "oneOf": [{"required": [kind]} for kind in kinds],
    }
    return {**about, "anyOf": [value, distribution]}


def _ranges(value: Schema) -> Schema:
    """The ranges of a setting that is a number; fractions of a whole number are none."""
    if value.get("type") not in ("integer", "number"):
        return {}
    of_whole = {f"{log}int_uniform": {**value, "type": "integer"} for log in ("", "log_")}
    of_numbers = {f"{log}uniform": value for log in ("", "log_")} if value["type"] == "number" else {}
    return {
        kind: {"type": "array", "items": _positive(end) if "log" in kind else end, "minItems": 2, "maxItems": 2}
        for kind, end in (of_numbers | of_whole).items()
    }


def _positive(end: Schema) -> Schema:
    return end if end.get("minimum", 0) > 0 else {"exclusiveMinimum": 0} | end


def _by_type(node: Any, definitions: Schema) -> Any:
    """A schema whose ``oneOf`` several models is an ``if type ... then`` for each.

    With ``oneOf`` an editor would hold a mistake against all models, and could not say what is wrong with the one that
    ``type`` names.
    """
    if isinstance(node, list):
        return [_by_type(part, definitions) for part in node]
    if not isinstance(node, dict):
        return node
    if not ("oneOf" in node and sections(node)):
        return {name: _by_type(part, definitions) for name, part in node.items()}
    tags = {definitions[name]["properties"]["type"]["const"]: name for name in sections(node)}
    default = next(iter(tags))
    chosen = [
        {
            "if": {"properties": {"type": {"const": tag}}, "required": [] if tag == default else ["type"]},
            "then": {"$ref": f"{_DEFINITIONS}{name}"},
        }
        for tag, name in tags.items()
    ]
    kept = {name: part for name, part in node.items() if name != "oneOf"}
    return {**kept, "type": "object", "properties": {"type": {"enum": list(tags)}}, "allOf": chosen}
