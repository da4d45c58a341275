"""Pydantic's findings in words for the person who wrote the file."""

import difflib
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ndvq_tune.errors import Problem

Model = typing.TypeVar("Model", bound=BaseModel)


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
        # A list whose items are wrong is also called too short; the items' own problems say it better.
        return None, [
            _problem(model, details, also_allowed) for details in error.errors() if details["type"] != "too_short"
        ] or [_problem(model, details, also_allowed) for details in error.errors()]


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint at the known name that was probably meant, or nothing."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


def is_section(model: type[BaseModel], key: str) -> bool:
    """Whether a key path names a nested model, or something unknown, rather than a leaf of ``model``."""
    section: type[BaseModel] | None = model
    for name in key.split("."):
        if section is None or name not in section.model_fields:
            return False
        section = _section(section.model_fields[name].annotation)
    return section is not None


def _problem(model: type[BaseModel], details: ErrorDetails, also_allowed: Sequence[str]) -> Problem:
    path = [str(part) for part in details["loc"]]
    if details["type"] == "extra_forbidden":
        known = [*_fields(model, path[:-1]), *(also_allowed if len(path) == 1 else ())]
        return Problem(".".join(path), f"unknown key{nearest(path[-1], known)}; allowed: {', '.join(known)}")
    if details["type"] == "missing":
        return Problem(".".join(path), "is missing")
    if details["type"] == "model_type":
        return Problem(".".join(path), f"{details['input']!r} given; needs a mapping")
    if details["type"] == "value_error" and isinstance(details["input"], dict):  # a whole section, too long to repeat
        return Problem(".".join(path), details["msg"].removeprefix("Value error, "))
    allowed = details["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    return Problem(".".join(path), f"{details['input']!r} given; allowed: {allowed}")


def _fields(model: type[BaseModel], path: Sequence[str]) -> list[str]:
    section: type[BaseModel] | None = model
    for name in path:
        if section is None:
            return []
        if name in section.model_fields:
            section = _section(section.model_fields[name].annotation)
    return list(section.model_fields) if section else []


def _section(annotation: Any) -> type[BaseModel] | None:
    """The model inside an annotation such as ``Model``, ``Model | None`` or ``tuple[Model, ...]``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in typing.get_args(annotation) if (found := _section(part))), None)
