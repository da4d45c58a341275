import math
import random
from collections import Counter

import numpy as np
import pytest
from scipy import stats

from ndvq_tune.distributions import Choice, Preference, Range, Searched
from ndvq_tune.search.engine.preference import TIMES, WIDTHS, beliefs, fading, log_weight, preferred

CODES = Searched("model.n_codes", Choice((64, 128, 256)), preference=Preference(128, "high"))
RATE = Searched("training.learning_rate", Range(1e-4, 1e-2, log=True), preference=Preference(1e-3, "medium"))
PLAIN = Searched("model.n_res_layers", Range(1, 3, integer=True))


def draws(parameter, power, count=4000):
    chance = random.Random(0)
    return [preferred(beliefs([parameter])[parameter.key], power, chance) for _ in range(count)]


@pytest.mark.parametrize("power", [1.0, 0.25])
def test_a_choice_is_drawn_as_often_as_its_weight_says(power):
    counts = Counter(draws(CODES, power))
    times = TIMES["high"] ** power
    expected = [4000 * weight / (times + 2) for weight in (1, times, 1)]
    assert stats.chisquare([counts[value] for value in (64, 128, 256)], expected).pvalue > 0.01


@pytest.mark.parametrize("power", [1.0, 0.25, 0.01])
def test_a_range_is_drawn_from_a_normal_distribution_cut_off_at_its_ends(power):
    places = [RATE.distribution.place(value) for value in draws(RATE, power)]
    width = WIDTHS["medium"] / math.sqrt(power)
    assert stats.kstest(places, stats.truncnorm(-0.5 / width, 0.5 / width, 0.5, width).cdf).pvalue > 0.01


def test_with_trials_a_belief_fades_until_nothing_is_left_of_it():
    assert [fading(begun, 8) for begun in (0, 8, 16, 800)] == [1, 1, 0.25, 0.0001]
    assert stats.kstest([RATE.distribution.place(value) for value in draws(RATE, 1e-6)], "uniform").pvalue > 0.01


def test_the_weight_of_a_point_is_the_density_that_is_drawn_from():
    believed = beliefs([CODES, RATE, PLAIN])
    assert list(believed) == ["model.n_codes", "training.learning_rate"]
    point = {"model.n_codes": 128, "training.learning_rate": 1e-3, "model.n_res_layers": 2}
    assert log_weight(believed, point) == 0
    away = point | {"training.learning_rate": 1e-2}  # half the range away, two standard deviations
    assert log_weight(believed, away) == pytest.approx(stats.norm.logpdf(2) - stats.norm.logpdf(0))
    assert math.exp(log_weight(believed, point | {"model.n_codes": 64})) == pytest.approx(1 / TIMES["high"])
    assert log_weight(believed, {"model.n_res_layers": 2}) == 0


def test_whole_numbers_are_drawn_around_the_one_that_is_preferred():
    layers = Searched("model.n_res_layers", Range(1, 8, integer=True), preference=Preference(2, "high"))
    found = draws(layers, 1.0)
    assert Counter(found).most_common(1)[0][0] == 2
    assert set(found) <= set(range(1, 9))
    assert np.mean(found) < 3.5
