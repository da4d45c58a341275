import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from mlflow.tracking import MlflowClient

from ndvq_tune.errors import TrackingError
from ndvq_tune.goals import Objective
from ndvq_tune.tracking import client
from ndvq_tune.tracking.client import connect, resolve_uri, ui_address, ui_command


@pytest.fixture
def deaf_port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def refused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_default_is_the_store_that_a_plain_mlflow_ui_opens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    uri = resolve_uri(None)
    assert uri == f"sqlite:///{tmp_path}/mlflow.db"
    assert ui_command(uri) == "mlflow ui"


def test_environment_names_the_store_unless_one_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking:5000")
    assert resolve_uri(None) == "http://tracking:5000"
    assert resolve_uri("http://other") == "http://other"


def test_how_to_see_other_stores(tmp_path: Path) -> None:
    elsewhere = f"sqlite:///{tmp_path}/mlflow.db"
    assert ui_command(elsewhere) == f"mlflow ui --backend-store-uri {elsewhere}"
    loss = Objective("recon_loss", "min")
    assert ui_address(elsewhere, "3", loss).startswith("http://127.0.0.1:5000/#/experiments/3/runs?workflowType=")
    assert ui_command("http://host:8000/") is None
    assert ui_address("http://host:8000/", "3", loss).startswith("http://host:8000/#/experiments/3/runs?workflowType=")


def test_the_address_lists_the_best_first() -> None:
    page = ui_address("http://host", "3", Objective("psnr", "max")).partition("#")[2]
    assert parse_qs(urlsplit(page).query) == {
        "workflowType": ["machine_learning"],
        "orderByKey": ["metrics.`psnr`"],
        "orderByAsc": ["false"],
    }


def test_refused_connection_is_an_error_at_once() -> None:
    uri = f"http://127.0.0.1:{refused_port()}"
    start = time.monotonic()
    with pytest.raises(TrackingError, match=rf"{uri}.*--tracking-uri"):
        connect(uri, "ndvq")
    assert time.monotonic() - start < 10


@pytest.mark.slow
def test_server_that_never_answers_is_an_error_within_15_seconds(deaf_port: int) -> None:
    start = time.monotonic()
    with pytest.raises(TrackingError, match=f"127.0.0.1:{deaf_port}"):
        connect(f"http://127.0.0.1:{deaf_port}", "ndvq")
    assert time.monotonic() - start < 16


def test_store_without_a_time_limit_of_its_own_gets_one(deaf_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "ANSWER_WITHIN", 0.3)
    with pytest.raises(TrackingError, match="no answer"):
        connect(f"http://127.0.0.1:{deaf_port}", "ndvq")


def test_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("no database, " * 100)
    with pytest.raises(TrackingError, match="not a database"):
        connect(f"sqlite:///{tmp_path}/mlflow.db", "ndvq")


def test_folder_in_place_of_a_database(tmp_path: Path) -> None:
    with pytest.raises(TrackingError, match="unable to open"):
        connect(f"sqlite:///{tmp_path}", "ndvq")


def test_old_file_store_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(TrackingError, match=r"sqlite:///mlflow\.db"):
        connect(f"file:{tmp_path}/mlruns", "ndvq")


def test_deleted_experiment_says_how_to_restore_it(uri: str) -> None:
    store = connect(uri, "ndvq")
    mlflow, experiment_id = store.client, store.experiment_id
    mlflow.delete_experiment(experiment_id)
    with pytest.raises(TrackingError, match=f"restore --experiment-id {experiment_id}"):
        connect(uri, "ndvq")


def test_experiment_is_made_once(uri: str) -> None:
    assert connect(uri, "ndvq").experiment_id == connect(uri, "ndvq").experiment_id
    assert len(MlflowClient(uri).search_experiments(filter_string="name = 'ndvq'")) == 1


def test_new_store_is_made_in_silence_where_a_plain_mlflow_ui_looks(new_store: Any) -> None:
    assert new_store.output == ""
    assert (new_store.folder / "mlflow.db").exists()
    assert list((new_store.folder / "mlruns").rglob("space.yaml"))
