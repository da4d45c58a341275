"""What others keep private is imported in ``*_internals.py`` alone, and tested. Attributes are held by ruff: SLF001."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted(path for folder in ("ndvq_tune", "benchmarks") for path in (ROOT / folder).rglob("*.py"))
INTERNALS = [path for path in FILES if path.name.endswith("_internals.py")]


def private_imports(source: str) -> Iterator[str]:
    """Modules and names with a leading underscore that a file imports, wherever in it; not those with two."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        module = f"{node.module or ''}." if isinstance(node, ast.ImportFrom) else ""
        for name in (module + alias.name for alias in node.names):
            if any(part.startswith("_") and not part.startswith("__") for part in name.split(".")):
                yield name


def test_private_modules_and_names_are_imported_in_internals_alone() -> None:
    others = [path for path in FILES if path not in INTERNALS]
    found = {path.relative_to(ROOT).as_posix(): [*private_imports(path.read_text(encoding="utf-8"))] for path in others}
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize("path", INTERNALS, ids=lambda path: path.stem)
def test_what_internals_rely_on_is_tested(path: Path) -> None:
    assert (ROOT / "tests" / path.relative_to(ROOT / "ndvq_tune")).with_name(f"test_{path.name}").is_file()


def test_private_imports_are_found_wherever_they_are() -> None:
    source = """
from __future__ import annotations
import torch._C as c, torch.nn
from torch.utils import _pytree
def later():
    from ray._private.worker import node
    from . import _near
"""
    assert [*private_imports(source)] == ["torch._C", "torch.utils._pytree", "ray._private.worker.node", "._near"]
