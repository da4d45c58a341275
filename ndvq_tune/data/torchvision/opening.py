"""A data set of torchvision, opened by the name of its class."""

import contextlib
import inspect
import io
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from filelock import FileLock

from ndvq_tune.errors import DataError, UnavailableError, message_of
from ndvq_tune.problems import nearest

# What these classes raise where files are missing or damaged.
MISSING = (OSError, RuntimeError, EOFError, AssertionError)

_NAMED = {"train": ("train", "trainval"), "test": ("test", "val", "valid")}
# What tells training and test data apart, the first that a class takes, and the values to try in turn.
_CHOICES: dict[str, Mapping[str, tuple[str | bool, ...]]] = {
    "train": {"train": (True,), "test": (False,)},
    "split": _NAMED,
    "image_set": _NAMED,
}
_NOT_OPTIONS = frozenset({"root", "transform", "target_transform", "transforms"})


@lru_cache(maxsize=4)
def opened(name: str, path: str, options: str, subset: str | None) -> Any:
    """A data set, opened once in each process, and downloaded if its class can do that and it is not there.

    Args:
        name: Its class in ``torchvision.datasets``.
        path: The folder with its files.
        options: JSON of further arguments of the class.
        subset: ``train`` or ``test``; None gives what the class gives when it is not told.

    Returns:
        Samples by index, with a length.

    Raises:
        DataError: There is no such class, it does not take the options or has no such subset, or its files are neither
            there nor can be downloaded.
        UnavailableError: The class needs a package that is not installed.
    """
    if "://" in path:
        raise DataError(f"data.path: {path} is a URI; torchvision needs a folder of this machine")
    kind = _class(name)
    parameters = _parameters(kind)
    given: dict[str, Any] = json.loads(options)
    refused: ValueError | None = None
    for choice in _choices(name, parameters, given, subset):
        try:
            return _open(kind, Path(path).expanduser(), parameters, given | choice)
        except ValueError as error:
            refused = refused or error
        except TypeError as error:
            allowed = ", ".join(sorted(parameters - _NOT_OPTIONS - choice.keys()))
            raise DataError(f"data.options: {message_of(error)}; torchvision's {name} takes: {allowed}") from error
        except ImportError as error:
            raise UnavailableError(f"torchvision's {name} {needs_package(error)}") from error
        except MISSING as error:
            raise DataError(_missing(name, path, "download" in parameters, error)) from error
    raise DataError(f"torchvision's {name} in {path} cannot be opened: {refused}; see data.options") from refused


def needs_package(error: ImportError) -> str:
    """What an import missed; of an error that brings a traceback from another process, the last line."""
    return f"needs another package: {message_of(error).splitlines()[-1].removeprefix('ImportError: ')}"


def _class(name: str) -> Any:
    from ndvq_tune.data.torchvision.package import datasets

    known = {known: getattr(datasets(), known) for known in datasets().__all__}
    known = {known: kind for known, kind in known.items() if inspect.isclass(kind)}
    if name not in known:
        hint = nearest(name, known) or f"; allowed: {', '.join(sorted(known))}"
        raise DataError(f"data.name: {name!r} is not in torchvision.datasets{hint}")
    return known[name]


def _parameters(kind: type) -> frozenset[str]:
    """Names of what a class takes, with those that it hands on to its parents."""
    names: set[str] = set()
    for parent in kind.__mro__:
        own = inspect.signature(vars(parent)["__init__"]).parameters if "__init__" in vars(parent) else {}
        names |= {name for name, parameter in own.items() if parameter.kind == parameter.POSITIONAL_OR_KEYWORD}
        if own and not any(parameter.kind == parameter.VAR_KEYWORD for parameter in own.values()):
            break
    return frozenset(names - {"self"})


def _choices(
    name: str, parameters: frozenset[str], options: Mapping[str, Any], subset: str | None
) -> list[dict[str, Any]]:
    """Arguments that choose a subset, to be tried in turn."""
    if subset is None:
        return [{}]
    chosen_by = next((parameter for parameter in _CHOICES if parameter in parameters), None)
    if chosen_by is None:
        raise DataError(f"torchvision's {name} has no test data of its own; set data.split, such as 0.9")
    if chosen_by in options:
        raise DataError(
            f"data.options: {chosen_by} is what tells training and test data apart; leave it out, or set data.split to "
            "divide that part"
        )
    return [{chosen_by: value} for value in _CHOICES[chosen_by][subset]]


def _open(kind: Any, root: Path, parameters: frozenset[str], arguments: dict[str, Any]) -> Any:
    if "root" in parameters:
        arguments = {"root": root, **arguments}
    # Torchvision prints what it does.
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        if "download" not in parameters:
            return kind(**arguments)
        with contextlib.suppress(*MISSING):
            return kind(**{"download": False, **arguments})
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / f".{kind.__name__}.lock"):
            return kind(**{"download": True, **arguments})


def _missing(name: str, path: str, downloads: bool, error: Exception) -> str:
    reason = " ".join(message_of(error).split())
    if not downloads:
        return f"{path}: torchvision's {name} cannot be opened there: {reason}"
    return (
        f"{path}: torchvision's {name} is not in this folder, or damaged, and cannot be downloaded ({reason}); put its "
        f"files there as the documentation of torchvision.datasets.{name} says, or run once where there is a network"
    )
