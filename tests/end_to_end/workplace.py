"""A user's folder, and the commands typed there."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.request import urlopen

TINY = Path(__file__).parent / "tiny.yaml"


def wait_for(condition: Callable[[], bool], seconds: float = 180) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def answers(address: str) -> bool:
    """Whether an MLflow server is there."""
    try:
        with urlopen(f"{address}/health", timeout=10) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


class Workplace:
    """A folder in which a user types commands."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self.folder = folder
        self._environment = os.environ | {"NDVQ_TUNE_CACHE": str(cache), "COLUMNS": "100"}

    def command(self, *arguments: str, module: str = "ndvq_tune.search") -> list[str]:
        return [sys.executable, "-m", module, *arguments]

    def run(self, *arguments: str, module: str = "ndvq_tune.search") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments, module=module),
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=600,
        )

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a search in the background; its output goes to ``log``."""
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                self.command(*arguments), cwd=self.folder, env=self._environment, stdout=log, stderr=subprocess.STDOUT
            )

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    @property
    def results(self) -> Path:
        return self.folder / "runs" / "tiny"
