import json
import shutil

import pytest
import torch

import ndvq_tune
from ndvq_tune.errors import CheckpointError, ResultsError, TrackingError
from ndvq_tune.tokens.models import load_model, model_folder
from ndvq_tune.tracking.client import connect
from ndvq_tune.training import checkpoint


def results(folder, best):
    folder.mkdir()
    (folder / "summary.json").write_text(json.dumps({"best": best}))
    return folder


def test_a_checkpoint_is_itself(trained):
    folder = trained("image")
    assert model_folder(str(folder)) == folder
    assert ndvq_tune.load_model is load_model
    given, expected = load_model(folder).state_dict(), checkpoint.load_model(folder).state_dict()
    assert all(torch.equal(given[name], tensor) for name, tensor in expected.items())


def test_a_results_folder_means_the_model_that_the_search_recommends(trained, tmp_path):
    run = results(tmp_path / "run", {"checkpoint": "checkpoints/trial-0003"})
    shutil.copytree(trained("image"), run / "checkpoints" / "trial-0003")
    assert model_folder(run) == run / "checkpoints" / "trial-0003"
    assert load_model(run).input_shape == (3, 16, 16)


@pytest.mark.parametrize("best", [None, {"checkpoint": None}])
def test_a_search_that_recommends_nothing_is_an_error(best, tmp_path):
    with pytest.raises(ResultsError, match="recommends no model"):
        model_folder(results(tmp_path / "run", best))


def test_a_damaged_summary_is_an_error(tmp_path):
    run = results(tmp_path / "run", {})
    with pytest.raises(ResultsError, match="is damaged"):
        model_folder(run)


def test_any_other_folder_is_an_error(tmp_path):
    with pytest.raises(CheckpointError, match=r"is no checkpoint .* and no results folder"):
        model_folder(tmp_path)


def test_a_model_that_mlflow_does_not_have_is_an_error(tmp_path, monkeypatch):
    store = f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    with pytest.raises(TrackingError, match=r"mlflow\.db: there is no MLflow database"):
        model_folder("models:/none@champion")
    assert list(tmp_path.iterdir()) == []
    connect(store, "some")
    with pytest.raises(TrackingError, match=r"models:/none@champion: MLflow at sqlite:.* does not give it"):
        model_folder("models:/none@champion")
