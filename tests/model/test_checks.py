"""What ``encode`` and ``decode`` refuse; ``forward``, by which models are trained, looks at no value."""

import numpy as np
import pytest
import torch

from ndvq_tune.config import ModelConfig, QuantizerConfig
from ndvq_tune.config.card import Cut, DataCard
from ndvq_tune.errors import InputError, ShapeError
from ndvq_tune.model import NDimVQVAE, build_model

CUT = Cut(length=None, stride=1, step=1, crop=None)


def card(**known: object) -> DataCard:
    """Of images in bytes, if nothing else is said."""
    facts = {
        "type": "image",
        "source": "folder",
        "fingerprint": "a",
        "test_fingerprint": "b",
        "files": 2,
        "train_samples": 1,
        "test_samples": 1,
        "dtype": "uint8",
        "low": 0,
        "high": 255,
        "minimum": 3,
        "maximum": 250,
        "channels": 3,
        "channel_names": (),
        "clip_length": None,
        "resolution": 8,
        "sample_rate": None,
        "frame_rate": None,
        "file_rates": {},
        "train_cut": CUT,
        "test_cut": CUT,
    }
    return DataCard.model_validate(facts | known)


SOUND = card(
    type="signal", dtype="float32", low=-0.5, high=0.5, minimum=-0.5, maximum=0.4, channels=1, sample_rate=8000
)
VOLUME = card(type="array", dtype="float32", low=-1000, high=3000, minimum=-1000, maximum=3000)


def model_of(shape: tuple[int, ...], data: DataCard | None = None, quantizer: str = "ema") -> NDimVQVAE:
    n_dims = len(shape) - 1
    config = ModelConfig(
        n_dims=n_dims,
        downsample=(2,) * n_dims,
        n_codes=16,
        embedding_dim=4,
        n_hiddens=8,
        quantizer=QuantizerConfig(type=quantizer),
    )
    torch.manual_seed(0)
    model = build_model(config, shape, 0.5, 0.04).eval()
    model.data = data
    return model


@pytest.fixture
def images() -> NDimVQVAE:
    return model_of((3, 8, 8), card())


def test_bytes_are_taken_where_the_data_was_stored_in_bytes(images):
    frames = torch.randint(0, 256, (4, 3, 8, 8), dtype=torch.uint8)
    assert torch.equal(images.encode(frames), images.encode(frames / 255))


@pytest.mark.parametrize(
    ("data", "dtype", "what_to_do"),
    [
        (None, torch.uint8, "such as x / 255 for bytes"),
        (card(), torch.int64, r"of which 0 became 0 and 255 became 1: model.data.to_unit\(x\)"),
        (VOLUME, torch.int16, r"was float32, of which -1000 became 0 and 3000 became 1: model.data.to_unit\(x\)"),
    ],
)
def test_other_integers_are_refused_with_what_to_do(data, dtype, what_to_do):
    x = torch.zeros(1, 3, 8, 8, dtype=dtype)
    name = str(dtype).removeprefix("torch.")
    with pytest.raises(InputError, match=rf"^{name} given, but floats in \[0, 1\] are expected; .*{what_to_do}"):
        model_of((3, 8, 8), data).encode(x)


def test_integers_far_outside_of_the_training_range_are_refused_in_their_own_units():
    scan = card(type="array", dtype="int16", low=-1000, high=3000, minimum=-1000, maximum=3000)
    x = torch.full((1, 3, 8, 8), 3000, dtype=torch.int16)
    assert model_of((3, 8, 8), scan).encode(x).shape == (1, 4, 4)
    with pytest.raises(InputError, match=r"values from 3000 to 9000 given, but .* were -1000 to 3000"):
        model_of((3, 8, 8), scan).encode(torch.cat([x, 3 * x]))


def test_what_to_do_is_right(images):
    frames = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.int64)
    assert torch.equal(images.encode(images.data.to_unit(frames)), images.encode(frames / 255))


@pytest.mark.parametrize(
    ("data", "x", "message"),
    [
        (card(), 255 * torch.rand(1, 3, 8, 8), r"values from .* to 25\d.* given, but \[0, 1\] is expected"),
        (card(), 2 * torch.rand(1, 3, 8, 8) - 1, r"values from -0\.9\d* to 0\.9\d* given"),
        (VOLUME, torch.full((1, 3, 8, 8), 40.0), r"-1000 became 0 and 3000 became 1"),
    ],
    ids=["0 to 255", "-1 to 1", "own units"],
)
def test_values_far_outside_of_the_training_range_are_refused(data, x, message):
    with pytest.raises(InputError, match=message):
        model_of((3, 8, 8), data).encode(x)


def test_test_data_may_lie_a_little_outside(images):
    x = torch.rand(1, 3, 8, 8)
    x[0, 0, 0, :2] = torch.tensor([-0.4, 1.4])
    assert images.encode(x).shape == (1, 4, 4)


@pytest.mark.parametrize("loudness", [0.001, 0.1, 0.45, 1.0])
def test_a_waveform_about_0_is_refused_however_quiet_and_right_in_its_own_units(loudness):
    model = model_of((1, 64), SOUND)
    wave = loudness * torch.sin(torch.arange(64.0))[None, None]
    with pytest.raises(InputError, match=r"-0\.5 became 0 and 0\.5 became 1: model.data.to_unit\(x\)"):
        model.encode(wave)
    if loudness < 1:
        assert torch.equal(model.encode(SOUND.to_unit(wave)), model.encode(wave + 0.5))


def test_measurements_may_lie_anywhere_in_the_range():
    """Only of sound is it known that it lies about its silence."""
    table = SOUND.model_copy(update={"sample_rate": None})
    assert model_of((1, 64), table).encode(0.1 * torch.rand(1, 1, 64)).shape == (1, 32)


@pytest.mark.parametrize("data", [None, card()], ids=["no card", "card"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_values_that_are_no_numbers_are_refused_and_their_place_named(data, value):
    x = torch.rand(2, 3, 8, 8)
    x[1, 2, 0, 5] = value
    with pytest.raises(InputError, match=rf"^{value} at index \[1, 2, 0, 5\]; replace such values"):
        model_of((3, 8, 8), data).encode(x)


def test_a_model_that_does_not_know_its_data_takes_any_range():
    assert model_of((3, 8, 8)).encode(255 * torch.rand(1, 3, 8, 8)).shape == (1, 4, 4)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floats_are_converted(images, dtype):
    x = torch.rand(1, 3, 8, 8).to(dtype)
    assert torch.equal(images.encode(x), images.encode(x.float()))


def test_complex_numbers_are_refused(images):
    with pytest.raises(InputError, match="complex64 given; a model takes real numbers"):
        images.encode(torch.zeros(1, 3, 8, 8, dtype=torch.complex64))


def test_an_empty_batch_has_no_codes(images):
    assert images.encode(torch.zeros(0, 3, 8, 8)).shape == (0, 4, 4)


@pytest.mark.parametrize(
    ("shape", "mend"), [((3, 8, 8), r"x\[None\]"), ((2, 8, 8, 3), r"x\.movedim\(-1, 1\)"), ((2, 1, 8, 8), r"\)$")]
)
def test_a_wrong_shape_says_what_to_do(images, shape, mend):
    with pytest.raises(ShapeError, match=rf"shape \(B, 3, S1, S2\), but got .*{mend}"):
        images.encode(torch.zeros(shape))


@pytest.mark.parametrize("quantizer", ["ema", "residual", "simvq", "fsq", "lfq"])
def test_codes_that_are_in_no_codebook_are_refused(quantizer):
    model = model_of((3, 8, 8), quantizer=quantizer)
    codes = model.encode(torch.rand(1, 3, 8, 8))
    last = model.quantizer.n_codes - 1
    assert model.decode(torch.full_like(codes, last)).shape == (1, 3, 8, 8)
    for wrong in (last + 1, -1):
        codes[0, 3, 3] = wrong
        with pytest.raises(InputError, match=rf"codes from .* given, but this model's are 0 to {last}; were they"):
            model.decode(codes)


@pytest.mark.parametrize("dtype", [torch.int32, torch.uint8, torch.int16])
def test_codes_may_be_kept_in_any_type_of_integer(images, dtype):
    codes = images.encode(torch.rand(2, 3, 8, 8))
    assert torch.equal(images.decode(codes.to(dtype)), images.decode(codes))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bool])
def test_codes_that_are_no_integers_are_refused(images, dtype):
    with pytest.raises(InputError, match="given, but encodings are integers, as encode gives them"):
        images.decode(torch.zeros(1, 4, 4, dtype=dtype))


def test_another_number_of_codebooks_is_refused():
    model = model_of((3, 8, 8), quantizer="residual")
    codes = model.encode(torch.rand(1, 3, 8, 8))
    with pytest.raises(ShapeError, match=rf"\(B, \*L, {codes.shape[-1]}\), but got \(1, 4, 4, 1\)"):
        model.decode(codes[..., :1])


def test_training_looks_at_no_value(images):
    recon_loss, _, _ = images(torch.full((1, 3, 8, 8), float("nan")))
    assert recon_loss.isnan()


def test_own_units_come_back():
    values = np.random.default_rng(0).uniform(-1000, 3000, 50)
    assert VOLUME.from_unit(VOLUME.to_unit(values)) == pytest.approx(values)
    assert VOLUME.to_unit(torch.tensor([-1000.0, 1000, 3000])).tolist() == [0, 0.5, 1]
