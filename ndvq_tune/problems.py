"""Pydantic's findings in words for the person who wrote the file."""

import difflib
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ndvq_tune.errors import Problem

Model = typing.TypeVar("Model", bound=BaseModel)


# A list whose items are wrong is also called too short, and a default that depends on a wrong value cannot be found;
# the other problem says it better.
_CONSEQUENCES = ("too_short", "default_factory_not_called")


def validate(
    model: type[Model], content: Mapping[str, Any], also_allowed: Sequence[str] = ()
) -> tuple[Model | None, list[Problem]]:
    """Check a mapping against a model.

    Args:
        model: The pydantic model.
        content: What was given.
        also_allowed: Keys at the top that belong to others, for the hint at a typo.

    Returns:
        The checked value, or ``None`` and every problem.
    """
    try:
        return model.model_validate(content), []
    except ValidationError as error:
        return None, [
            _problem(model, details, also_allowed) for details in error.errors() if details["type"] not in _CONSEQUENCES
        ] or [_problem(model, details, also_allowed) for details in error.errors()]


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint at the known name that was probably meant, or nothing."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


def is_section(model: type[BaseModel], key: str) -> bool:
    """Whether a key path names a nested model, or something unknown, rather than a leaf of ``model``."""
    sections = [model]
    for name in key.split("."):
        found = [section.model_fields[name].annotation for section in sections if name in section.model_fields]
        if not found:
            return False
        sections = [nested for annotation in found for nested in _sections(annotation)]
    return bool(sections)


def _problem(model: type[BaseModel], details: ErrorDetails, also_allowed: Sequence[str]) -> Problem:
    path, known = _place(model, details["loc"])
    key = ".".join(path)
    if details["type"] == "extra_forbidden":
        known += also_allowed if len(path) == 1 else ()
        return Problem(key, f"unknown key{nearest(path[-1], known)}; allowed: {', '.join(known)}")
    if details["type"] == "union_tag_invalid":
        tag, tags = details["ctx"]["tag"], details["ctx"]["expected_tags"].replace("'", "").split(", ")
        return Problem(f"{key}.type", f"{tag!r} given{nearest(tag, tags)}; allowed: {', '.join(tags)}")
    if details["type"] == "missing":
        return Problem(key, "is missing")
    if details["type"] in ("model_type", "model_attributes_type"):
        return Problem(key, f"{details['input']!r} given; needs a mapping")
    if details["type"] == "value_error" and isinstance(details["input"], dict):  # a whole section, too long to repeat
        return Problem(key, details["msg"].removeprefix("Value error, "))
    allowed = details["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    return Problem(key, f"{details['input']!r} given; allowed: {allowed}")


def _place(model: type[BaseModel], location: Sequence[int | str]) -> tuple[list[str], list[str]]:
    """The key path of a location, and the keys of the section that it is in.

    Where a section is one of several models, a location names the model's ``type`` before the field.
    """
    path: list[str] = []
    sections, known = [model], list(model.model_fields)
    for part in map(str, location):
        if len(sections) > 1:
            sections = [section for section in sections if section.model_fields["type"].default == part]
            known = [name for section in sections for name in section.model_fields]
            continue
        path.append(part)
        known = [name for section in sections for name in section.model_fields] or known
        fields = [section.model_fields[part] for section in sections if part in section.model_fields]
        if fields:
            sections = [nested for field in fields for nested in _sections(field.annotation)]
    return path, known


def _sections(annotation: Any) -> list[type[BaseModel]]:
    """The models in an annotation such as ``Model``, ``Model | None``, ``tuple[Model, ...]`` or ``Model | Other``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for part in typing.get_args(annotation) for found in _sections(part)]
