from typing import Any

import pytest
import torch

from ndvq_tune.config import ArrayData, ImageData, ModelConfig, RunConfig, SignalData, TorchvisionData, VideoData
from ndvq_tune.model import build_model
from ndvq_tune.search.space.settings import SearchSettings
from ndvq_tune.search.space.settings.fidelity import FidelitySettings
from ndvq_tune.search.stages import Stage, problems, stage_data, stages

FULL = VideoData(clip_length=16, resolution=64)


def run(max_epochs: int = 20, **data: Any) -> RunConfig:
    changes = {"data": {**FULL.model_dump(), **data}, "training": {"max_epochs": max_epochs}}
    return RunConfig.model_validate(changes)


def begins(max_epochs: int = 20, own_epochs: int | None = None, scheduler: str = "asha", **fidelity: Any) -> list[int]:
    """Epochs after which the stages of a trial begin."""
    settings = SearchSettings.model_validate({"fidelity": fidelity, "scheduler": {"type": scheduler}})
    return [stage.after_epoch for stage in stages(run(own_epochs or max_epochs), settings, max_epochs)]


def test_without_small_samples_there_is_one_stage():
    (stage,) = stages(run(), SearchSettings(), 20)
    assert stage == Stage(0, run(), fidelity=1.0)


def test_each_stage_has_its_sizes_and_the_last_is_the_run_itself():
    settings = SearchSettings.model_validate({"fidelity": {"resolution": [16, 32, 64], "clip_length": [4, 8, 16]}})
    found = stages(run(), settings, 20)
    sizes = [(stage.run.data.clip_length, stage.run.data.resolution) for stage in found]
    assert sizes == [(4, 16), (8, 32), (16, 64)]
    assert found[-1].run == run()
    for stage in found:
        assert (stage.run.model, stage.run.training) == (run().model, run().training)
        assert RunConfig.model_validate(stage.run.to_dict()) == stage.run


def test_frames_are_scaled_down_with_the_resolution_so_that_they_show_the_same():
    data = VideoData(resolution=64, resize=80, crop="random")
    small, full = stage_data(data, FidelitySettings(resolution=(32, 64)))
    assert (small.resolution, small.resize, small.crop) == (32, 40, "random")
    assert full == data
    (shorter, _) = stage_data(data, FidelitySettings(clip_length=(8, 16)))
    assert (shorter.resolution, shorter.resize) == (64, 80)


@pytest.mark.parametrize("scheduler", ["asha", "hyperband"])
def test_promotions_are_at_the_last_rungs_of_the_scheduler(scheduler):
    """Grace period 2 and factor 3: rungs after 2, 6 and 18 epochs."""
    assert begins(20, resolution=[32, 64], scheduler=scheduler) == [0, 18]
    assert begins(20, resolution=[16, 32, 64], scheduler=scheduler) == [0, 6, 18]
    assert begins(18, resolution=[32, 64], scheduler=scheduler) == [0, 6]


def test_promotions_are_even_where_there_are_no_rungs_or_too_few():
    assert begins(20, resolution=[32, 64], scheduler="none") == [0, 10]
    assert begins(20, resolution=[32, 64], scheduler="median") == [0, 10]
    assert begins(20, resolution=[32, 64], unit="seconds") == [0, 10]
    assert begins(6, resolution=[16, 32, 64]) == [0, 2, 4]


def test_promotions_are_where_the_space_says():
    assert begins(20, resolution=[16, 32, 64], promote_after=[3, 12]) == [0, 3, 12]


@pytest.mark.parametrize(
    ("own_epochs", "expected"),
    [(20, [0, 6, 18]), (19, [0, 6, 18]), (18, [0, 6, 17]), (5, [0, 3, 4]), (3, [0, 1, 2]), (2, [0, 1]), (1, [0])],
)
def test_a_shorter_trial_keeps_the_order_and_ends_with_full_samples(own_epochs, expected):
    assert begins(20, own_epochs, resolution=[16, 32, 64]) == expected
    settings = SearchSettings.model_validate({"fidelity": {"resolution": [16, 32, 64]}})
    assert stages(run(own_epochs), settings, 20)[-1].run == run(own_epochs)


def test_fidelity_is_the_share_of_elements():
    settings = SearchSettings.model_validate({"fidelity": {"resolution": [32, 64], "clip_length": [8, 16]}})
    assert [stage.fidelity for stage in stages(run(), settings, 20)] == [1 / 8, 1.0]
    array = RunConfig(data=ArrayData(axes="NCTHW"), model=ModelConfig(n_dims=3))
    assert [stage.fidelity for stage in stages(array, SearchSettings(), 20)] == [1.0]


@pytest.mark.parametrize(
    ("data", "fidelity"),
    [
        (FULL, {"resolution": (32, 64), "clip_length": (8, 16)}),
        (ImageData(), {"resolution": (16, 64)}),
        (TorchvisionData(name="CIFAR10", resolution=32), {"resolution": (16, 32)}),
        (FULL, {"resolution": (32, 64), "promote_after": (19,)}),
        (FULL, {}),
    ],
)
def test_stages_that_fit_have_no_problems(data, fidelity):
    assert problems(data, FidelitySettings(**fidelity), 20) == []


@pytest.mark.parametrize(
    ("data", "fidelity", "key", "told"),
    [
        (FULL, {"resolution": (16, 32)}, "search.fidelity.resolution", "data.resolution, which is 64"),
        (FULL, {"clip_length": (8, 32)}, "search.fidelity.clip_length", "data.clip_length, which is 16"),
        (SignalData(), {"resolution": (32, 64)}, "search.fidelity.resolution", "type signal has no resolution"),
        (ImageData(), {"clip_length": (8, 16)}, "search.fidelity.clip_length", "type image has no clip_length"),
        (TorchvisionData(name="CIFAR10"), {"clip_length": (8, 16)}, "search.fidelity.clip_length", "torchvision"),
        (FULL, {"resolution": (32, 64), "promote_after": (20,)}, "search.fidelity.promote_after", "which is 20"),
        (
            ImageData(augment={"RandomResizedCrop": {"size": 64}}),
            {"resolution": (32, 64)},
            "data.augment",
            "RandomResizedCrop",
        ),
    ],
)
def test_stages_that_do_not_fit_are_told_by_key(data, fidelity, key, told):
    (problem,) = problems(data, FidelitySettings(**fidelity), 20)
    assert problem.key == key
    assert told in problem.message


@pytest.mark.parametrize("attention", ["none", "axial", "full"])
@pytest.mark.parametrize("sizes", [(4, 16, 16), (5, 15, 15), (1, 2, 2)])
def test_the_model_asks_nothing_of_the_sizes(sizes, attention):
    """The reason why no size is a problem."""
    config = ModelConfig(
        attention={"type": attention, "positions": "rotary"}, downsample=(2, 4, 4), n_hiddens=8, n_codes=16
    )
    model = build_model(config, (3, *sizes))
    loss, x_recon, output = model(torch.rand(2, 3, *sizes))
    assert torch.isfinite(loss)
    assert x_recon.shape == (2, 3, *sizes)
    assert output["encodings"].shape[1:] == model.latent_shape
    with torch.device("meta"):
        full = build_model(config, FULL.sample_shape)
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    assert shapes == {name: tensor.shape for name, tensor in full.state_dict().items()}
