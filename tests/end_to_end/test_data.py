"""Searches over data of every kind, each from the command to a model that is loaded again."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from ndvq_tune import RunConfig, load_model
from ndvq_tune.data.dataset import open_dataset
from tests.end_to_end.workplace import Workplace

pytestmark = pytest.mark.ray

RANDOM = np.random.default_rng(0)


def write_images(folder: Path) -> None:
    folder.mkdir(parents=True)
    for number, wave in enumerate(np.sin(np.arange(28) / RANDOM.uniform(2, 6, (24, 1)))):
        pixels = (127 * (wave + 1)).astype(np.uint8)
        Image.fromarray(np.tile(pixels, (20, 1))).save(folder / f"{number}.png")
    (folder / "broken.png").write_bytes(b"no image")


def write_trajectories(folder: Path) -> None:
    folder.mkdir(parents=True)
    steps = np.cumsum(RANDOM.normal(size=(400, 2)), axis=0)
    rows = "\n".join(f"{number},{x:.3f},{y:.3f}" for number, (x, y) in enumerate(steps))
    (folder / "walk.csv").write_text(f"time,x,y\n{rows}\n")


def write_volumes(folder: Path) -> None:
    folder.mkdir(parents=True)
    np.save(folder / "volumes.npy", np.cumsum(RANDOM.normal(size=(16, 1, 4, 8, 8)), axis=-1).astype(np.float32))


KINDS: dict[str, tuple[Callable[[Path], None], dict[str, Any], int]] = {
    "image": (
        write_images,
        {"type": "image", "resolution": 16, "resize": 20, "crop": "random", "augment": {"RandomVerticalFlip": {}}},
        2,
    ),
    "signal": (write_trajectories, {"type": "signal", "columns": ["x", "y"], "window": 32}, 1),
    "array": (write_volumes, {"type": "array"}, 3),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_search_over_any_data_ends_with_a_model_of_it(kind: str, workplace: Workplace) -> None:
    write, data, n_dims = KINDS[kind]
    for split in ("train", "test"):
        write(workplace.folder / "mine" / split)
    space = {
        "name": kind,
        "data": {"path": "mine", **data},
        "model": {"n_dims": n_dims, "n_codes": 16, "n_hiddens": 8, "embedding_dim": {"choice": [2, 4]}},
        "training": {"batch_size": 4, "max_epochs": 2},
        "search": {"trials": 2, "scheduler": {"type": "none"}, "resources": {"workers_per_trial": 0}},
    }
    (workplace.folder / "space.yaml").write_text(yaml.safe_dump(space))
    done = workplace.run("--space", "space.yaml")
    assert done.returncode == 0, done.stdout + done.stderr

    assert ("skipped 2 of 50 files: train/broken.png (" in done.stdout) == (kind == "image")

    results = workplace.folder / "runs" / kind
    table = (results / "skipped.csv").read_text().splitlines()
    skipped = ["train/broken.png", "test/broken.png"] if kind == "image" else []
    assert [line.partition(",")[0] for line in table] == ["file", *skipped]
    summary = json.loads((results / "summary.json").read_text())
    assert summary["trials"]["completed"] == 2
    assert list((results / "pictures").glob("*.png"))
    run = RunConfig.model_validate(yaml.safe_load((results / "best.yaml").read_text()))
    local = run.data.model_copy(update={"path": str(workplace.folder / "mine")})
    samples = open_dataset(local).test
    model = load_model(results / summary["best"]["checkpoint"])
    recon_loss, reconstructed, _ = model(samples.scale.to_unit(samples[:], torch.device("cpu")))
    assert reconstructed.shape == (len(samples), *samples.shape)
    assert recon_loss.item() == pytest.approx(summary["best"]["metrics"]["recon_loss"], rel=1e-3)
