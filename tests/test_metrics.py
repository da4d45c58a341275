import math

import pytest

from ndvq_tune.metrics import METRICS, bits_per_element, psnr


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
        "psnr", "perplexity", "codebook_usage", "samples_per_second",
    }  # fmt: skip
