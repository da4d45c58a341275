import math

import numpy as np
import pytest

from ndvq_tune.errors import Problem
from ndvq_tune.problems import validate
from ndvq_tune.search.space.settings import SearchSettings
from ndvq_tune.search.space.settings.goals import Constraint, Objective


def test_less_cost_is_better_whichever_way_the_metric_goes():
    assert Objective(metric="recon_loss", mode="min").cost(0.5) == 0.5
    assert Objective(metric="psnr", mode="max").cost(20.0) == -20.0
    np.testing.assert_array_equal(Objective(metric="psnr", mode="max").cost(np.array([1.0, math.inf])), [-1, -math.inf])


@pytest.mark.parametrize(
    ("metric", "mode", "allowed"),
    [
        ("recon_loss", "max", "'max' given; allowed: min, as less recon_loss is better"),
        ("psnr", "min", "'min' given; allowed: max, as more psnr is better"),
    ],
)
def test_an_objective_against_the_direction_of_its_metric_is_refused(metric, mode, allowed):
    assert validate(Objective, {"metric": metric, "mode": mode})[1] == [Problem("mode", allowed)]


@pytest.mark.parametrize("mode", ["min", "max"])
def test_a_metric_without_a_direction_may_go_either_way(mode):
    assert Objective(metric="learning_rate", mode=mode).mode == mode


def test_a_mistaken_metric_is_the_only_problem_of_its_objective():
    (problem,) = validate(Objective, {"metric": "recon_los", "mode": "max"})[1]
    assert problem.key == "metric"


def test_an_objective_stands_once():
    (problem,) = validate(SearchSettings, {"objectives": [{"metric": "psnr", "mode": "max"}] * 2})[1]
    assert problem.key == "objectives"
    assert problem.message.endswith("given; needs each metric once")


@pytest.mark.parametrize(
    ("bound", "value", "beyond"),
    [
        ({"at_most": 0.5}, 0.75, 0.5),
        ({"at_most": 0.5}, 0.25, 0.0),
        ({"at_most": 0.5}, math.inf, math.inf),
        ({"at_least": 0.5}, 0.25, 0.5),
        ({"at_least": 0.5}, math.inf, 0.0),
        ({"at_least": 0.0}, -2.0, 2.0),
        ({"at_most": 0.5}, math.nan, math.inf),
        ({"at_least": 0.5}, math.nan, math.inf),
    ],
)
def test_how_far_a_value_is_beyond_a_bound_in_shares_of_it(bound, value, beyond):
    assert Constraint(metric="psnr", **bound).beyond(value) == pytest.approx(beyond)
