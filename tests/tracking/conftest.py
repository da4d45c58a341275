import shutil
from pathlib import Path

import pytest

from ndvq_tune.tracking.mlflow import MlflowTracker


@pytest.fixture(scope="session")
def fresh_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with its tables, made once: MLflow takes seconds for that."""
    folder = tmp_path_factory.mktemp("mlflow")
    MlflowTracker.open("template", "template", "template", f"sqlite:///{folder}/mlflow.db")
    return folder / "mlflow.db"


@pytest.fixture
def uri(fresh_database: Path, tmp_path: Path) -> str:
    shutil.copy(fresh_database, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path}/mlflow.db"
