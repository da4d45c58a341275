import math

import numpy as np
import pytest
import torch
from scipy import stats

from ndvq_tune.baselines.precision import smallest_lead, warning
from ndvq_tune.data.batches.samples import SampleSet, Scale, Window


def samples(*amplitudes: float) -> SampleSet:
    """Images of stripes that no interpolation keeps, so that their error is the square of the amplitude."""
    stripes = torch.tensor([-1.0, 1.0]).repeat(16, 8)[None, :, :, None]
    rows = torch.cat([0.5 + amplitude * stripes for amplitude in amplitudes])
    return SampleSet([rows.numpy()], Window(), Scale(0, 1))


def test_the_least_lead_is_that_of_a_paired_test_of_models_that_differ_by_a_tenth_on_each_sample():
    """Simulated: half of the 95% interval of the lead of one such model over another, in the mean of many pairs."""
    amplitudes = np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    errors, random = amplitudes**2, np.random.default_rng(0)
    differences = errors * 0.1 * random.standard_normal((20_000, 5))
    spread = math.sqrt(differences.var(axis=1, ddof=1).mean() / 5)
    half = stats.t.ppf(0.975, 4) * spread / errors.mean()
    assert smallest_lead(samples(*amplitudes)) == pytest.approx(half, rel=0.02)


def test_four_times_the_samples_show_half_the_difference():
    few, many = (smallest_lead(samples(*[0.1, 0.3] * count)) for count in (50, 200))
    assert many == pytest.approx(few / 2, rel=0.05)


def test_samples_that_are_all_alike_show_the_most():
    alike, unequal = smallest_lead(samples(0.3, 0.3, 0.3)), smallest_lead(samples(0.1, 0.2, 0.5))
    assert alike == pytest.approx(0.1 * stats.t.ppf(0.975, 2) / math.sqrt(3))
    assert unequal > alike
    assert smallest_lead(samples(0.0, 0.0, 0.0)) == pytest.approx(alike)


def test_a_person_is_told_how_much_too_few_samples_can_show():
    text = warning(samples(*[0.1, 0.3] * 8))
    assert text == "16 test samples: trials that differ by less than about 7% may not be told apart"
    assert warning(samples(*[0.1, 0.3] * 40)) is None


def test_one_sample_tells_nothing_apart():
    assert smallest_lead(samples(0.3)) == math.inf
    assert warning(samples(0.3)) == "one test sample: no two trials can be told apart"
