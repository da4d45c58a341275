from typing import Any

import numpy as np
import pytest
import torch

from ndvq_tune.config import ArrayData, DataConfig, ImageData, SignalData, TorchvisionData, VideoData
from ndvq_tune.data.batches.augment import augmentation
from ndvq_tune.errors import DataError

SIZE = 16


def image(**augment: Any) -> DataConfig:
    return ImageData(resolution=SIZE, augment=augment)


def clip(**augment: Any) -> DataConfig:
    return VideoData(resolution=SIZE, clip_length=4, augment=augment)


def signal(**augment: Any) -> DataConfig:
    return SignalData(window=100, channels=2, augment=augment)


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def apply(config: DataConfig, batch: torch.Tensor, seed: int = 0) -> torch.Tensor:
    change = augmentation(config)
    assert change is not None
    torch.manual_seed(seed)
    return change(batch)


EXAMPLES = [
    (image(RandomHorizontalFlip={}, ColorJitter={"brightness": 0.3, "hue": 0.1}), noise(8, 3, SIZE, SIZE)),
    (image(RandomResizedCrop={"size": SIZE, "scale": [0.5, 1.0]}), noise(8, 3, SIZE, SIZE)),
    (clip(RandomAffine={"degrees": 30}, GaussianNoise={"sigma": 0.3}), noise(4, 3, 4, SIZE, SIZE)),
    (signal(Gain={"db": 12}, Shift={"steps": 20}), noise(8, 2, 100)),
]
EACH = pytest.mark.parametrize(("config", "batch"), EXAMPLES, ids=["flip", "crop", "clip", "signal"])


@pytest.mark.parametrize("config", [image(), signal(), ArrayData()])
def test_off_by_default(config: DataConfig) -> None:
    assert augmentation(config) is None


@EACH
def test_same_seed_same_changes_other_seed_others(config: DataConfig, batch: torch.Tensor) -> None:
    first = apply(config, batch, seed=1)
    assert torch.equal(first, apply(config, batch, seed=1))
    assert not torch.equal(first, apply(config, batch, seed=2))


@EACH
def test_every_sample_has_random_numbers_of_its_own(config: DataConfig, batch: torch.Tensor) -> None:
    same = batch[:1].expand_as(batch).contiguous()
    changed = apply(config, same)
    assert len({sample.numpy().tobytes() for sample in changed}) > 1


@EACH
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shape_type_and_range_stay_and_the_batch_given_is_not_touched(
    config: DataConfig, batch: torch.Tensor, dtype: torch.dtype
) -> None:
    given = batch.to(dtype)
    kept = given.clone()
    changed = apply(config, given)
    assert (changed.shape, changed.dtype) == (given.shape, dtype)
    assert 0 <= changed.min() <= changed.max() <= 1
    assert torch.equal(given, kept)
    assert not torch.equal(changed, given)


@pytest.mark.parametrize(
    ("config", "shape", "memory_format"),
    [
        (image(ColorJitter={"contrast": 0.5}), (4, 3, SIZE, SIZE), torch.channels_last),
        (clip(RandomResizedCrop={"size": SIZE}), (4, 3, 4, SIZE, SIZE), torch.channels_last_3d),
    ],
)
def test_channels_last_stays_and_changes_no_value(
    config: DataConfig, shape: tuple[int, ...], memory_format: torch.memory_format
) -> None:
    batch = noise(*shape)
    changed = apply(config, batch.contiguous(memory_format=memory_format))
    assert changed.is_contiguous(memory_format=memory_format)
    torch.testing.assert_close(changed, apply(config, batch), rtol=0, atol=1e-6, check_stride=False)


def test_frames_of_a_clip_are_changed_alike() -> None:
    frame = noise(1, 3, 1, SIZE, SIZE)
    still = frame.expand(6, 3, 4, SIZE, SIZE).contiguous()
    changed = apply(clip(RandomResizedCrop={"size": SIZE}, ColorJitter={"brightness": 0.5}), still)
    torch.testing.assert_close(changed, changed[:, :, :1].expand_as(changed))
    assert len(torch.unique(changed[:, :, 0].flatten(1), dim=0)) == 6


def test_a_clip_changes_as_its_frames_would_in_a_row() -> None:
    clips = noise(1, 3, 4, SIZE, SIZE)
    as_clip = apply(clip(RandomPerspective={"p": 1.0}), clips)
    frame_by_frame = [apply(image(RandomPerspective={"p": 1.0}), clips[:, :, t]) for t in range(4)]
    torch.testing.assert_close(as_clip, torch.stack(frame_by_frame, dim=2))


@pytest.mark.parametrize(("name", "axis"), [("RandomHorizontalFlip", -1), ("RandomVerticalFlip", -2)])
@pytest.mark.parametrize(
    ("config", "shape"),
    [
        (image, (3, SIZE, SIZE)),
        (clip, (3, 4, SIZE, SIZE)),
        (lambda **augment: ArrayData(axes="NABCDE", augment=augment), (2, 3, 4, 5, 6)),
    ],
)
def test_flips_are_flips(name: str, axis: int, config: Any, shape: tuple[int, ...]) -> None:
    batch = noise(32, *shape)
    assert torch.equal(apply(config(**{name: {"p": 1.0}}), batch), batch.flip(axis))
    half = apply(config(**{name: {"p": 0.5}}), batch)
    flipped = [torch.equal(after, before.flip(axis)) for before, after in zip(batch, half, strict=True)]
    left = [torch.equal(after, before) for before, after in zip(batch, half, strict=True)]
    assert all(one != other for one, other in zip(flipped, left, strict=True))
    assert 4 < sum(flipped) < 28


def test_changes_come_in_the_order_given() -> None:
    batch = noise(2, 3, SIZE, SIZE)
    invert, solarize = {"p": 1.0}, {"p": 1.0, "threshold": 0.7}
    invert_first = apply(image(RandomInvert=invert, RandomSolarize=solarize), batch)
    torch.testing.assert_close(invert_first, torch.where(1 - batch >= 0.7, batch, 1 - batch))
    solarize_first = apply(image(RandomSolarize=solarize, RandomInvert=invert), batch)
    torch.testing.assert_close(solarize_first, torch.where(batch >= 0.7, batch, 1 - batch))


def test_values_that_leave_the_range_are_clipped() -> None:
    batch = noise(2, 3, SIZE, SIZE)
    changed = apply(image(Normalize={"mean": [0.5], "std": [0.25]}), batch)
    torch.testing.assert_close(changed, ((batch - 0.5) / 0.25).clamp(0, 1))


def test_gain_scales_about_the_middle_by_uniform_decibels() -> None:
    batch = 0.5 + 0.05 * (2 * noise(2000, 2, 100) - 1)
    changed = apply(signal(Gain={"db": 12}), batch)
    factors = ((changed - 0.5) * (batch - 0.5)).sum((1, 2)) / (batch - 0.5).square().sum((1, 2))
    torch.testing.assert_close(changed, 0.5 + factors[:, None, None] * (batch - 0.5), rtol=0, atol=1e-6)
    db = np.sort(20 * np.log10(factors.numpy()))
    assert np.abs(db).max() <= 12.001
    # The largest distance from a uniform distribution's is under 1.95 / sqrt(n), but for one time in a thousand.
    assert np.abs(np.arange(2000) / 2000 - (db + 12) / 24).max() < 1.95 / 2000**0.5


def test_gain_leaves_silence_alone_and_clips_what_is_too_loud() -> None:
    assert torch.equal(apply(signal(Gain={"db": 40}), torch.full((8, 2, 100), 0.5)), torch.full((8, 2, 100), 0.5))
    loud = apply(signal(Gain={"db": 40}), noise(8, 2, 100).round())
    assert loud.min() == 0
    assert loud.max() == 1


@pytest.mark.parametrize("steps", [0, 1, 7, 250])
def test_shift_rolls_all_channels_alike_by_every_number_of_steps(steps: int) -> None:
    batch = torch.arange(200.0).reshape(1, 2, 100).expand(400, 2, 100) / 200
    changed = apply(signal(Shift={"steps": steps}), batch)
    shifts = (-changed[:, 0, 0] * 200).round().long() % 100
    for before, after, shift in zip(batch, changed, shifts.tolist(), strict=True):
        assert torch.equal(after, before.roll(shift, dims=-1))
    if steps < 50:
        assert set(shifts.tolist()) == {shift % 100 for shift in range(-steps, steps + 1)}


@pytest.mark.parametrize(
    "config",
    [
        ImageData(resolution=SIZE, channels=1, augment={"RandomRotation": {"degrees": 20}}),
        TorchvisionData(name="CIFAR10", resolution=SIZE, augment={"RandomCrop": {"size": SIZE, "padding": 2}}),
        SignalData(window=100, augment={"Gain": {"db": 3}}),
        ArrayData(axes="NL", augment={"Shift": {"steps": 3}}),
        ArrayData(augment={"RandomErasing": {}}),
    ],
)
def test_checking_leaves_the_generator_as_it_was(config: DataConfig) -> None:
    torch.manual_seed(3)
    assert augmentation(config) is not None
    checked = torch.rand(3)
    torch.manual_seed(3)
    assert torch.equal(checked, torch.rand(3))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (image(RandomHorizontalFlop={}), "'RandomHorizontalFlop' given; did you mean 'RandomHorizontalFlip'"),
        (signal(Gian={}), "'Gian' given; did you mean 'Gain'"),
        (image(InterpolationMode={}), "'InterpolationMode' given"),
        (image(ColorJitter={"brightnes": 1}), "ColorJitter: .*unexpected keyword argument 'brightnes'"),
        (image(ColorJitter={"brightness": -1}), "ColorJitter: .*non negative"),
        (image(RandomResizedCrop={}), "RandomResizedCrop: .*'size'"),
        (image(Transform={}), "Transform: NotImplementedError"),
        (image(CutMix={"num_classes": 2}), "CutMix: labels"),
        (image(RandomApply={"transforms": ["RandomInvert"]}), "RandomApply: 'str' object is not callable"),
        (ImageData(channels=4, augment={"ColorJitter": {"hue": 0.1}}), "ColorJitter: .*1 or 3, but found 4"),
        (image(Resize={"size": 8}), r"Resize makes \(3, 8, 8\) torch.float32 of \(3, 16, 16\) torch.float32"),
        (clip(UniformTemporalSubsample={"num_samples": 2}), r"UniformTemporalSubsample makes \(2, 3, 16, 16\)"),
        (image(FiveCrop={"size": 16}), "FiveCrop makes tuple"),
        (image(Gain={"db": 3}), "Gain is for samples of 1 dimension; these have 2"),
        (signal(RandomInvert={}), "RandomInvert is for samples of 2 dimensions or more; these have 1"),
        (signal(Gain={"db": -3}), "Gain: db: -3 given; needs a number of decibels, 0 or more"),
        (signal(Gain={"db": float("inf")}), "Gain: db: inf given"),
        (signal(Gain={"db": "loud"}), "Gain: must be real number, not str"),
        (signal(Gain={}), "Gain: .*'db'"),
        (signal(Shift={"steps": 1.5}), "Shift: steps: 1.5 given; needs a whole number of steps, 0 or more"),
        (signal(Shift={"steps": -1}), "Shift: steps: -1 given"),
    ],
)
def test_what_cannot_be_done_is_said_at_once(config: DataConfig, message: str) -> None:
    with pytest.raises(DataError, match=f"^data.augment: {message}"):
        augmentation(config)


@pytest.mark.parametrize(
    ("augment", "shape", "message"),
    [
        ({"Gain": {"db": 3}}, (2, 1, 8, 8), "Gain is for samples of 1 dimension; these have 2"),
        ({"RandomInvert": {}}, (2, 1, 8), "RandomInvert is for samples of 2 dimensions or more; these have 1"),
        ({"Pad": {"padding": 1}}, (2, 1, 8, 8), r"Pad makes \(1, 10, 10\)"),
    ],
)
def test_what_only_the_arrays_can_tell_is_said_at_the_first_batch(
    augment: dict[str, Any], shape: tuple[int, ...], message: str
) -> None:
    change = augmentation(ArrayData(augment=augment))
    assert change is not None
    with pytest.raises(DataError, match=f"^data.augment: {message}"):
        change(noise(*shape))
