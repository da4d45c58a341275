import math

import pytest

from ndvq_tune.metrics import METRICS, bits_per_element, misfit, psnr


def test_rate_of_fixed_length_codes():
    """1,024 codes on 8 x 32 x 32 latents of a clip of 16 x 64 x 64: VideoGPT's 1.25 bits a pixel."""
    assert bits_per_element(math.log2(1024), 8 * 32 * 32, 16 * 64 * 64) == 1.25


def test_rate_of_codes_in_use():
    """CIFAR-10 at 8 x 8 latents with a perplexity of 326: Sonnet's VQ-VAE."""
    assert bits_per_element(math.log2(326), 64, 1024) == pytest.approx(0.5218, abs=1e-4)


@pytest.mark.parametrize(("mse", "decibel"), [(1.0, 0.0), (0.1, 10.0), (0.25, 6.0206), (1e-4, 40.0), (0.0, math.inf)])
def test_psnr_of_data_between_zero_and_one(mse, decibel):
    assert psnr(mse) == pytest.approx(decibel, abs=1e-4)


def test_psnr_of_nan_is_nan():
    assert math.isnan(psnr(math.nan))


def test_metrics_are_declared_under_their_own_names():
    assert all(name == metric.name for name, metric in METRICS.items())
    assert {name for name, metric in METRICS.items() if metric.mode == "max"} == {
        "psnr", "ssim", "ms_ssim", "perplexity", "codebook_usage", "samples_per_second",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "shape", "reason"),
    [
        ("psnr", (1, 4), None),
        ("ssim", (3, 11, 11), None),
        ("ssim", (3, 16, 11, 64), None),
        ("ssim", (3, 16, 64, 10), "ssim needs images or frames of at least 11 x 11 pixels; these have 64 x 10"),
        ("ssim", (1, 1024), "ssim is for images (2D) and the frames of videos (3D); these samples are 1D"),
        ("ssim", (1, 16, 16, 16, 16), "ssim is for images (2D) and the frames of videos (3D); these samples are 4D"),
        ("ms_ssim", (3, 176, 176), None),
        ("ms_ssim", (3, 175, 200), "ms_ssim needs images or frames of at least 176 x 176 pixels; these have 175 x 200"),
    ],
)
def test_samples_that_a_metric_is_not_for_are_told(name, shape, reason):
    assert misfit(name, shape) == reason
