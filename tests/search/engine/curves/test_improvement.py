import numpy as np
import pytest

from ndvq_tune.judgement.pareto import hypervolume
from ndvq_tune.search.engine.curves.improvement import MARGIN, below, beyond_front, widening

DRAWS = 200_000
MEAN, DEVIATION = np.array([-1.5, -0.9, -2.5]), np.array([0.3, 0.1, 0.6])
FOUND = [(0.1, 0.4), (0.2, 0.25), (0.2, 0.3), (0.25, 0.35), (0.4, 0.15)]  # the third and fourth are not on the front


def losses() -> np.ndarray:
    return np.exp(np.random.default_rng(0).normal(MEAN, DEVIATION, (DRAWS, 3)))


def test_the_expected_improvement_is_the_mean_of_many_draws():
    sampled = np.maximum(0.25 - losses(), 0)
    found = below(MEAN, DEVIATION, np.array(0.25))
    np.testing.assert_allclose(found, sampled.mean(0), atol=5 * sampled.std() / np.sqrt(DRAWS))


def test_without_doubt_the_improvement_is_the_difference():
    found = below(np.log([0.2, 0.3]), np.zeros(2), np.array(0.25))
    np.testing.assert_allclose(found, [0.05, 0.0], atol=1e-9)


@pytest.mark.parametrize("bits", [0.05, 0.1, 0.15, 0.3, 0.5])
def test_beyond_a_front_it_is_the_mean_gain_in_hypervolume(bits):
    worst = (max(loss for _, loss in FOUND), MARGIN * max(bits, 0.4))
    front = [(loss, bits) for bits, loss in FOUND]
    before = hypervolume(front, worst)
    gains = np.array([hypervolume([*front, (loss, bits)], worst) - before for loss in losses()[:4000, 0]])
    found = beyond_front(MEAN[:1], DEVIATION[:1], np.array([bits]), FOUND)
    assert found[0] == pytest.approx(gains.mean(), abs=4 * gains.std() / np.sqrt(len(gains)))
    assert gains.mean() > 0


def test_each_point_widens_the_front_by_more_than_any_later_one():
    random = np.random.default_rng(1)
    losses, bits = random.normal(-2, 0.5, 30), random.choice([0.1, 0.15, 0.2, 0.4], 30)
    worst = (float(np.exp(losses.max())), MARGIN * bits.max())
    points = list(zip(np.exp(losses).tolist(), bits.tolist(), strict=True))
    order = widening(losses, bits)
    assert sorted(order) == list(range(30))
    for place in range(30):
        front = [points[index] for index in order[:place]]
        areas = [hypervolume([*front, points[index]], worst) for index in order[place:]]
        assert areas[0] == pytest.approx(max(areas), rel=1e-6)


def test_near_copies_widen_it_less_than_what_costs_more_bits():
    losses, bits = np.log([0.100, 0.101, 0.102, 0.08, 0.09, 0.5]), np.array([0.1, 0.1, 0.1, 0.3, 0.3, 0.1])
    assert widening(losses, bits) == [0, 3, 1, 2, 4, 5]


@pytest.mark.parametrize("bits", [-1.0, 0.0, 0.1])
def test_equal_points_widen_a_front_of_nothing_in_the_order_of_their_numbers(bits):
    """Costs below 0 are those of what is to be as high as possible."""
    assert widening(np.zeros(3), np.full(3, bits)) == [0, 1, 2]
