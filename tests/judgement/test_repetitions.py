import math
from typing import Any

import numpy as np
import pytest
from scipy import integrate, stats

from ndvq_tune.judgement.repetitions import confirmed, probabilities_of_least
from ndvq_tune.records import Role, SearchRecord, StopReason, TrialRecord, TrialState
from tests.report.report_examples import OBJECTIVES, goals, make_trial


def run(number: int, loss: float, parent: int | None = None, **changes: Any) -> TrialRecord:
    role = Role.SEARCH if parent is None else Role.CONFIRM
    return make_trial(number, {"recon_loss": loss, "bits_per_element": 0.5}, role=role, parent=parent, **changes)


def pooled(groups: list[np.ndarray]) -> tuple[float, int]:
    freedom = sum(map(len, groups)) - len(groups)
    return sum(np.var(group) * len(group) for group in groups) / freedom, freedom


def test_of_two_groups_the_probability_is_that_of_the_t_test() -> None:
    # The difference of the means is Student's t: the probability is the one-sided p-value of the test.
    groups = [np.array([1.0, 1.4, 1.1, 0.9]), np.array([1.3, 1.5, 1.0])]
    expected = stats.ttest_ind(groups[1], groups[0], alternative="less").pvalue
    probabilities = probabilities_of_least(groups)
    assert probabilities[0] == pytest.approx(expected, abs=0.006)
    assert sum(probabilities) == pytest.approx(1)


def test_of_three_groups_the_probability_is_the_integral_over_variance_and_mean() -> None:
    groups = [np.array([1.0, 1.2]), np.array([1.1, 1.3, 1.5]), np.array([1.25])]
    variance, freedom = pooled(groups)

    chi = np.linspace(1e-3, 40, 800)[:, None]
    mean = np.linspace(-3, 5, 4000)
    sigma = np.sqrt(variance * freedom / chi)
    others = [stats.norm.sf(mean, group.mean(), sigma / math.sqrt(len(group))) for group in groups[1:]]
    own = stats.norm.pdf(mean, groups[0].mean(), sigma / math.sqrt(len(groups[0])))
    density = own * np.prod(others, axis=0) * stats.chi2.pdf(chi, freedom)
    expected = integrate.trapezoid(integrate.trapezoid(density, mean), chi[:, 0])
    assert probabilities_of_least(groups)[0] == pytest.approx(expected, abs=0.006)


def test_values_without_spread_leave_no_doubt_and_equal_ones_share() -> None:
    same, worse = np.array([1.0, 1.0]), np.array([2.0, 2.0])
    assert probabilities_of_least([worse, same]) == [0.0, 1.0]
    assert probabilities_of_least([same, same, worse]) == [0.5, 0.5, 0.0]


def test_one_value_each_says_nothing() -> None:
    assert all(math.isnan(p) for p in probabilities_of_least([np.array([1.0]), np.array([2.0])]))


def test_repetitions_and_the_completed_trial_itself_are_one_sample() -> None:
    trials = (run(0, 1.0), run(1, 1.4), run(2, 1.3, 0), run(3, 1.6, 0), run(4, 1.2, 1), run(5, 1.1, 1), run(6, 0.5))
    best, other = confirmed(SearchRecord("s", trials, OBJECTIVES))
    assert (best.trial.number, other.trial.number) == (1, 0)
    assert best.means == (pytest.approx(np.mean([1.4, 1.2, 1.1])), 0.5)
    assert best.spread == pytest.approx(stats.tstd([1.4, 1.2, 1.1]))
    assert (best.seeds, best.lost) == (3, 0)
    expected = stats.ttest_ind([1.4, 1.2, 1.1], [1.0, 1.3, 1.6], alternative="less").pvalue
    assert 1 - best.probability == pytest.approx(expected, abs=0.006)


def test_a_trial_stopped_early_is_no_seed_of_its_repetitions() -> None:
    pruned = run(0, 5.0, state=TrialState.PRUNED, stop_reason=StopReason.SCHEDULER)
    (found,) = confirmed(SearchRecord("s", (pruned, run(1, 1.0, 0), run(2, 2.0, 0)), OBJECTIVES))
    assert (found.means[0], found.seeds, found.probability) == (1.5, 2, 1.0)


def test_repetitions_that_did_not_finish_are_counted_but_not_measured() -> None:
    lost = (
        run(2, 9.0, 0, state=TrialState.PRUNED, stop_reason=StopReason.DIVERGED),
        run(3, 9.0, 0, state=TrialState.FAILED, error="boom"),
        run(4, math.nan, 0),
        run(5, 9.0, 0, state=TrialState.RUNNING),
    )
    (found,) = confirmed(SearchRecord("s", (run(0, 1.0), run(1, 2.0, 0), *lost), OBJECTIVES))
    assert (found.means[0], found.seeds, found.lost) == (1.5, 2, 3)


def test_the_best_mean_is_the_highest_where_more_is_better() -> None:
    trials = (run(0, 1.0), run(1, 2.0), run(2, 1.1, 0), run(3, 2.1, 1))
    best, other = confirmed(SearchRecord("s", trials, goals("recon_loss", mode="max")))
    assert best.trial.number == 1
    assert best.probability > 0.9 > other.probability


def test_nothing_was_repeated(example: SearchRecord) -> None:
    assert confirmed(example) == ()
