"""Docstrings answer what a caller asks: what each of several arguments is."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import ndvq_tune

PACKAGE = Path(ndvq_tune.__file__).parent
MANY = 3
OF_TUNE = ("search/tune/callback.py", "search/tune/scheduler.py", "search/tune/searcher.py")
"""Adapters: what Ray Tune calls them with is described there."""


def described(docstring: str) -> set[str]:
    """Names of the arguments under ``Args``."""
    section = docstring.partition("\nArgs:\n")[2].split("\n\n")[0]
    return {line.strip().partition(":")[0].lstrip("*") for line in section.splitlines() if line[4:5].strip()}


def parameters(function: ast.FunctionDef) -> list[str]:
    arguments = function.args
    named = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    return [name for name in named if name not in ("self", "cls")]


def is_command(function: ast.FunctionDef) -> bool:
    """Whether a function is a command, whose arguments Typer describes where it declares them."""
    return any(ast.unparse(decorator).startswith("app.command") for decorator in function.decorator_list)


def public_functions(body: list[ast.stmt], owner: ast.ClassDef | None = None) -> Iterator[tuple[str, list[str], str]]:
    """Name, parameters and docstring; those of a constructor are described with its class."""
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public_functions(node.body, node)
        if not isinstance(node, ast.FunctionDef) or is_command(node):
            continue
        if node.name == "__init__" and owner is not None:
            yield owner.name, parameters(node), (ast.get_docstring(owner) or "") + (ast.get_docstring(node) or "")
        elif not node.name.startswith("_"):
            yield node.name, parameters(node), ast.get_docstring(node) or ""


FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if not path.relative_to(PACKAGE).as_posix().startswith(OF_TUNE)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_of_three_or_more_arguments_each_is_described(path: Path) -> None:
    functions = public_functions(ast.parse(path.read_text(encoding="utf-8")).body)
    missing = {
        name: names
        for name, given, docstring in functions
        if len(given) >= MANY and (names := sorted(set(given) - described(docstring)))
    }
    assert missing == {}


def test_an_argument_that_is_not_described_is_found() -> None:
    source = '''
class Public:
    """A class.

    Args:
        a: First.
        c: Third,
            on two lines: b.
    """

    def __init__(self, a, b, c): ...
'''
    ((name, given, docstring),) = public_functions(ast.parse(source).body)
    assert (name, given) == ("Public", ["a", "b", "c"])
    assert set(given) - described(docstring) == {"b"}
