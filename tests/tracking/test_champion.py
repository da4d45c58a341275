"""The recommended model as others load it: through MLflow alone, from a store that is not the default one."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
import torch
from mlflow.tracking import MlflowClient

import ndvq_tune
from ndvq_tune.config import RunConfig
from ndvq_tune.records import TrialRecord
from ndvq_tune.tracking.client import connect
from ndvq_tune.tracking.mlflow import MlflowTracker
from ndvq_tune.training.checkpoint import load_model, pack
from ndvq_tune.training.files import write
from ndvq_tune.training.loop import Training
from tests.training.training_examples import config, dataset, floats

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # MLflow warns of its own hints for types
MODEL = "models:/video@champion"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    training = Training(config(), dataset())
    training.run_epoch()
    folder = tmp_path_factory.mktemp("checkpoints") / "trial-0003"
    write(folder, pack(training))
    return folder


@pytest.fixture
def x() -> np.ndarray:
    return floats(dataset().test)[:2].numpy()


@pytest.fixture
def tracker(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MlflowTracker:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return MlflowTracker(connect(uri, "ndvq"), "video", "id-1")


def trial(number: int = 3, epoch: int = 1) -> TrialRecord:
    return TrialRecord(number, {"model.n_codes": 16}, RunConfig(), checkpoint_epoch=epoch, started=1000.0)


def loaded(tracker: MlflowTracker, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracker.uri)
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", tracker.uri)
    return mlflow.pyfunc.load_model(MODEL)


def test_mlflow_loads_a_model_that_gives_codes_or_reconstructions(
    tracker: MlflowTracker, checkpoint: Path, x: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker.register(trial(), checkpoint, x)
    champion, model = loaded(tracker, monkeypatch), load_model(checkpoint)
    tensor = torch.from_numpy(x)
    np.testing.assert_array_equal(champion.predict(x), model.encode(tensor).numpy())
    with torch.no_grad():
        np.testing.assert_array_equal(champion.predict(x, params={"reconstruct": True}), model(tensor)[1].numpy())
    larger = np.concatenate([x, x], axis=-1)
    assert champion.predict(larger).shape[-1] == 2 * champion.predict(x).shape[-1]


def test_its_example_fits_its_signature_and_other_data_is_refused(
    tracker: MlflowTracker, checkpoint: Path, x: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker.register(trial(), checkpoint, x)
    champion = loaded(tracker, monkeypatch)
    np.testing.assert_array_equal(champion.input_example, x)  # 4 codes along each dimension hold all of these clips
    assert champion.predict(champion.input_example).dtype == np.int64
    with pytest.raises(mlflow.exceptions.MlflowException, match="Failed to enforce schema"):
        champion.predict(np.round(255 * x).astype(np.uint8))


def test_nothing_of_it_is_a_pickle_and_nothing_is_written_elsewhere(
    tracker: MlflowTracker, checkpoint: Path, x: np.ndarray, tmp_path: Path
) -> None:
    tracker.register(trial(), checkpoint, x)
    (model,) = (tmp_path / "mlruns").rglob("MLmodel")
    names = {path.name for path in model.parent.rglob("*") if path.is_file()}
    assert {"model.safetensors", "config.json", "tokenizer.py", "input_example.json"} <= names
    assert not [name for name in names if name.endswith((".pkl", ".pth", ".pt"))]
    assert "training.safetensors" not in names
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_it_is_registered_with_the_run_of_its_trial(tracker: MlflowTracker, checkpoint: Path, x: np.ndarray) -> None:
    tracker.register(trial(), checkpoint, x)
    client = MlflowClient(tracker.uri)
    version = client.get_model_version_by_alias("video", "champion")
    run = client.get_run(version.run_id)
    assert run.info.run_name == "trial-0003"
    (output,) = run.outputs.model_outputs
    logged = client.get_logged_model(output.model_id)
    assert (logged.status, logged.artifact_location) == ("READY", version.source)


def test_its_epoch_is_that_of_the_weights_that_it_has(tracker: MlflowTracker, checkpoint: Path, x: np.ndarray) -> None:
    """Not that of the last report: a trial offers its best weights."""
    tracker.register(replace(trial(epoch=9), best_checkpoint="best", best_epoch=7), checkpoint, x)
    assert MlflowClient(tracker.uri).get_model_version_by_alias("video", "champion").tags["epoch"] == "7"


def test_only_another_model_makes_another_version(tracker: MlflowTracker, checkpoint: Path, x: np.ndarray) -> None:
    client = MlflowClient(tracker.uri)

    def champion() -> tuple[str, str]:
        version = client.get_model_version_by_alias("video", "champion")
        return str(version.version), version.tags["ndvq_tune.trial"]

    tracker.register(trial(), checkpoint, x)
    tracker.register(trial(), checkpoint, x)  # the search went on, and nothing better was found
    assert champion() == ("1", "3")
    tracker.register(trial(epoch=4), checkpoint, x)
    assert champion() == ("2", "3")
    tracker.register(trial(7), checkpoint, x)
    assert champion() == ("3", "7")


def test_it_is_fetched_as_the_checkpoint_that_it_was_made_from(
    tracker: MlflowTracker, checkpoint: Path, x: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker.register(trial(), checkpoint, x)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracker.uri)
    model = ndvq_tune.load_model(MODEL)
    expected = load_model(checkpoint).encode(torch.from_numpy(x))
    assert torch.equal(model.encode(torch.from_numpy(x)), expected)
