"""The search spaces that are shipped."""

import math
import pickle
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import optuna
import pytest
import torch

from ndvq_tune.config import RunConfig
from ndvq_tune.data.dataset import open_dataset, sample_shape
from ndvq_tune.data.torchvision.package import datasets
from ndvq_tune.model import build_model
from ndvq_tune.search.engine.optuna_space import suggest
from ndvq_tune.search.space import SearchSpace
from ndvq_tune.training.evaluation import static_metrics
from ndvq_tune.training.loop import Training

FOLDER = Path(__file__).parents[1] / "search_spaces"
SPACES = {path.stem: path for path in sorted(FOLDER.glob("*.yaml"))}
DIMENSIONS = {"video3d": 3, "image2d": 2, "signal1d": 1, "volume4d": 4, "smoke": 2, "cifar10": 2}
FIRST_LINE = "# yaml-language-server: $schema=schema.json"
EACH = pytest.mark.parametrize("name", DIMENSIONS)


@pytest.fixture(autouse=True, scope="module")
def _elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Samples and cache go to a folder of these tests' own, and with them a CIFAR-10 that need not be downloaded."""
    folder = tmp_path_factory.mktemp("spaces")
    with pytest.MonkeyPatch.context() as patch:
        write_cifar10(folder / "data" / "torchvision", patch)
        patch.chdir(folder)
        patch.setenv("NDVQ_TUNE_CACHE", str(folder / "cache"))
        yield


def write_cifar10(root: Path, patch: pytest.MonkeyPatch) -> None:
    """A few images in CIFAR-10's own files, and torchvision's list of files without the others and check sums."""
    kind, rng = datasets().CIFAR10, np.random.default_rng(0)
    folder = root / kind.base_folder
    folder.mkdir(parents=True)
    for name, count in (("data_batch_1", 64), ("test_batch", 16)):
        images = rng.integers(0, 256, (count, 3 * 32 * 32), dtype=np.uint8)
        (folder / name).write_bytes(pickle.dumps({"data": images, "labels": [0] * count}))
    (folder / kind.meta["filename"]).write_bytes(pickle.dumps({"label_names": ["noise"]}))
    patch.setattr(kind, "train_list", [["data_batch_1", None]])
    patch.setattr(kind, "test_list", [["test_batch", None]])
    patch.setattr(kind, "meta", kind.meta | {"md5": None})


def drawn(name: str, count: int) -> list[RunConfig]:
    space = SearchSpace.load(SPACES[name])
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    return [suggest(space, study.ask()).config for _ in range(count)]


def test_there_is_a_space_for_every_number_of_dimensions_and_one_to_try() -> None:
    assert SPACES.keys() == DIMENSIONS.keys()
    assert set(DIMENSIONS.values()) == {1, 2, 3, 4}


@EACH
def test_a_space_is_named_as_its_file_and_tells_editors_its_schema(name: str) -> None:
    space = SearchSpace.load(SPACES[name])
    assert (space.name, space.tracking.experiment) == (name, f"ndvq-{name}")
    assert SPACES[name].read_text(encoding="utf-8").splitlines()[0] == FIRST_LINE
    assert (FOLDER / re.sub(r".*schema=", "", FIRST_LINE)).is_file()


@EACH
def test_what_a_comment_offers_is_valid_too(name: str) -> None:
    text = SPACES[name].read_text(encoding="utf-8")
    offered = re.findall(r"^  # (\w+: [^#\n]*?) *(?:#.*)?$", text, re.MULTILINE)
    for line in offered:
        path = Path("with.yaml")
        path.write_text(text.replace(f"  # {line}", f"  {line}"), encoding="utf-8")
        SearchSpace.load(path)
    assert bool(offered) == (name in ("video3d", "image2d"))


@EACH
def test_most_of_a_space_keeps_what_is_known_beforehand(name: str) -> None:
    space = SearchSpace.load(SPACES[name])
    shape = sample_shape(space.data)
    kept = 0
    for config in drawn(name, 40):
        with torch.device("meta"):
            metrics = static_metrics(build_model(config.model, shape))
        constraints = [constraint for constraint in space.search.goals.constraints if constraint.metric in metrics]
        kept += all(constraint.violation(metrics[constraint.metric]) <= 0 for constraint in constraints)
    assert kept >= 20


@EACH
def test_samples_are_made_and_fit_the_model(name: str) -> None:
    config = drawn(name, 1)[0]
    dataset = open_dataset(config.data)
    assert len(dataset.train) >= 30
    assert len(dataset.test) >= 10
    assert len(dataset.train.shape) - 1 == config.model.n_dims == DIMENSIONS[name]
    assert config.data.path.startswith("data/")
    build_model(config.model, dataset.train.shape)


def test_a_model_of_volumes_over_time_learns_the_sample_waves() -> None:
    space = SearchSpace.load(SPACES["volume4d"])
    small = {"model.n_hiddens": 8, "model.downsample": [4, 4, 4, 4], "training.max_epochs": 2, "training.batch_size": 8}
    chosen = {parameter.key: parameter.distribution.probes[0] for parameter in space.searched if not parameter.when}
    config = space.complete(chosen | small | {"training.learning_rate": 6e-2})
    reports: list[dict[str, float]] = []
    Training(config, open_dataset(config.data)).fit(reports.append)
    assert reports[-1]["recon_loss"] < reports[0]["recon_loss"]
    assert reports[-1]["recon_loss"] < 0.9
    assert all(math.isfinite(value) for report in reports for value in report.values())


def test_the_published_reference_is_trained_at_its_rate_and_for_about_as_many_steps() -> None:
    """512 codes for each 4 x 4 of CIFAR-10's 32 x 32 pixels; 10,000 steps of 32 of its 50,000 training images."""
    space = SearchSpace.load(SPACES["cifar10"])
    for config in drawn("cifar10", 3):
        with torch.device("meta"):
            metrics = static_metrics(build_model(config.model, sample_shape(space.data)))
        assert metrics["bits_per_element"] == 9 / 16
        epoch = 50_000 // config.training.batch_size
        steps = [epochs * epoch for epochs in range(1, 10)]
        assert space.max_epochs * epoch == min(steps, key=lambda count: abs(count - 10_000))


def test_the_space_to_try_is_small_enough_for_a_minute() -> None:
    space = SearchSpace.load(SPACES["smoke"])
    assert space.search.resources.workers_per_trial == 0
    assert space.search.trials * space.max_epochs <= 20
    assert space.search.time_budget is None  # a search without a model would be no check


def test_the_space_of_the_readme_trains_in_workers_and_needs_no_repetitions() -> None:
    search = SearchSpace.load(SPACES["video3d"]).search
    assert search.resources.workers_per_trial == 1
    assert search.confirm is None
