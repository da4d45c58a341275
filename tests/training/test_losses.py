import itertools

import numpy as np
import pytest
import torch
from scipy import signal

from ndvq_tune.config import LossConfig
from ndvq_tune.errors import ShapeError
from ndvq_tune.model import NDimVQVAE
from ndvq_tune.training.losses import reconstruction_loss

VARIANCE = 0.04
TYPES = ("l2", "l1", "smooth_l1")
SPECTRAL, SSIM = LossConfig(spectral_weight=1), LossConfig(ssim_weight=1)
SIGNAL, IMAGES, CLIPS = (2, 2, 40), (2, 3, 12, 13), (2, 1, 3, 12, 7)
CASES = [
    *((LossConfig(type=name), IMAGES) for name in TYPES),
    (SPECTRAL, SIGNAL),
    (SSIM, IMAGES),
    (SSIM, CLIPS),
]


def pair(shape: tuple[int, ...], dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    """A reconstruction and data in [0, 1]."""
    x = torch.rand(shape, dtype=dtype)
    return x + 0.2 * torch.randn(shape, dtype=dtype), x


def added(config: LossConfig, x_recon: torch.Tensor, x: torch.Tensor, variance: float = VARIANCE) -> float:
    """What the terms beside the pointwise one add."""
    pointwise = reconstruction_loss(x_recon, x, LossConfig(type=config.type), variance)
    return (reconstruction_loss(x_recon, x, config, variance) - pointwise).item()


def test_pointwise_terms_are_those_of_errors_in_standard_deviations():
    x_recon, x = pair(IMAGES)
    error = (x_recon - x).numpy() / np.sqrt(VARIANCE)
    huber = np.where(np.abs(error) < 1, error**2 / 2, np.abs(error) - 0.5)
    expected = {"l2": (error**2).mean(), "l1": np.abs(error).mean(), "smooth_l1": huber.mean()}
    measured = {name: reconstruction_loss(x_recon, x, LossConfig(type=name), VARIANCE).item() for name in TYPES}
    assert measured == pytest.approx(expected)


@pytest.mark.parametrize("variance", [VARIANCE, (0.04, 0.01, 0.09)])
def test_l2_is_the_models_own_loss(variance):
    model = NDimVQVAE(4, 8, 2, (2, 2), 4, 1, 0.25, (3, 12, 13), data_mean=0.5, data_variance=variance)
    x = pair(IMAGES, torch.float32)[1]
    recon_loss, x_recon, _ = model(x)
    assert torch.equal(reconstruction_loss(x_recon, x, LossConfig(), model.data_variance), recon_loss)


def test_pointwise_terms_are_means_over_channels_each_in_its_own_standard_deviations():
    x_recon, x = pair(IMAGES)
    variances = np.array([0.04, 0.0004, 1.0])
    error = (x_recon - x).numpy() / np.sqrt(variances)[:, None, None]
    huber = np.where(np.abs(error) < 1, error**2 / 2, np.abs(error) - 0.5)
    expected = {"l2": (error**2).mean(), "l1": np.abs(error).mean(), "smooth_l1": huber.mean()}
    variance = torch.from_numpy(variances)[:, None, None]
    measured = {name: reconstruction_loss(x_recon, x, LossConfig(type=name), variance).item() for name in TYPES}
    assert measured == pytest.approx(expected)


def test_spectral_term_hears_a_quiet_channel_as_well_as_a_loud_one():
    loudness = torch.tensor([1.0, 0.01], dtype=torch.float64)[:, None]
    x_recon, x = pair(SIGNAL)
    both = reconstruction_loss(x_recon * loudness, x * loudness, SPECTRAL, VARIANCE * loudness**2)
    assert both.item() == pytest.approx(reconstruction_loss(x_recon, x, SPECTRAL, VARIANCE).item())


@pytest.mark.parametrize(
    ("length", "fft_sizes"),
    [(1, [1]), (16, [16]), (31, [31]), (32, [32]), (600, [512, 128, 32]), (2050, [2048, 512, 128, 32])],
)
def test_spectral_term_agrees_with_scipy(length, fft_sizes):
    x_recon, x = pair((2, 2, length))

    def magnitudes(y: torch.Tensor, n_fft: int) -> np.ndarray:
        standard = (y - x.mean(dim=-1, keepdim=True)).numpy() / np.sqrt(VARIANCE)
        window = signal.get_window("hann", n_fft)
        hop = max(1, n_fft // 4)
        spectrum = signal.stft(
            standard, window=window, nperseg=n_fft, noverlap=n_fft - hop, boundary="even", padded=False
        )[2]
        return np.sqrt(np.abs(spectrum * window.sum()) ** 2 / (window**2).sum() + 1e-6)

    losses = []
    for n_fft in fft_sizes:
        recon, data = magnitudes(x_recon, n_fft), magnitudes(x, n_fft)
        convergence = np.linalg.norm((data - recon).ravel()) / np.linalg.norm(data.ravel())
        losses.append(convergence + np.abs(np.log(data) - np.log(recon)).mean())
    assert added(SPECTRAL, x_recon, x) == pytest.approx(np.mean(losses))


@pytest.mark.parametrize("shape", [(1, 2, 13, 15), (1, 1, 2, 12, 11), (2, 1, 8, 14), (1, 1, 1, 1)])
def test_ssim_term_agrees_with_a_loop_over_windows(shape):
    x_recon, x = pair(shape)
    height, width = shape[-2:]
    rows, columns = min(11, height), min(11, width)
    weights = np.outer(signal.windows.gaussian(rows, 1.5), signal.windows.gaussian(columns, 1.5))
    weights /= weights.sum()
    similarities = []
    for a, b in zip(x_recon.flatten(0, -3).numpy(), x.flatten(0, -3).numpy(), strict=True):
        for top, left in itertools.product(range(height - rows + 1), range(width - columns + 1)):
            p, q = (image[top : top + rows, left : left + columns] for image in (a, b))
            mean_p, mean_q = (weights * p).sum(), (weights * q).sum()
            p, q = p - mean_p, q - mean_q
            luminance = (2 * mean_p * mean_q + 1e-4) / (mean_p**2 + mean_q**2 + 1e-4)
            structure = (2 * (weights * p * q).sum() + 9e-4) / ((weights * (p**2 + q**2)).sum() + 9e-4)
            similarities.append(luminance * structure)
    assert added(SSIM, x_recon, x) == pytest.approx(1 - np.mean(similarities))


@pytest.mark.parametrize(("config", "shape"), CASES)
def test_gradients_agree_with_differences(config, shape):
    x_recon, x = pair(shape)
    assert torch.autograd.gradcheck(
        lambda y: reconstruction_loss(y, x, config, VARIANCE), x_recon.requires_grad_(), fast_mode=True
    )


@pytest.mark.parametrize("value", [None, 0.0, 0.5, 1.0], ids=["noise", "zeros", "grey", "ones"])
@pytest.mark.parametrize(("config", "shape"), CASES)
def test_what_is_reconstructed_exactly_costs_nothing_and_pulls_nowhere(config, shape, value):
    x = torch.rand(shape) if value is None else torch.full(shape, value)
    x_recon = x.clone().requires_grad_()
    loss = reconstruction_loss(x_recon, x, config, VARIANCE)
    loss.backward()
    assert loss.item() == 0
    torch.testing.assert_close(x_recon.grad, torch.zeros(shape), atol=1e-5, rtol=0)


@pytest.mark.parametrize("silent", ["data", "reconstruction"])
def test_spectral_term_of_silence_is_finite(silent):
    noise, silence = torch.rand(SIGNAL), torch.full(SIGNAL, 0.5)
    x_recon, x = (noise, silence) if silent == "data" else (silence, noise)
    x_recon.requires_grad_()
    loss = reconstruction_loss(x_recon, x, SPECTRAL, VARIANCE)
    loss.backward()
    assert loss.isfinite()
    assert x_recon.grad.isfinite().all()


@pytest.mark.parametrize("config", [*(LossConfig(type=name) for name in TYPES), SPECTRAL])
def test_units_and_offset_of_the_data_do_not_matter(config):
    x_recon, x = pair(SIGNAL)
    loss = reconstruction_loss(x_recon, x, config, VARIANCE).item()
    scaled = reconstruction_loss(x_recon * 255 + 7, x * 255 + 7, config, torch.tensor(VARIANCE * 255**2).double())
    assert scaled.item() == pytest.approx(loss)


@pytest.mark.parametrize(("key", "shape"), [("spectral_weight", SIGNAL), ("ssim_weight", IMAGES)])
def test_weights_add_up(key, shape):
    x_recon, x = pair(shape)
    pointwise = reconstruction_loss(x_recon, x, LossConfig(type="l1"), VARIANCE).item()
    term = added(LossConfig(**{key: 1}), x_recon, x)
    config = LossConfig(type="l1", recon_loss_factor=3, **{key: 0.5})
    assert reconstruction_loss(x_recon, x, config, VARIANCE).item() == pytest.approx(3 * (pointwise + 0.5 * term))


@pytest.mark.parametrize(
    ("key", "shape", "allowed"),
    [
        ("spectral_weight", IMAGES, r"1-dimensional data \(B, C, L\)"),
        ("spectral_weight", CLIPS, r"1-dimensional data \(B, C, L\)"),
        ("ssim_weight", SIGNAL, r"images \(B, C, H, W\) or \(B, C, T, H, W\)"),
    ],
)
def test_a_term_that_the_data_does_not_allow_names_its_key(key, shape, allowed):
    with pytest.raises(ShapeError, match=rf"training\.loss\.{key} is for {allowed}; it must be 0"):
        reconstruction_loss(*pair(shape), LossConfig(**{key: 0.1}), VARIANCE)


@pytest.mark.parametrize(("config", "shape"), CASES)
def test_autocast_changes_nothing(config, shape):
    x_recon, x = pair(shape, torch.float32)
    expected = reconstruction_loss(x_recon, x, config, VARIANCE)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(reconstruction_loss(x_recon, x, config, VARIANCE), expected)
    half = reconstruction_loss(x_recon.bfloat16(), x, config, VARIANCE)
    assert torch.equal(half, reconstruction_loss(x_recon.bfloat16().float(), x, config, VARIANCE))
