import math

import numpy as np
import pytest

from ndvq_tune.search.space.settings.goals import Constraint, Objective


def test_less_cost_is_better_whichever_way_the_metric_goes():
    assert Objective(metric="recon_loss", mode="min").cost(0.5) == 0.5
    assert Objective(metric="psnr", mode="max").cost(20.0) == -20.0
    np.testing.assert_array_equal(Objective(metric="psnr", mode="max").cost(np.array([1.0, math.inf])), [-1, -math.inf])


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
