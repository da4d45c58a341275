import numpy as np
import pytest
import torch
from scipy import signal

from ndvq_tune.config import ImageData, LossConfig, ModelConfig, RunConfig, TrainingConfig
from ndvq_tune.data.batches.samples import SampleSet, Scale, Window
from ndvq_tune.data.dataset import Dataset
from ndvq_tune.errors import ShapeError
from ndvq_tune.training.image_quality import frame_similarities
from ndvq_tune.training.loop import Training
from ndvq_tune.training.losses import reconstruction_loss
from tests.training.training_examples import config, dataset, floats

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
WINDOW = np.outer(signal.windows.gaussian(11, 1.5), signal.windows.gaussian(11, 1.5))
BOTH = ("ssim", "ms_ssim")


def pair(shape: tuple[int, ...], noise: float = 0.1) -> tuple[torch.Tensor, torch.Tensor]:
    """A reconstruction, in places beyond [0, 1], and smooth data."""
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(shape, generator=generator, dtype=torch.float64)
    x = torch.nn.functional.avg_pool2d(x.flatten(0, -3), 5, 1, 2).reshape(shape)
    return x + noise * torch.randn(shape, generator=generator, dtype=torch.float64), x


def terms(p: np.ndarray, q: np.ndarray) -> tuple[float, float]:
    """Mean SSIM, and mean of contrast and structure alone, over the windows inside two images (Wang et al., 2004)."""

    def mean(image: np.ndarray) -> np.ndarray:
        return signal.convolve2d(image, WINDOW / WINDOW.sum(), mode="valid")

    mean_p, mean_q = mean(p), mean(q)
    luminance = (2 * mean_p * mean_q + 0.01**2) / (mean_p**2 + mean_q**2 + 0.01**2)
    contrast = 2 * (mean(p * q) - mean_p * mean_q) + 0.03**2
    contrast /= mean(p * p) - mean_p**2 + mean(q * q) - mean_q**2 + 0.03**2
    return (luminance * contrast).mean(), contrast.mean()


def halved(images: np.ndarray) -> np.ndarray:
    """Means of 2 x 2 pixels; a last row or column that is alone is left out."""
    height, width = (2 * (size // 2) for size in images.shape[-2:])
    even = images[:, :height, :width]
    return (even[:, ::2, ::2] + even[:, 1::2, ::2] + even[:, ::2, 1::2] + even[:, 1::2, 1::2]) / 4


def ms_ssim(p: np.ndarray, q: np.ndarray) -> float:
    """MS-SSIM of an image ``(C, H, W)`` (Wang et al., 2003, eq. 7)."""
    product = 1.0
    for scale, weight in enumerate(WEIGHTS):
        whole, contrast = np.mean([terms(*channels) for channels in zip(p, q, strict=True)], axis=0)
        product *= max(0, whole if scale == 4 else contrast) ** weight
        p, q = halved(p), halved(q)
    return product


@pytest.mark.parametrize("shape", [(2, 3, 13, 17), (2, 1, 11, 11), (2, 3, 4, 12, 14)])
def test_ssim_agrees_with_numpy_and_is_one_minus_the_loss(shape):
    x_recon, x = pair(shape)
    images = zip(*(y.movedim(1, -3).flatten(0, -4).numpy() for y in (x_recon, x)), strict=True)
    expected = [np.mean([terms(*channels)[0] for channels in zip(p, q, strict=True)]) for p, q in images]
    measured = frame_similarities("ssim", x_recon, x)
    assert measured.tolist() == pytest.approx(expected)
    loss = reconstruction_loss(x_recon, x, LossConfig(ssim_weight=1), 1.0) - (x_recon - x).square().mean()
    assert measured.mean().item() == pytest.approx(1 - loss.item())


@pytest.mark.parametrize("shape", [(2, 3, 176, 176), (1, 2, 2, 177, 191)])
def test_ms_ssim_agrees_with_the_formula_of_the_paper(shape):
    x_recon, x = pair(shape)
    images = zip(*(y.movedim(1, -3).flatten(0, -4).numpy() for y in (x_recon, x)), strict=True)
    expected = [ms_ssim(p, q) for p, q in images]
    assert frame_similarities("ms_ssim", x_recon, x).tolist() == pytest.approx(expected)
    assert frame_similarities("ms_ssim", x_recon.float(), x.float()).tolist() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("name", BOTH)
def test_what_is_equal_has_one_and_what_is_inverted_has_less_than_none_or_none(name):
    _, x = pair((1, 1, 176, 176))
    assert frame_similarities(name, x, x).item() == pytest.approx(1)
    assert frame_similarities(name, 1 - x, x).item() <= 0
    assert frame_similarities(name, torch.full_like(x, torch.nan), x).isnan().all()


def images(count: int, size: int, seed: int = 0) -> SampleSet:
    pixels = np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), dtype=np.uint8)
    return SampleSet([pixels], Window(), Scale(0, 255))


def training_on(size: int, **settings) -> Training:
    data = Dataset(images(4, size), images(5, size, 1), 0.5, 1 / 12, 1 / 12, {}, 1)
    model = ModelConfig(n_dims=2, n_codes=8, embedding_dim=2, downsample=(4, 4), n_hiddens=4, n_res_layers=1)
    return Training(
        RunConfig(data=ImageData(resolution=size), model=model, training=TrainingConfig(batch_size=2, **settings)), data
    )


def test_a_report_has_what_was_asked_for_as_a_mean_over_all_images():
    training = training_on(32, validation_metrics=("ssim",))
    report = training.run_epoch()
    assert "ms_ssim" not in report
    x = floats(training.dataset.test)
    training.model.eval()
    with torch.no_grad():
        similarities = frame_similarities("ssim", training.model(x)[1], x)
    assert report["ssim"] == pytest.approx(similarities.double().mean().item(), rel=1e-5)
    assert "ssim" not in training_on(32).run_epoch()


def test_all_frames_of_clips_count_alike():
    training = Training(config(validation_metrics=("ssim",)), dataset(size=12))
    report = training.run_epoch()
    x = floats(training.dataset.test)
    training.model.eval()
    with torch.no_grad():
        frames = zip(training.model(x)[1].unbind(2), x.unbind(2), strict=True)
    each = [frame_similarities("ssim", *pair).double().mean().item() for pair in frames]
    assert report["ssim"] == pytest.approx(np.mean(each), rel=1e-5)


def test_samples_that_are_too_small_are_refused_before_anything_is_trained():
    with pytest.raises(ShapeError, match=r"training\.validation_metrics: ms_ssim needs .* 176 x 176 .* have 32 x 32"):
        training_on(32, validation_metrics=BOTH)
