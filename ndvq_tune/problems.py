"""Pydantic's findings in words for the person who wrote the file."""

import difflib
import re
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ndvq_tune.errors import Problem

Model = typing.TypeVar("Model", bound=BaseModel)

# A list whose items are wrong is also called too short, and a default that depends on a wrong value cannot be found;
# the other problem says it better.
_CONSEQUENCES = ("too_short", "default_factory_not_called")

_NO_MAPPING = ("model_type", "model_attributes_type")

_SIMILAR = 0.62  # more than three letters in five: so much have bayes and cmaes in common

# What a setting allows, by pydantic's name of the error; what is not here has a good message of its own.
_ALLOWED = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text",
    "string_too_short": "text of at least {min_length} character",
    "string_pattern_mismatch": "text that fits the pattern {pattern}",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping",
    "too_short": "a list of at least {min_length}",
    "greater_than": "above {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "less_than": "below {lt:g}",
    "less_than_equal": "at most {le:g}",
}


def validate(
    model: type[Model], content: Mapping[str, Any], also_allowed: Sequence[str] = ()
) -> tuple[Model | None, list[Problem]]:
    """Check a mapping against a model.

    Args:
        model: The pydantic model.
        content: What was given.
        also_allowed: Keys at the top that belong to others, for the hint at a typo.

    Returns:
        The checked value, or ``None`` and every problem: one for each key.

    Example:
        >>> from ndvq_tune.config import RunConfig
        >>> config, problems = validate(RunConfig, {"model": {"n_codes": 1}})
        >>> config, problems
        (None, [Problem(key='model.n_codes', message='1 given; allowed: at least 2', line=None)])
    """
    try:
        return model.model_validate(content), []
    except ValidationError as error:
        found = [details for details in error.errors() if details["type"] not in _CONSEQUENCES] or error.errors()
        by_key: dict[str, list[tuple[_Place, ErrorDetails]]] = {}
        for details in found:
            place = _place(model, details["loc"])
            by_key.setdefault(place.key, []).append((place, details))
        return None, [_problem(same, also_allowed) for same in by_key.values()]


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint at the known name that was probably meant, or nothing.

    Example:
        >>> nearest("n_code", ["n_codes", "n_dims"])
        "; did you mean 'n_codes'?"
        >>> nearest("colour", ["n_codes", "n_dims"])
        ''
    """
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=_SIMILAR)
    return f"; did you mean {close[0]!r}?" if close else ""


def is_section(model: type[BaseModel], key: str) -> bool:
    """Whether a key path names a nested model: False for a setting of one, and for what is unknown.

    Example:
        >>> from ndvq_tune.config import RunConfig
        >>> is_section(RunConfig, "model.attention"), is_section(RunConfig, "model.n_codes")
        (True, False)
    """
    sections = [model]
    for name in key.split("."):
        found = [section.model_fields[name].annotation for section in sections if name in section.model_fields]
        if not found:
            return False
        sections = [kind for annotation in found for kind in _kinds(annotation) if _is_model(kind)]
    return bool(sections)


@dataclass(frozen=True)
class _Place:
    """Where a problem is: its key path, the keys beside it, what the place takes, and whether null is part of that."""

    path: tuple[str, ...]
    known: tuple[str, ...]
    kinds: tuple[Any, ...]
    nullable: bool

    @property
    def key(self) -> str:
        return ".".join(self.path)


def _problem(same: Sequence[tuple[_Place, ErrorDetails]], also_allowed: Sequence[str]) -> Problem:
    """The problem of one key; a key of several kinds has one finding for each kind."""
    place, details = same[0]
    kind, given = details["type"], _shown(details["input"])
    or_null = ", or null" if place.nullable else ""
    if kind == "extra_forbidden":
        known = place.known + (tuple(also_allowed) if len(place.path) == 1 else ())
        return Problem(place.key, f"unknown key{nearest(place.path[-1], known)}; allowed: {', '.join(known)}")
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        types_ = [section.model_fields["type"].default for section in place.kinds]
        tag = details["input"]["type"]
        hint = nearest(str(tag), types_)
        return Problem(f"{place.key}.type", f"{_shown(tag)} given{hint}; allowed: {', '.join(types_)}")
    if kind == "missing":
        return Problem(place.key, "is missing")
    if kind in _NO_MAPPING:
        return Problem(place.key, f"{given} given; needs a mapping{or_null}")
    if kind == "value_error":
        return Problem(place.key, _own_words(details))
    hints = "".join(_hint(found) for _, found in same)
    allowed = ", or ".join(_allowed(found) for _, found in same if found["input"] is details["input"])
    return Problem(place.key, f"{given} given{hints}; allowed: {allowed}{or_null}")


def _own_words(details: ErrorDetails) -> str:
    """The message of a validator of ours: what it allows, what it needs, or what is wrong and which names there are."""
    message, given = details["msg"].removeprefix("Value error, "), details["input"]
    if isinstance(given, dict):  # a whole section, too long to repeat
        return message
    wrong, _, names = message.partition("; there are ")
    if names:
        return f"{_shown(given)} given; {wrong}{nearest(str(given), names.split(', '))}; allowed: {names}"
    return f"{_shown(given)} given; {message if message.startswith('needs ') else f'allowed: {message}'}"


def _shown(value: Any) -> str:
    """A value as YAML has it."""
    return {"None": "null", "True": "true", "False": "false"}.get(repr(value), repr(value))


def _allowed(details: ErrorDetails) -> str:
    template = _ALLOWED.get(details["type"])
    return template.format(**details.get("ctx", {})) if template else details["msg"].removeprefix("Input should be ")


def _hint(details: ErrorDetails) -> str:
    words = re.findall("'([^']*)'", details["ctx"]["expected"]) if details["type"] == "literal_error" else []
    return nearest(str(details["input"]), words)


def _place(model: type[BaseModel], location: Sequence[int | str]) -> _Place:
    """What pydantic's location means to the person who wrote the file.

    Where a value may be of several kinds, a location names the kind before it goes on: a model by its ``type``.
    """
    path: list[str] = []
    kinds, known, nullable = (model,), tuple(model.model_fields), False
    for part in map(str, location):
        if len(kinds) > 1:
            kinds = tuple(kind for kind in kinds if _is_model(kind) and kind.model_fields["type"].default == part)
            known = tuple(name for kind in kinds for name in kind.model_fields)
        elif part != "[key]":
            path.append(part)
            known = tuple(kinds[0].model_fields) if kinds and _is_model(kinds[0]) else known
            inside = _inside(kinds[0], part) if kinds else None
            kinds, nullable = _kinds(inside), _takes_null(inside)
    return _Place(tuple(path), known, kinds, nullable)


def _inside(kind: Any, part: str) -> Any:
    """The annotation of a model's field, a list's items or a mapping's values; None for what is unknown."""
    if _is_model(kind):
        return kind.model_fields[part].annotation if part in kind.model_fields else None
    items = {tuple: 0, list: 0, dict: 1}.get(typing.get_origin(kind))
    return None if items is None else typing.get_args(kind)[items]


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _kinds(annotation: Any) -> tuple[Any, ...]:
    """The kinds of value that an annotation such as ``Model``, ``Model | None`` or ``int | Literal["auto"]`` allows."""
    origin = typing.get_origin(annotation)
    if origin is Annotated:
        return _kinds(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        return tuple(kind for part in typing.get_args(annotation) for kind in _kinds(part))
    return () if annotation in (None, types.NoneType) else (annotation,)


def _takes_null(annotation: Any) -> bool:
    return types.NoneType in typing.get_args(annotation) and typing.get_origin(annotation) is not Literal
