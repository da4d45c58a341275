import math

import numpy as np
import pytest

from ndvq_tune.goals import Constraint, Goals, Objective


def test_less_cost_is_better_whichever_way_the_metric_goes():
    assert Objective("recon_loss", "min").cost(0.5) == 0.5
    assert Objective("psnr", "max").cost(20.0) == -20.0
    np.testing.assert_array_equal(Objective("psnr", "max").cost(np.array([1.0, math.inf])), [-1, -math.inf])


@pytest.mark.parametrize(
    ("side", "bound", "value", "beyond"),
    [
        ("at_most", 0.5, 0.75, 0.5),
        ("at_most", 0.5, 0.25, 0.0),
        ("at_most", 0.5, math.inf, math.inf),
        ("at_least", 0.5, 0.25, 0.5),
        ("at_least", 0.5, math.inf, 0.0),
        ("at_least", 0.0, -2.0, 2.0),
        ("at_most", 0.5, math.nan, math.inf),
        ("at_least", 0.5, math.nan, math.inf),
    ],
)
def test_how_far_a_value_is_beyond_a_bound_in_shares_of_it(side, bound, value, beyond):
    assert Constraint("psnr", side, bound).beyond(value) == pytest.approx(beyond)


GOALS = Goals(
    (Objective("recon_loss", "min"), Objective("psnr", "max")),
    (Constraint("bits_per_element", "at_most", 0.5), Constraint("codebook_usage", "at_least", 0.1)),
)


def test_a_report_in_costs_and_in_how_far_it_is_beyond_each_bound():
    report = {"recon_loss": 0.25, "psnr": 20.0, "bits_per_element": 0.75, "codebook_usage": 0.2}
    assert GOALS.costs(report) == (0.25, -20.0)
    assert GOALS.beyond(report) == (0.5, 0.0)
    assert GOALS.broken(report) == GOALS.constraints[:1]
    assert not GOALS.kept(report)
    assert GOALS.kept(report | {"bits_per_element": 0.5})


def test_what_a_report_does_not_have_is_no_value_and_keeps_no_bound():
    assert all(math.isnan(cost) for cost in GOALS.costs({}))
    assert GOALS.beyond({}) == (math.inf, math.inf)


def test_optuna_is_told_of_finite_values_only_and_of_the_worse_of_two_bounds():
    both = Goals(GOALS.objectives, (*GOALS.constraints, Constraint("codebook_usage", "at_most", 0.4)))
    report = {"bits_per_element": math.nan, "codebook_usage": 0.8}
    assert both.violations(report) == {"codebook_usage": pytest.approx(1.0)}
    assert both.violations({"codebook_usage": 0.05}) == {"codebook_usage": pytest.approx(0.5)}
