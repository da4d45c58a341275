import math

import pytest

from ndvq_tune.report.wording import duration, metric_text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.6, "1 min 0 s"), (312.4, "5 min 12 s"), (3600, "1 h 0 min"), (90061, "1 d 1 h")],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        ("recon_loss", 0.07, "0.0700"),
        ("recon_loss", 123.4, "123"),
        ("recon_loss", math.nan, "-"),
        ("psnr", 24.04, "24.0"),
        ("perplexity", 340.2, "340"),
        ("perplexity", 1.04, "1.0"),
        ("codebook_usage", 0.456, "46%"),
        ("parameters", 1234567.0, "1,234,567"),
        ("psnr", None, "-"),
    ],
)
def test_metric_text(metric: str, value: float | None, text: str) -> None:
    assert metric_text(metric, value) == text
