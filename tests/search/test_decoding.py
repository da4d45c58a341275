"""Decoding with real Ray processes."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import ray
from PIL import Image
from ray.cluster_utils import Cluster

from ndvq_tune.config import ImageData
from ndvq_tune.data.cache import shards
from ndvq_tune.data.cache.source import silent
from ndvq_tune.errors import DataError
from ndvq_tune.search.decoding import open_on_cluster
from ndvq_tune.search.resources.cluster import cluster as attached

pytestmark = pytest.mark.ray
LOCAL = partial(attached, None)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ImageData:
    """Images for four shards in train and one in test."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 16), ("test", 4)):
        (tmp_path / "images" / split).mkdir(parents=True)
        for number in range(count):
            pixels = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / split / f"{number:02}.png")
    size = (tmp_path / "images" / "train" / "00.png").stat().st_size
    monkeypatch.setattr(shards, "SHARD_BYTES", 4.5 * size)
    monkeypatch.setenv("NDVQ_TUNE_CACHE", str(tmp_path / "cache"))
    return ImageData(path=tmp_path / "images", resolution=16)


def pixels_of(config: ImageData, split: str) -> np.ndarray:
    return np.stack([np.asarray(Image.open(path)) for path in sorted(Path(config.path, split).iterdir())])


def entries(folder: Path) -> list[Path]:
    return [index.parent for index in folder.glob("*/index.json")]


def test_tasks_decode_all_shards_and_ray_ends_afterwards(config: ImageData) -> None:
    reports: list[tuple[str, int, int]] = []
    dataset = open_on_cluster(config, lambda *report: reports.append(report), LOCAL)
    assert np.array_equal(dataset.train[:].numpy(), pixels_of(config, "train").transpose(0, 3, 1, 2))
    assert [done for name, done, total in reports if (name, total) == ("Decoding images", 16)] == [0, 4, 8, 12, 16]
    assert not ray.is_initialized()


def test_one_shard_needs_no_ray(config: ImageData, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "SHARD_BYTES", 2**24)
    monkeypatch.delattr(ray, "init")
    assert len(open_on_cluster(config, silent, LOCAL).train) == 16


def test_a_task_that_cannot_write_is_a_plain_error(config: ImageData, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(job):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ndvq_tune.data.cache.decoding.write_shard", full)
    with pytest.raises(DataError, match=r"No space left on device.*set the environment variable NDVQ_TUNE_CACHE"):
        open_on_cluster(config, silent, LOCAL)


@pytest.mark.slow
def test_a_node_with_a_cache_of_its_own_fills_it_and_a_head_without_cpus_decodes_for_itself(
    config: ImageData, tmp_path: Path
) -> None:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        cluster.add_node(num_cpus=1, env_vars={"NDVQ_TUNE_CACHE": str(tmp_path / "other")})
        cluster.wait_for_nodes()
        dataset = open_on_cluster(config, silent, partial(attached, cluster.address))
    finally:
        ray.shutdown()
        cluster.shutdown()
    assert len(dataset.train) == 16
    assert len(entries(tmp_path / "cache")) == 2
    # The test split is one shard, which the driver decodes alone; the node decodes both when it decodes.
    assert len(entries(tmp_path / "other")) == 2
