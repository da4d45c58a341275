import gc
import weakref
from collections.abc import Iterator

import pytest
import torch

from ndvq_tune.training import runs as module
from ndvq_tune.training.group import ERROR, OK
from ndvq_tune.training.runs import Runs
from tests.training.training_examples import config, dataset


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Runs]:
    data = dataset()
    monkeypatch.setattr(module, "_dataset", lambda described: data)
    yield Runs(0, 1, torch.device("cpu"))
    gc.unfreeze()


def model_of(runs: Runs) -> weakref.ref[torch.nn.Module]:
    """The model in training, held weakly; made part of a circle, which only the garbage collector frees."""
    assert runs._training is not None
    model = runs._training.model
    model.quantizer.circle = [model]  # type: ignore[assignment]
    return weakref.ref(model)


def test_from_run_to_run_only_what_is_new_is_looked_through(runs: Runs) -> None:
    runs.start(config(), None)
    runs.start(config(), None)
    assert gc.get_freeze_count() > 10 * len(gc.get_objects())


def test_a_run_leaves_nothing_behind(runs: Runs) -> None:
    runs.start(config(), None)
    model = model_of(runs)
    runs.start(config(), None)
    assert model() is None


def test_nor_does_a_run_that_failed(runs: Runs) -> None:
    runs.start(config(), None)
    model = model_of(runs)
    assert runs._training is not None
    runs._training.optimizers.clear()
    status, text = runs.obey("train", ())
    assert status == ERROR
    assert text.startswith("IndexError")
    assert runs.obey("start", (config(), None)) == (OK, None)
    assert model() is None
