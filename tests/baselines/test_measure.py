import io
import math
from types import SimpleNamespace

import av
import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from ndvq_tune.baselines.codec import Codec
from ndvq_tune.baselines.images import image_codecs
from ndvq_tune.baselines.measure import POSITIONS, at_rate, baselines, codecs_for, spread
from ndvq_tune.baselines.resampling import resampled
from ndvq_tune.baselines.videos import H264
from ndvq_tune.config import ArrayData, ImageData, ModelConfig, RunConfig, SignalData, TorchvisionData, VideoData
from ndvq_tune.data.batches.samples import SampleSet, Scale, Window
from ndvq_tune.data.dataset import Dataset, open_dataset
from ndvq_tune.model.statistics import broadcast
from ndvq_tune.training.evaluation import evaluate
from tests.baselines.picture_examples import photographs, saved, shown
from tests.training import training_examples


def pictures(channels: int, count: int = 5) -> Dataset:
    """Images of bytes, those for training another draw than those for testing."""
    both = np.rint(255 * photographs(channels, 2 * count)).astype(np.uint8).transpose(0, 2, 3, 1)
    train, test = (SampleSet([part], Window(), Scale(0, 255)) for part in (both[:count], both[count:]))
    values = both[:count] / 255.0
    mean, variance = (tuple(stat.tolist()) for stat in (values.mean((0, 1, 2)), values.var((0, 1, 2))))
    return Dataset(train, test, mean, variance, float(values.var()), {}, files=2)


def images(channels: int, **model) -> RunConfig:
    return RunConfig(data=ImageData(channels=channels), model=ModelConfig(n_dims=2, **model))


def pixels_of(data: Dataset) -> np.ndarray:
    return data.test[:].numpy().astype(np.float64) / 255


def numpy_loss(x_recon: np.ndarray, data: Dataset) -> float:
    errors = np.square(x_recon - pixels_of(data)).reshape(*pixels_of(data).shape[:2], -1).mean((0, 2))
    return float((errors / np.array(data.variance)).mean())


def by_name(found) -> dict[str, tuple[float, float | None]]:
    return {item.name: (item.recon_loss, item.bits_per_element) for item in found}


class Stands(nn.Module):
    """Stands in for a model: gives back what a plain method makes of its input."""

    def __init__(self, data: Dataset, reconstruct) -> None:
        super().__init__()
        self.quantizer, self.reconstruct = SimpleNamespace(n_codes=2, n_codebooks=1), reconstruct
        self.input_shape, self.latent_shape = data.test.shape, (1,)
        self.register_buffer("data_mean", torch.tensor(0.0))
        self.register_buffer("data_variance", broadcast(data.variance, data.test.shape))

    def forward(self, x):
        output = {"commitment_loss": torch.tensor(0.0), "counts": torch.ones(1, 2)}
        return torch.tensor(0.0), self.reconstruct(x), output


@pytest.mark.parametrize("channels", [1, 3])
def test_mean_and_bicubic_agree_with_numpy_and_pillow(channels):
    data = pictures(channels)
    found = by_name(baselines(data, images(channels, downsample=(2, 2))))
    mean = np.broadcast_to(np.array(data.mean)[:, None, None], pixels_of(data).shape)
    assert found["mean"] == (pytest.approx(numpy_loss(mean, data), rel=1e-5), None)

    def there_and_back(channel: np.ndarray) -> np.ndarray:
        picture = Image.fromarray(channel.astype(np.float32))
        small = picture.resize((picture.width // 2, picture.height // 2), Image.Resampling.BICUBIC)
        return np.asarray(small.resize(picture.size, Image.Resampling.BICUBIC))

    bicubic = np.array([[there_and_back(channel) for channel in image] for image in pixels_of(data)])
    assert found["bicubic"] == (pytest.approx(numpy_loss(bicubic, data), rel=1e-4), None)


def test_the_mean_of_the_training_data_on_the_training_data_itself_has_a_loss_of_1():
    data = pictures(3)
    same = Dataset(data.train, data.train, data.mean, data.variance, data.pooled_variance, {}, files=2)
    assert by_name(baselines(same, images(3)))["mean"][0] == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize("normalise", ["channel", "pooled"])
def test_a_model_that_did_the_same_would_be_measured_the_same(normalise):
    data = pictures(3)
    if normalise == "pooled":
        data = Dataset(data.train, data.test, 0.5, data.pooled_variance, data.pooled_variance, {}, files=2)
    found = by_name(baselines(data, images(3, downsample=(2, 2), n_codes=1024)))
    (jpeg, *_), shape = image_codecs(), data.test.shape
    grid = (math.ceil(shape[1] / 2), math.ceil(shape[2] / 2))
    quality = next(
        q for q in jpeg.settings if jpeg.code(pixels_of(data).astype(np.float32), q)[0] == bits_of(found, data)
    )
    doers = {
        "mean": lambda x: broadcast(data.mean, shape).expand_as(x),
        "bicubic": lambda x: resampled(x, grid),
        "JPEG": lambda x: torch.from_numpy(jpeg.code(x.numpy(), quality)[1]),
    }
    for name, reconstruct in doers.items():
        measured = evaluate(Stands(data, reconstruct), data, batch_size=2).metrics["recon_loss"]
        assert found[name][0] == pytest.approx(measured, rel=1e-6)


def bits_of(found, data: Dataset) -> int:
    _, height, width = data.test.shape
    return round(found["JPEG"][1] * len(data.test) * height * width)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_codec_has_the_highest_quality_within_the_bits_of_the_model(channels):
    data, budget = pictures(channels), 2.5  # 10 bits for 2 x 2 pixels
    found = by_name(baselines(data, images(channels, downsample=(2, 2), n_codes=1024)))
    x = pixels_of(data)
    for codec, kind in zip(image_codecs(), ("JPEG", "WEBP"), strict=True):
        rates = {q: codec.code(x.astype(np.float32), q)[0] / x[:, 0].size for q in codec.settings}
        best = max(q for q, rate in rates.items() if rate <= budget)
        assert 1 < best < 100
        decoded = np.array([shown(saved(picture, kind, best), channels) for picture in x])
        expected = numpy_loss(decoded, data), rates[best]
        assert found[codec.name] == pytest.approx(expected, rel=1e-5)


def test_a_codec_that_cannot_go_so_low_is_shown_at_its_lowest_with_the_bits_that_it_takes():
    data = pictures(3)
    for codec in image_codecs():
        found = at_rate(codec, data, 1e-3)
        bits, decoded = codec.code(pixels_of(data).astype(np.float32), 1)
        assert found.bits_per_element == pytest.approx(bits / pixels_of(data)[:, 0].size)
        assert found.bits_per_element > 1e-3
        assert found.recon_loss == pytest.approx(numpy_loss(decoded, data), rel=1e-5)


def test_clips_are_compared_with_trilinear_interpolation_and_h264():
    data = training_examples.dataset()
    config = training_examples.config()
    found = by_name(baselines(data, config))
    assert [*found] == ["mean", "trilinear", "H.264"]
    x = training_examples.floats(data.test)
    # downsample is (1, 2, 2)
    expected = nn.functional.interpolate(nn.functional.avg_pool3d(x, (1, 2, 2)), x.shape[2:], mode="trilinear")
    assert found["trilinear"][0] == pytest.approx(numpy_loss(expected.double().numpy(), data), rel=1e-4)
    loss, bits = found["H.264"]
    decoded = [H264.code(x.numpy(), setting) for setting in H264.settings]
    assert (loss, bits) in [
        (pytest.approx(numpy_loss(x_recon, data), rel=1e-4), pytest.approx(size / x[:, 0].numel()))
        for size, x_recon in decoded
    ]
    assert bits <= 1.0 or bits == min(size for size, _ in decoded) / x[:, 0].numel()  # 16 codes for 2 x 2 pixels


def test_the_sample_sound_is_compared_with_opus(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NDVQ_TUNE_CACHE", str(tmp_path / "cache"))
    data = SignalData(window=512)
    config = RunConfig(data=data, model=ModelConfig(n_dims=1, n_codes=256, downsample=(8,)))
    found = by_name(baselines(open_dataset(data), config))
    assert [*found] == ["mean", "linear", "Opus"]
    loss, bits = found["Opus"]
    assert 0.7 < bits <= 1.0
    assert loss < found["linear"][0] < found["mean"][0]


def test_no_codec_is_asked_for_what_is_no_picture_and_no_sound():
    assert codecs_for(SignalData(), (1, 8), sample_rate=None) == ()
    assert codecs_for(SignalData(columns=("x", "y")), (2, 8), sample_rate=8000.0) == ()
    assert codecs_for(SignalData(channels=3), (3, 8), sample_rate=8000.0) == ()
    assert codecs_for(ArrayData(), (3, 8, 8)) == ()
    assert codecs_for(ArrayData(), (16, 8, 8)) == ()
    assert codecs_for(ImageData(channels=4), (4, 8, 8)) == ()


def test_data_sets_of_torchvision_are_pictures_and_films():
    pictures_of = codecs_for(TorchvisionData(name="MNIST", channels=1), (1, 28, 28))
    assert [codec.name for codec in pictures_of] == ["JPEG", "WebP"]
    assert codecs_for(TorchvisionData(name="UCF101", clip_length=8), (3, 8, 64, 64)) == (H264,)
    assert codecs_for(VideoData(channels=1), (1, 16, 64, 64)) == (H264,)
    assert codecs_for(SignalData(channels=2), (2, 512), sample_rate=8000.0)[0].name == "Opus"


def not_there(samples, setting):
    av.CodecContext.create("no such codec", "w")


def not_of_such_a_size(samples, setting):
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.framerate = 7, 7, "yuv420p", 25
    encoder.open()


def not_for_such_samples(samples, setting):
    Image.new("F", (8, 8)).save(io.BytesIO(), "JPEG")


@pytest.mark.parametrize("code", [not_there, not_of_such_a_size, not_for_such_samples])
def test_a_codec_that_cannot_be_had_is_left_out(code):
    assert at_rate(Codec("H.264", [1, 2, 3], code), pictures(3), 1.0) is None


def test_an_error_of_our_own_is_not_taken_for_a_missing_codec():
    def wrong(samples, setting):
        raise ValueError("a mistake")

    with pytest.raises(ValueError, match="a mistake"):
        at_rate(Codec("H.264", [1, 2, 3], wrong), pictures(3), 1.0)


@pytest.mark.parametrize(("joins", "expected"), [(False, 1), (True, 8)])
def test_codecs_get_about_a_million_positions_spread_over_the_test_samples(joins, expected):
    """Signals whose value is their number."""
    length = 2**14
    steps = np.repeat(np.arange(200, dtype=np.uint8), length)[:, None]
    samples = SampleSet([steps], Window(length, length), Scale(0, 255))
    data = Dataset(samples, samples, 0.5, 0.1, 0.1, {}, files=2)
    seen = []

    def code(x, setting):
        seen.append(np.rint(255 * x[:, 0, 0]).astype(int))
        return 1, x

    at_rate(Codec("any", [1], code, joins), data, 1.0)
    assert len(seen[0]) * length == POSITIONS
    assert (seen[0][0], seen[0][-1]) == (0, 199)
    breaks = np.diff(seen[0]) > 1
    assert breaks.sum() == (63 if not joins else 7)
    assert np.diff(np.flatnonzero(breaks)).tolist() == [expected] * (breaks.sum() - 1)


@pytest.mark.parametrize(("total", "most"), [(5, 8), (8, 8)])
def test_few_samples_are_all_taken(total, most):
    assert spread(total, most).tolist() == spread(total, most, runs=8).tolist() == list(range(total))
    assert spread(9, 8, runs=8).tolist() == spread(9, 8).tolist()
    assert len(set(spread(17, 16, runs=8).tolist())) == 16
