import math

import numpy as np
import pytest
from scipy.stats import linregress

from ndvq_tune.diagnosis.trend import last, trend


def test_a_trend_is_the_line_of_least_squares_through_logarithms() -> None:
    values = np.exp(np.random.default_rng(0).normal(size=9))
    line = linregress(np.arange(9), np.log(values))
    found = trend(values.tolist())
    assert found is not None
    assert found.change == pytest.approx(math.exp(8 * line.slope) - 1)
    assert found.sure == (abs(line.slope) > 2 * line.stderr)


@pytest.mark.parametrize(("noise", "sure"), [(0.01, True), (0.5, False)])
def test_a_fall_is_sure_only_above_its_noise(noise: float, sure: bool) -> None:
    values = [0.9**epoch * (1 + noise * (-1) ** epoch) for epoch in range(6)]
    found = trend(values)
    assert found is not None
    assert (found.falls(0.2), found.rises(0.0)) == (sure, False)


def test_two_values_are_no_trend() -> None:
    assert trend([0.5, 0.4]) is None


def test_the_last_share_has_at_least_three_values() -> None:
    assert list(last(range(24), 1 / 3)) == list(range(16, 24))
    assert list(last(range(4), 1 / 3)) == [1, 2, 3]
    assert list(last((), 1 / 3)) == []
