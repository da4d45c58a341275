"""What a person sees in MLflow: a real server over a store that the tracker wrote, looked at in Chromium."""

import asyncio
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ndvq_tune.goals import Objective
from ndvq_tune.judgement.standing import Standing
from ndvq_tune.records import SearchRecord, StopReason, TrialRecord, TrialState
from ndvq_tune.report.finding import finding
from ndvq_tune.report.slide import FRONT, write_front
from ndvq_tune.tracking.client import connect
from ndvq_tune.tracking.datasets import dataset_input
from ndvq_tune.tracking.mlflow import MlflowTracker
from ndvq_tune.training.checkpoint import pack
from ndvq_tune.training.files import write
from ndvq_tune.training.loop import Training
from tests.report.report_examples import goals, make_trial
from tests.tracking.chromium import Page, chromium
from tests.training.training_examples import config, dataset, floats

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or ""
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="there is no chromium"),
    pytest.mark.filterwarnings("ignore::UserWarning"),  # MLflow warns of its own hints for types
]
BEST, PRUNED, FAILED = "trial-0001", "trial-0002", "trial-0003"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An MLflow server on loopback."""
    folder = tmp_path_factory.mktemp("server")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    command += ["--artifacts-destination", str(folder / "artifacts"), "--port", str(port), "--workers", "1"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
    try:
        address = f"http://127.0.0.1:{port}"
        for _ in range(240):
            try:
                with urllib.request.urlopen(f"{address}/health", timeout=1):
                    break
            except OSError:
                assert process.poll() is None, (folder / "log").read_text()
                time.sleep(0.5)
        yield address
    finally:
        process.terminate()  # it ends what it has started
        process.wait(30)


def ended(number: int, *losses: float, **changes: object) -> TrialRecord:
    reports = tuple(
        {"epoch": epoch, "seconds": 5.0 * epoch, "recon_loss": loss, "psnr": 20.0 + epoch, "codebook_usage": 0.5}
        | {"peak_memory_bytes": 3e9, "host_memory_bytes": 8e8 + 1e8 * epoch, "worker_cpu_utilization": 0.9}
        for epoch, loss in enumerate(losses, start=1)
    )
    return replace(make_trial(number, reports=reports, checkpoint_epoch=len(reports)), **changes)


@pytest.fixture(scope="module")
def tracker(server: str, tmp_path_factory: pytest.TempPathFactory) -> MlflowTracker:
    """A search that ended: one trial completed, one is recommended, one was pruned, one failed."""
    folder = tmp_path_factory.mktemp("results")
    training = Training(config(), dataset())
    training.run_epoch()
    write(folder / BEST, pack(training))
    trials = (
        ended(0, 0.6, 0.5, 0.45),
        ended(1, 0.5, 0.3, 0.2),
        ended(2, 0.9, state=TrialState.PRUNED, stop_reason=StopReason.SCHEDULER),
        make_trial(3, state=TrialState.FAILED, error="RuntimeError: boom", checkpoint=None),
    )
    standing = Standing(SearchRecord("bars", trials, goals("recon_loss")))
    tracker = MlflowTracker(connect(server, "bars"), "bars", "id-1")
    tracker.start("name: bars\n", {"trials": 4, "model.n_hiddens": 8}, dataset_input(config().data, dataset()))
    picture = folder / f"{BEST}.png"
    shutil.copy(Path(__file__).parents[2] / "docs" / "preview.png", picture)
    tracker.attach(picture, trials[1])
    write_front(standing, folder)
    tracker.attach(folder / FRONT)
    (folder / "report.html").write_text("<h1>What was found</h1>")
    tracker.attach(folder / "report.html")
    tracker.register(trials[1], folder / BEST, floats(dataset().test)[:1].numpy())
    tracker.finish(standing, "completed", finding(standing))
    return tracker


def seen(tmp_path: Path, look) -> None:
    """Let someone look at pages, none of which may run into an error."""

    async def looking() -> None:
        async with chromium(CHROMIUM, tmp_path / "profile", 1500, 900) as page:
            await look(page)
            assert page.errors == []

    asyncio.run(looking())


def run_page(tracker: MlflowTracker, name: str, tab: str = "") -> str:
    (run,) = tracker._client.search_runs([tracker.experiment_id], f"attributes.run_name = '{name}'")
    experiment = f"{tracker.uri}/#/experiments/{tracker.experiment_id}"
    return f"{experiment}/runs/{run.info.run_id}{tab}?workflowType=machine_learning"


def test_the_printed_address_lists_every_trial_the_best_first(tracker: MlflowTracker, tmp_path: Path) -> None:
    (address,) = tracker.shown_at(Objective("recon_loss", "min"))

    async def look(page: Page) -> None:
        text = await page.open(address, shows=FAILED)
        await page.screenshot(tmp_path / "runs.png")
        assert re.findall(r"^trial-\d{4}$", text, re.MULTILINE) == [BEST, "trial-0000", PRUNED, FAILED]

    seen(tmp_path, look)


def test_the_compare_view_opens_with_what_trials_are_compared_by(tracker: MlflowTracker, tmp_path: Path) -> None:
    (address,) = tracker.shown_at(Objective("recon_loss", "min"))

    async def look(page: Page) -> None:
        text = await page.open(f"{address}&compareRunsMode=CHART", shows="codebook_usage")
        await page.screenshot(tmp_path / "compare.png")
        assert text.index("Model metrics") < text.index("codebook_usage")

    seen(tmp_path, look)


def test_the_recommended_trial_shows_its_marks_its_model_and_its_picture(
    tracker: MlflowTracker, tmp_path: Path
) -> None:
    async def look(page: Page) -> None:
        text = await page.open(run_page(tracker, BEST), shows="Registered models")
        await page.screenshot(tmp_path / "trial.png")
        words = " ".join(text.split())
        for said in ("Finished", "front : true", "recommended : true", "state : completed", "Training"):
            assert said.replace(" ", "") in words.replace(" ", ""), said
        assert re.search(r"Registered models bars v1", words)
        await page.open(run_page(tracker, BEST, "/artifacts"), shows=f"{BEST}.png")
        await page.click(f"{BEST}.png", shows="Path:")
        assert await shows_picture(page)
        await page.screenshot(tmp_path / "artifacts.png")

    seen(tmp_path, look)


async def shows_picture(page: Page, wider_than: int = 100) -> bool:
    """Whether a picture appears before long."""
    for _ in range(40):
        if any(width > wider_than for width in await page.pictures()):
            return True
        await asyncio.sleep(0.5)
    return False


def test_a_trial_shows_what_its_worker_took_among_system_metrics(tracker: MlflowTracker, tmp_path: Path) -> None:
    async def look(page: Page) -> None:
        text = await page.open(run_page(tracker, BEST, "/system-metrics"), shows="cpu_utilization_percentage")
        await page.screenshot(tmp_path / "system.png")
        for name in ("system_memory_usage_megabytes", "gpu_0_memory_usage_megabytes"):
            assert name in text

    seen(tmp_path, look)


def test_a_pruned_trial_is_finished_and_says_why_it_was_stopped(tracker: MlflowTracker, tmp_path: Path) -> None:
    async def look(page: Page) -> None:
        words = "".join((await page.open(run_page(tracker, PRUNED), shows="stop_reason")).split())
        for said in ("Finished", "state:pruned", "stop_reason:scheduler", "recommended:false"):
            assert said in words, said

    seen(tmp_path, look)


def test_the_search_shows_the_recommendation_its_metrics_and_the_report(tracker: MlflowTracker, tmp_path: Path) -> None:
    async def look(page: Page) -> None:
        text = await page.open(run_page(tracker, "bars"), shows="is the one to take")
        await page.screenshot(tmp_path / "search.png")
        assert f"{BEST} is the one to take: reconstruction loss 0.2" in text
        assert re.search(r"recon_loss\s+0\.2\s", text)
        await page.open(run_page(tracker, "bars", "/artifacts"), shows="report.html")
        await page.click("report.html", shows="Path:")
        await page.click(FRONT, shows="Path:")
        assert await shows_picture(page, wider_than=1500)
        await page.screenshot(tmp_path / "front.png")

    seen(tmp_path, look)
