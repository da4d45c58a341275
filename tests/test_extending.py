"""The examples of docs/extending.md, run one after the other as a reader would."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
import torch

from ndvq_tune.data.folder.source import KINDS
from ndvq_tune.errors import DataError
from ndvq_tune.model.quantizers import BUILDERS
from ndvq_tune.search.engine import samplers, schedulers, stopping
from tests.search.engine.schedulers.scheduler_examples import trial

PAGE = (Path(__file__).parents[1] / "docs" / "extending.md").read_text(encoding="utf-8")
TABLES: tuple[dict[Any, Any], ...] = (schedulers.RULES, samplers.SAMPLERS, stopping.RULES, BUILDERS, KINDS)


@pytest.fixture(scope="module")
def made() -> Iterator[dict[str, Any]]:
    """All names that the examples define; what they register is taken away again."""
    before = [dict(table) for table in TABLES]
    names: dict[str, Any] = {"__name__": "extending"}
    for example in re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL):
        exec(compile(example, "docs/extending.md", "exec"), names)
    yield names
    for table, kept in zip(TABLES, before, strict=True):
        table.clear()
        table.update(kept)


def test_one_of_each_is_registered(made):
    assert [len(table) for table in TABLES] == [7, 9, 6, 6, 5]


def test_the_scheduler_ends_the_worse_half(made):
    trials = [trial(number, (loss,)) for number, loss in enumerate((0.1, 0.2, 0.3, 0.4))]
    ended = [made["stops"](one, [other for other in trials if other is not one]) for one in trials]
    assert ended == [False, False, True, True]


def test_the_sampler_proposes_every_point_once(made):
    study = optuna.create_study(sampler=made["proposing"])
    study.optimize(lambda asked: asked.suggest_categorical("a", ["x", "y", "z"]) == "x", n_trials=9)
    assert sorted(one.params["a"] for one in study.trials) == ["x", "y", "z"]


def test_the_rule_stops_a_slow_trial_and_no_other(made):
    assert made["reason"] == "too_slow"
    quick = made["fine"] | {"samples_per_second": 2.0}
    assert made["stop_reason"]([quick], made["search"].stop) is None


def test_the_quantizer_keeps_the_contract(made):
    quantizer, latents = made["quantizer"], torch.randn(2, 4, 3, 5, requires_grad=True)
    output = quantizer(latents)
    assert torch.allclose(quantizer.lookup(output["encodings"]), output["embeddings"])
    assert set(output["embeddings"].detach().round().unique().tolist()) == {-1.0, 0.0, 1.0}
    assert (output["counts"].sum(), output["counts"].shape) == (30, (1, 81))
    output["embeddings"].sum().backward()
    assert latents.grad.abs().min() > 0


def test_the_reader_gives_rows_and_names_a_file_that_is_none_of_its_kind(made, tmp_path):
    (tmp_path / "a.pgm").write_text("P2\n3 2\n100\n0 50 100\n100 50 0\n")
    (tmp_path / "b.pgm").write_text("P5\n")
    (block,) = KINDS["pgm"].read(tmp_path / "a.pgm", None)
    assert np.array_equal(block[..., 0], [[[0, 127, 255], [255, 127, 0]]])
    with pytest.raises(DataError, match=r"b\.pgm: is no plain PGM image; it begins with P5"):
        list(KINDS["pgm"].read(tmp_path / "b.pgm", None))


def test_every_place_that_the_page_names_is_there(made):
    package = Path(__file__).parents[1] / "ndvq_tune"
    named = re.findall(r"`((?:search|data|config|training|commands)/[\w/]+\.py)`", PAGE)
    assert len(named) >= 7
    assert [name for name in named if not (package / name).is_file()] == []
