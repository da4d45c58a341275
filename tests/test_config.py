import math

import pytest
from pydantic import ValidationError

from ndvq_tune.config import (
    ArrayData,
    AttentionConfig,
    ModelConfig,
    OptimizerConfig,
    RunConfig,
    ScheduleConfig,
    TrainingConfig,
    VideoData,
)
from ndvq_tune.config.run import as_kept


def errors(**sections) -> dict[str, str]:
    with pytest.raises(ValidationError) as error:
        RunConfig.model_validate(sections)
    found = [details for details in error.value.errors() if details["type"] != "default_factory_not_called"]
    return {".".join(map(str, details["loc"])): details["msg"] for details in found}


def test_an_empty_run_is_complete():
    run = RunConfig()
    assert run.data.sample_shape == (3, 16, 64, 64)
    assert run.model.n_dims == len(run.model.downsample) == len(run.data.sample_shape) - 1
    assert run.model.attention.type == "none"
    assert (run.model.ema_decay, run.model.codebook_beta) == (0.95, 0.25)


@pytest.mark.parametrize(
    ("section", "value"),
    [
        ("extra", {}),
        ("data", {"clip_lenght": 4}),
        ("model", {"n_code": 4}),
        ("model", {"attention": {"heads": 2}}),
        ("training", {"lr": 0.1}),
    ],
)
def test_an_unknown_key_is_refused_at_every_depth(section, value):
    (message,) = errors(**{section: value}).values()
    assert message == "Extra inputs are not permitted"


@pytest.mark.parametrize(
    ("config", "name"),
    [
        (RunConfig(), "model"),
        (VideoData(), "path"),
        (ModelConfig(), "n_codes"),
        (AttentionConfig(), "dropout"),
        (TrainingConfig(), "seed"),
    ],
)
def test_configurations_are_immutable(config, name):
    with pytest.raises(ValidationError, match="frozen"):
        setattr(config, name, None)


@pytest.mark.parametrize("downsample", [[4], [4, 4], [2, 2, 2, 2], []])
def test_downsample_needs_a_factor_a_dimension(downsample):
    assert errors(model={"n_dims": 3, "downsample": downsample}) == {
        "model.downsample": "Value error, needs one factor for each of n_dims=3 dimensions"
    }


@pytest.mark.parametrize(("n_dims", "downsample"), [(1, [4]), (2, [4, 4])])
def test_a_model_needs_as_many_dimensions_as_its_data(n_dims, downsample):
    assert ModelConfig(n_dims=n_dims, downsample=downsample).n_dims == n_dims
    (message,) = errors(model={"n_dims": n_dims, "downsample": downsample}).values()
    assert "data.type video has 3 dimensions" in message
    assert f"n_dims is {n_dims}" in message


@pytest.mark.parametrize(
    "data",
    [
        {"type": "image", "split": 0.9, "split_by": "time"},
        {"type": "torchvision", "name": "CIFAR10", "split": 0.9, "split_by": "time"},
    ],
)
def test_images_cannot_be_split_by_time(data):
    with pytest.raises(ValidationError, match="an image has no time"):
        RunConfig(data=data, model={"n_dims": 2})


@pytest.mark.parametrize(
    ("data", "shape"),
    [
        ({"type": "video", "channels": 1, "clip_length": 8}, (1, 8, 64, 64)),
        ({"type": "image", "resolution": 32}, (3, 32, 32)),
        ({"type": "torchvision", "name": "MovingMNIST", "channels": 1, "clip_length": 10}, (1, 10, 64, 64)),
        ({"type": "signal", "columns": ["x", "y"], "window": 50}, (2, 50)),
    ],
)
def test_samples_have_the_shape_that_the_settings_say(data, shape):
    run = RunConfig(data=data, model={"n_dims": len(shape) - 1})
    assert run.data.sample_shape == shape
    assert run.data.n_dims == run.model.n_dims == len(run.model.downsample)
    assert RunConfig.model_validate(run.to_dict()) == run


@pytest.mark.parametrize(("axes", "n_dims"), [("NCL", 1), ("HW", 2), ("NTHWC", 3), (None, None)])
def test_axes_tell_the_dimensions_of_arrays(axes, n_dims):
    assert ArrayData(axes=axes).n_dims == n_dims


@pytest.mark.parametrize("axes", ["NN", "nchw", "NC", "N H", ""])
def test_axes_are_different_capital_letters(axes):
    with pytest.raises(ValidationError):
        ArrayData(axes=axes)


def test_data_and_model_must_agree_on_dimensions():
    with pytest.raises(ValidationError, match=r"data\.type signal has 1 dimensions, but n_dims is 3"):
        RunConfig(data={"type": "signal"})


def test_all_errors_come_at_once():
    found = errors(
        data={"clip_length": 0},
        model={"n_codes": 1, "ema_decay": 1.0, "downsample": [2, 0, 2], "attention": {"type": "fulll", "dropout": 1}},
        training={"learning_rate": 0, "batch_size": "many"},
    )
    assert set(found) == {
        "data.video.clip_length",
        "model.n_codes",
        "model.ema_decay",
        "model.downsample.1",
        "model.attention.type",
        "model.attention.dropout",
        "training.learning_rate",
        "training.batch_size",
    }


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize(
    ("section", "name"),
    [("training", "learning_rate"), ("training", "weight_decay"), ("model", "codebook_beta")],
)  # fmt: skip
def test_numbers_are_finite(section, name, value):
    assert set(errors(**{section: {name: value}})) == {f"{section}.{name}"}


def test_plain_values_make_the_same_run_again():
    run = RunConfig(
        data=VideoData(path="clips", clip_stride=4),
        model=ModelConfig(downsample=(1, 3, 5), attention=AttentionConfig(type="full", n_head=3)),
    )
    plain = run.to_dict()
    assert plain["model"]["downsample"] == [1, 3, 5]
    assert plain["data"]["path"] == "clips"
    assert RunConfig.model_validate(plain) == run


@pytest.mark.parametrize(("kind", "rate"), [("adam", 2e-3), ("adamw", 2e-3), ("muon", 3e-2)])
def test_the_learning_rate_that_suits_an_optimizer_is_its_default(kind, rate):
    assert TrainingConfig(optimizer=OptimizerConfig(type=kind)).learning_rate == rate


@pytest.mark.parametrize(("kind", "share"), [("cosine", 0.0), ("linear", 0.0), ("cyclic", 0.1), ("step", 0.1)])
def test_a_schedule_ends_at_nothing_unless_it_multiplies_or_goes_on_from_there(kind, share):
    assert ScheduleConfig(type=kind).final_share == share


def test_what_release_0_1_kept_means_what_it_did_there():
    kept = RunConfig.model_validate(as_kept({"training": {"optimizer": "adamw", "max_epochs": 3}}))
    training = kept.training
    assert (training.optimizer.type, training.learning_rate, training.beta2) == ("adamw", 1e-3, 0.999)
    assert (training.schedule.final_share, training.max_epochs, kept.data.normalise) == (0.1, 3, "pooled")


def test_what_later_releases_kept_stays_as_it_is():
    kept = {"data": {"normalise": "channel"}, "training": {}}
    assert as_kept(kept) == kept


def test_the_optimizer_of_an_earlier_release_is_understood():
    config = RunConfig.model_validate({"training": {"optimizer": "adamw", "weight_decay": 0.1}})
    assert config.training.optimizer.type == "adamw"
    assert RunConfig.model_validate(config.to_dict()) == config
