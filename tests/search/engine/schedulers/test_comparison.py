import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ndvq_tune.judgement.pareto import dominates
from ndvq_tune.search.engine.schedulers.comparison import place
from tests.search.engine.schedulers.scheduler_examples import TWO_OBJECTIVES, settings_of

INF, NAN = math.inf, math.nan
ONE = settings_of()
TWO = settings_of(objectives=TWO_OBJECTIVES)
BOUNDED = settings_of(
    constraints=[{"metric": "codebook_usage", "at_least": 0.5}, {"metric": "bits_per_element", "at_most": 2.0}]
)


def places(reports, search):
    return [place(report, reports[:n] + reports[n + 1 :], search) for n, report in enumerate(reports)]


def loss_and_bits(*points):
    return [{"recon_loss": loss, "bits_per_element": bits} for loss, bits in points]


def test_one_objective_is_compared_by_its_value_and_equals_share_a_place():
    reports = [{"recon_loss": loss} for loss in (0.3, 0.1, 0.2, 0.3, 0.4)]
    assert places(reports, ONE) == [2, 0, 1, 2, 4]


def test_an_objective_can_be_more_instead_of_less():
    search = settings_of(objectives=[{"metric": "psnr", "mode": "max"}])
    assert places([{"psnr": psnr} for psnr in (20.0, 30.0, 25.0)], search) == [2, 0, 1]


@pytest.mark.parametrize("broken", [{"recon_loss": NAN}, {"recon_loss": INF}, {"recon_loss": -INF}, {}])
def test_what_has_no_value_is_worst(broken):
    assert places([broken, {"recon_loss": 9.0}, broken], ONE) == [1, 0, 1]


def test_several_objectives_are_compared_by_front_and_then_by_room():
    """On the front of four, the ends come first, then the one with more room; what is behind the front comes last."""
    reports = loss_and_bits((0.2, 4), (1.0, 0), (0.0, 9), (0.5, 2), (0.6, 3), (0.7, 9))
    assert places(reports, TWO) == [2, 0, 0, 3, 4, 5]


def test_a_value_of_one_objective_does_not_make_up_for_none_of_another():
    """The fewest bits of all would be on the front."""
    assert places(loss_and_bits((NAN, 0.1), (0.5, 1.0), (0.9, 2.0), (0.1, NAN)), TWO) == [2, 0, 1, 2]


def bounded(loss, usage, bits):
    return {"recon_loss": loss, "codebook_usage": usage, "bits_per_element": bits}


def test_constraints_come_before_objectives_and_small_violations_before_large_ones():
    """Shares of the bounds add up: 0.2 for each of the first two, 0.1 + 0.15 for the third."""
    reports = [
        bounded(0.1, 0.4, 1.0),
        bounded(0.2, 0.9, 2.4),
        bounded(0.0, 0.45, 2.3),
        bounded(0.9, 0.5, 2.0),
        bounded(0.8, 0.6, 1.0),
        bounded(NAN, 0.6, 1.0),
        bounded(0.0, NAN, 1.0),
    ]
    assert places(reports, BOUNDED) == [2, 3, 4, 1, 0, 6, 5]


def test_a_constraint_on_a_metric_that_is_missing_is_broken_most():
    assert places([{"recon_loss": 0.1}, bounded(0.9, 0.0, 99.0)], BOUNDED) == [1, 0]


def test_bounds_of_several_objectives_leave_the_front_to_those_within():
    search = TWO.model_copy(update={"constraints": BOUNDED.constraints[1:]})
    assert places(loss_and_bits((0.1, 2.5), (0.5, 1.0), (0.6, 2.0)), search) == [2, 0, 1]


grid = st.integers(0, 3).map(float)


@given(st.lists(st.tuples(grid, grid, grid), min_size=2, max_size=9))
def test_what_dominates_comes_first(points):
    search = settings_of(objectives=[*TWO_OBJECTIVES, {"metric": "parameters", "mode": "min"}])
    names = ("recon_loss", "bits_per_element", "parameters")
    found = places([dict(zip(names, point, strict=True)) for point in points], search)
    assert all(
        i < j for a, i in zip(points, found, strict=True) for b, j in zip(points, found, strict=True) if dominates(a, b)
    )
    assert min(found) == 0
