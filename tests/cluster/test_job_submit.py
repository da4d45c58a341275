"""The documented way onto a cluster, for real: a Ray head, and a search handed to it with ``ray job submit``."""

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

REPOSITORY = Path(__file__).parents[2]
RAY = (sys.executable, "-m", "ray.scripts.scripts")
MARKER = "NDVQ_TUNE_TEST_HEAD"
MEGABYTE = 1_000_000
# What lies about in a folder that someone works in.
BALLAST = (
    ".git/objects/pack/pack-1.pack",
    ".venv/lib/libtorch.so",
    "data/mine/train/video.mp4",
    "mlruns/1/model",
    "runs/before/checkpoints/trial-0001/model.safetensors",
)
TINY = {
    "training.max_epochs": "1",
    "model.n_hiddens": "8",
    "model.downsample": "[4,8,8]",
    "model.attention.type": "none",
    "data.resolution": "32",
    "data.clip_stride": "16",
}

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),  # from inside MLflow
]


@dataclass(frozen=True)
class Head:
    """A Ray head of the test's own.

    Attributes:
        address: Of its dashboard.
        folder: Its temporary folder.
        environment: Handed down to every process of this cluster, with a marker that tells them from all others.
    """

    address: str
    folder: Path
    environment: dict[str, str]

    def processes(self, program: str = "") -> list[int]:
        """Living processes of this cluster, or those of one program."""
        marker = f"{MARKER}={self.environment[MARKER]}".encode()
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # it has just ended
                ours = marker in (process / "environ").read_bytes()
                if ours and (process / "cmdline").read_text().split("\0")[0].endswith(program):
                    found.append(int(process.name))
        return found

    def kill(self) -> None:
        """End all of them; ``ray stop`` would end other people's clusters, too."""
        while alive := self.processes():
            for process in alive:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            time.sleep(0.1)


@pytest.fixture
def head(tmp_path: Path) -> Iterator[Head]:
    gcs, dashboard, client, agent = free_ports(4)
    folder = Path(tempfile.mkdtemp(prefix="ray-"))  # not tmp_path: the paths of sockets have to be short
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        # As it is wherever a local Ray has run before.
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(16),
        "NDVQ_TUNE_CACHE": str(tmp_path / "cache"),
        MARKER: secrets.token_hex(8),
    }
    ports = f"--port={gcs} --dashboard-port={dashboard} --ray-client-server-port={client} "
    ports += f"--dashboard-agent-listen-port={agent} --min-worker-port=0 --max-worker-port=0"
    size = f"--num-cpus=2 --object-store-memory={200 * MEGABYTE} --disable-usage-stats"
    command = [*RAY, "start", "--head", "--block", *ports.split(), *size.split(), f"--temp-dir={folder}"]
    started = Head(f"http://127.0.0.1:{dashboard}", folder, environment)
    log = folder / "head.log"
    with log.open("w") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    try:
        wait_for_jobs(started, log)
        yield started
    finally:
        started.kill()
        process.wait()
        shutil.rmtree(folder)


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def wait_for_jobs(head: Head, log: Path) -> None:
    command = [*RAY, "job", "list", "--address", head.address]
    for _ in range(20):
        answer = subprocess.run(command, env=head.environment, capture_output=True, text=True, check=False)
        if answer.returncode == 0:
            return
        time.sleep(1)
    pytest.fail(f"no head that takes jobs; is ray[default] installed?\n{log.read_text()}\n{answer.stderr[-2000:]}")


@pytest.fixture
def working_folder(tmp_path: Path) -> Path:
    """The repository as it is, in a folder that someone works in."""
    folder = tmp_path / "repository"
    listed = subprocess.check_output(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=REPOSITORY, text=True
    )
    for name in listed.splitlines():
        if (REPOSITORY / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / name, folder / name)
    for name in BALLAST:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(secrets.token_bytes(2 * MEGABYTE))
    return folder


def test_a_submitted_search_attaches_uploads_little_and_leaves_its_results_in_the_shared_folder(
    head: Head, working_folder: Path, tmp_path: Path
) -> None:
    output = tmp_path / "shared" / "video3d"
    search = ["python", "-m", "ndvq_tune.search", "--space", "search_spaces/video3d.yaml", "--trials", "3"]
    search += ["--output", str(output), *(word for key, value in TINY.items() for word in ("--set", f"{key}={value}"))]
    command = [*RAY, "job", "submit", "--address", head.address, "--working-dir", ".", "--", *search]
    log = tmp_path / "job.log"

    clusters = set()
    with log.open("w") as job_log:
        job = subprocess.Popen(command, cwd=working_folder, env=head.environment, stdout=job_log, stderr=job_log)
        while job.poll() is None:
            clusters.add(len(head.processes("/gcs_server")))
            time.sleep(0.5)

    assert job.returncode == 0, log.read_text()
    assert clusters == {1}, "the driver started a Ray of its own"

    summary = json.loads((output / "summary.json").read_text())
    assert summary["trials"]["completed"] == 3
    assert summary["mlflow"]["tracking_uri"] == f"sqlite:///{output / 'mlflow.db'}"
    assert mlflow_states(summary["mlflow"]) == ["FINISHED"] * 4  # three trials, and the search itself

    (uploaded,) = (path for path in head.folder.glob("session_2*/**/_ray_pkg_*") if path.is_dir())
    made_there = uploaded / "data" / "video_dataset"
    files = [path for path in uploaded.rglob("*") if path.is_file() and made_there not in path.parents]
    assert not {path.relative_to(uploaded).as_posix() for path in files} & set(BALLAST)
    beside = [path for path in files if uploaded / "ndvq_tune" not in path.parents]
    assert sum(path.stat().st_size for path in files) < 2 * MEGABYTE  # Ray does not compress what it uploads
    assert sum(path.stat().st_size for path in beside) < MEGABYTE / 10


def mlflow_states(store: dict[str, str]) -> list[str]:
    runs = MlflowClient(store["tracking_uri"]).search_runs([store["experiment_id"]])
    return [run.info.status for run in runs]
