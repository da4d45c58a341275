"""The examples in docstrings are what happens."""

import doctest
import importlib
from pathlib import Path

import pytest
import torch

import ndvq_tune

PACKAGE = Path(ndvq_tune.__file__).parent
FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if ">>> " in path.read_text(encoding="utf-8")]
NAMES = [".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__") for path in FILES]


def examples(name: str) -> list[doctest.DocTest]:
    finder = doctest.DocTestFinder(exclude_empty=True)
    return [found for found in finder.find(importlib.import_module(name), name) if found.examples]


@pytest.mark.parametrize("name", NAMES)
def test_examples_give_what_they_say(name: str) -> None:
    torch.manual_seed(0)
    runner, said = doctest.DocTestRunner(), []
    for example in examples(name):
        runner.run(example, out=said.append)
    assert runner.tries > 0
    assert runner.failures == 0, "".join(said)


def test_what_people_call_has_an_example() -> None:
    assert sum(len(examples(name)) for name in NAMES) >= 20
