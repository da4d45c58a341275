import numpy as np
import pytest
from scipy import stats

from ndvq_tune.judgement.paired import lead
from tests.report.report_examples import make_trial

RNG = np.random.default_rng(0)
EASY_AND_HARD = RNG.lognormal(-2, 1, 40)  # samples differ far more than models do


def losses(factor: float, spread: float = 0.02) -> tuple[float, ...]:
    return tuple((EASY_AND_HARD * factor * RNG.normal(1, spread, 40)).tolist())


def test_the_margin_is_that_of_students_paired_t() -> None:
    one, other = losses(1.0), losses(1.05)
    found = lead(make_trial(0, sample_losses=one), make_trial(1, sample_losses=other))
    assert found is not None
    low, high = stats.ttest_rel(other, one).confidence_interval(0.95)
    assert found.share - found.margin == pytest.approx(low / np.mean(other))
    assert found.share + found.margin == pytest.approx(high / np.mean(other))


def test_a_lead_that_means_of_different_samples_would_not_show_is_certain_on_the_same_ones() -> None:
    one, other = losses(1.0), losses(1.05)
    assert stats.ttest_ind(one, other).pvalue > 0.5
    found = lead(make_trial(0, sample_losses=one), make_trial(1, sample_losses=other))
    assert found is not None
    assert found.certain


def test_models_that_are_equally_good_are_told_apart_in_one_of_twenty_samples_sets_a_side() -> None:
    certain = 0
    for _ in range(400):
        found = lead(make_trial(0, sample_losses=losses(1, 0.1)), make_trial(1, sample_losses=losses(1, 0.1)))
        assert found is not None
        certain += found.certain
    assert 2 <= certain <= 20  # 2.5% of 400 are 10


@pytest.mark.parametrize(
    ("one", "other"), [((), ()), ((0.1,), (0.2,)), ((0.1, 0.2), ()), ((0.1, 0.2), (0.1, 0.2, 0.3))]
)
def test_without_pairs_of_samples_nothing_is_known(one: tuple[float, ...], other: tuple[float, ...]) -> None:
    assert lead(make_trial(0, sample_losses=one), make_trial(1, sample_losses=other)) is None
