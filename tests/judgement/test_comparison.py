import itertools
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ndvq_tune.judgement.comparison import fronts, place
from ndvq_tune.judgement.pareto import dominates
from ndvq_tune.search.space.settings import SearchSettings
from tests.search.earlier.earlier_examples import trial_of
from tests.search.engine.schedulers.scheduler_examples import TWO_OBJECTIVES, settings_of
from tests.search.search_examples import space_of

INF, NAN = math.inf, math.nan
ONE = settings_of()
TWO = settings_of(objectives=TWO_OBJECTIVES)
BOUNDED = settings_of(
    constraints=[{"metric": "codebook_usage", "at_least": 0.5}, {"metric": "bits_per_element", "at_most": 2.0}]
)


def places(reports, search):
    return [place(report, reports[:n] + reports[n + 1 :], search.goals) for n, report in enumerate(reports)]


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
    search = SearchSettings(objectives=TWO.objectives, constraints=BOUNDED.constraints[1:])
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


def test_one_objective_ranks_by_its_value_and_equals_are_together() -> None:
    trials = [trial_of(space_of(), number, loss) for number, loss in enumerate((0.3, 0.1, 0.3, 0.2))]
    assert [sorted(trial.number for trial in front) for front in fronts(trials, space_of().search.goals)] == [
        [1],
        [3],
        [0, 2],
    ]


def test_fronts_are_those_of_a_brute_force_search() -> None:
    space = space_of(search={"objectives": TWO_OBJECTIVES})
    draw = random.Random(3)
    points = [(draw.random(), draw.random()) for _ in range(30)]
    trials = [trial_of(space, n, loss, metrics={"bits_per_element": bits}) for n, (loss, bits) in enumerate(points)]
    left = set(range(30))
    for front in fronts(trials, space.search.goals):
        best = {
            n
            for n in left
            if not any(
                points[m] != points[n] and all(a <= b for a, b in zip(points[m], points[n], strict=True)) for m in left
            )
        }
        assert {trial.number for trial in front} == best
        left -= best
    assert not left


def test_a_metric_to_maximise_is_maximised() -> None:
    space = space_of(search={"objectives": [{"metric": "psnr", "mode": "max"}]})
    trials = [trial_of(space, number, metrics={"psnr": psnr}) for number, psnr in enumerate((20.0, 30.0, 25.0))]
    assert [trial.number for trial in itertools.chain(*fronts(trials, space.search.goals))] == [1, 2, 0]


def test_what_breaks_a_constraint_comes_last_and_the_worse_the_later() -> None:
    space = space_of(search={"constraints": [{"metric": "codebook_usage", "at_least": 0.5}]})
    given = [(0.1, 0.1), (0.2, 0.4), (0.9, 0.6), (0.8, 0.5), (0.05, float("nan"))]
    trials = [trial_of(space, n, loss, metrics={"codebook_usage": usage}) for n, (loss, usage) in enumerate(given)]
    assert [[trial.number for trial in front] for front in fronts(trials, space.search.goals)] == [
        [3],
        [2],
        [1],
        [0],
        [4],
    ]
