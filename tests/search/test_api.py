"""A search from Python: what it is asked, and what it gives back. Ray is left out but in the last test."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

import ndvq_tune
from ndvq_tune.config import ModelConfig
from ndvq_tune.errors import ConfigError, ResultsError
from ndvq_tune.judgement.standing import Standing
from ndvq_tune.model import build_model
from ndvq_tune.records import SearchRecord, TrialRecord, TrialState
from ndvq_tune.search import api
from ndvq_tune.search.outcome import SearchResult
from ndvq_tune.search.request import knowledge
from ndvq_tune.search.space import SearchSpace
from ndvq_tune.training.checkpoint import load_model
from tests.report.report_examples import READY, goals, make_trial
from tests.search.search_examples import SMALL, space_of, write_yaml

LOSS = {"recon_loss": 0.1}


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[Any, ...]]:
    """Searches that are begun, in an empty current folder; each has two trials at once."""
    searches: list[tuple[Any, ...]] = []

    def run_search(space: SearchSpace, folder: Path, *rest: Any) -> SearchResult:
        searches.append((space, folder, *rest))
        trials = (make_trial(0, {"recon_loss": 0.2}), make_trial(1, LOSS))
        return SearchResult(
            folder, Standing(SearchRecord(space.name, trials, goals("recon_loss"))), READY, True, "mlflow ui"
        )

    monkeypatch.setattr(api, "run_search", run_search)
    monkeypatch.chdir(tmp_path)
    return searches


@pytest.mark.parametrize("given", ["a file", "a mapping", "a space"])
def test_a_space_may_be_given_in_any_form_with_settings_of_the_command_and_of_the_space(begun, tmp_path, given):
    forms = {"a file": write_yaml(tmp_path / "small.yaml", SMALL), "a mapping": SMALL, "a space": space_of()}
    result = ndvq_tune.search(
        forms[given], name="mine", trials=3, data=tmp_path, time_budget="1h30m", **{"model.n_hiddens": 64}
    )
    space, folder, *_ = begun[0]
    assert (space.name, space.search.trials, space.search.time_budget) == ("mine", 3, 5400)
    assert (space.data.path, space.complete({}).model.n_hiddens) == (str(tmp_path), 64)
    assert folder == result.folder == tmp_path / "runs" / "mine"


def test_what_is_wrong_is_an_error_to_catch_not_an_exit(begun, tmp_path):
    with pytest.raises(ConfigError, match=r"space: --set model\.n_hidens: unknown key; did you mean 'n_hiddens'"):
        ndvq_tune.search(SMALL, **{"model.n_hidens": 4})
    with pytest.raises(ConfigError, match=r"^space: is needed, unless resume and output name a search"):
        ndvq_tune.search()
    with pytest.raises(ResultsError, match="holds no search to resume"):
        ndvq_tune.search(output=tmp_path / "none", resume=True)
    with pytest.raises(ResultsError, match="a warm start is for a new search"):
        knowledge("runs/small", space_of(), resume=True)
    assert begun == []


def test_a_result_has_the_best_the_front_and_a_table(begun):
    result = ndvq_tune.search(SMALL)
    assert (result.best.name, [trial.name for trial in result.front]) == ("trial-0001", ["trial-0001"])
    assert (result.finished, result.mlflow) == (True, "mlflow ui")
    frame = result.to_dataframe()
    assert frame["name"].tolist() == ["trial-0000", "trial-0001"]
    assert frame["recon_loss"].tolist() == [0.2, 0.1]


def found(folder: Path, *trials: TrialRecord) -> SearchResult:
    return SearchResult(folder, Standing(SearchRecord("s", trials, goals("recon_loss"))), READY, True, "mlflow ui")


def test_a_model_that_is_not_kept_is_told_with_those_that_are(tmp_path):
    (tmp_path / "checkpoints" / "trial-0001").mkdir(parents=True)
    result = found(tmp_path, make_trial(0, LOSS))
    with pytest.raises(ResultsError, match=r"no model of trial-0000 is kept; there are trial-0001$"):
        result.load()
    with pytest.raises(ResultsError, match="no trial has led to a model yet"):
        found(tmp_path, make_trial(0, LOSS, state=TrialState.FAILED)).load()


def test_imports_are_as_quick_as_what_they_are_for():
    code = (
        "import sys, ndvq_tune; assert callable(ndvq_tune.search); print([m for m in sys.argv[1:] if m in sys.modules])"
    )
    heavy = ["torch", "ray", "mlflow", "optuna", "pandas", "plotly", "numpy", "pydantic"]
    printed = subprocess.run([sys.executable, "-c", code, *heavy], capture_output=True, text=True, check=True).stdout
    assert printed == "[]\n"


@pytest.mark.ray
def test_a_search_in_a_running_event_loop_gives_a_model_that_reaches_its_figure(tmp_path, monkeypatch):
    """As in a notebook; the tiny space of the end-to-end tests."""
    monkeypatch.chdir(tmp_path)
    space = Path(__file__).parents[1] / "end_to_end" / "tiny.yaml"

    async def cell() -> SearchResult:
        return ndvq_tune.search(space, trials=2, output="out", console=Console(quiet=True))

    result = asyncio.run(cell())
    assert result.finished
    model = result.load()
    with torch.no_grad():
        assert model(torch.rand(1, 3, 4, 16, 16))[1].shape == (1, 3, 4, 16, 16)
    assert load_model(result.folder / result.best.checkpoint).config == model.config
    assert len(result.to_dataframe()) == 2
    again = ndvq_tune.search(output="out", resume=True, trials=3, console=Console(quiet=True))
    assert len(again.standing.search.trials) == 3
    assert isinstance(build_model(ModelConfig(), (3, 4, 16, 16)), type(model))
