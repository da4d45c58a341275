import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

_START = """
from ndvq_tune.tracking.client import connect
from ndvq_tune.tracking.mlflow import MlflowTracker

MlflowTracker(connect(None, "c"), "a", "b").start("x: 1", {})
"""


@dataclass(frozen=True)
class NewStore:
    """A folder where a search was started on defaults, and what the process wrote."""

    folder: Path
    output: str


@pytest.fixture(scope="session")
def new_store(tmp_path_factory: pytest.TempPathFactory) -> NewStore:
    """Made once: MLflow takes seconds for the tables. In a process of its own, as its import sets up its logging."""
    folder = tmp_path_factory.mktemp("mlflow")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    done = subprocess.run(
        [sys.executable, "-W", "default", "-c", _START],
        cwd=folder, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return NewStore(folder, done.stdout + done.stderr)


@pytest.fixture
def uri(new_store: NewStore, tmp_path: Path) -> str:
    """A store with its tables, of this test alone."""
    shutil.copy(new_store.folder / "mlflow.db", tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path}/mlflow.db"
