import numpy as np
import pytest

from ndvq_tune.judgement.pareto import hypervolume
from ndvq_tune.search.engine.curves.improvement import MARGIN, below, beyond_front

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
