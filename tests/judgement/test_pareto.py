import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna._hypervolume import compute_hypervolume
from optuna.study._multi_objective import _fast_non_domination_rank

from ndvq_tune.judgement.pareto import crowding, dominates, front_ranks, hypervolume, knee

INF, NAN = math.inf, math.nan


def points_of(values: st.SearchStrategy[float], most: int = 12) -> st.SearchStrategy[list[tuple[float, ...]]]:
    return st.integers(1, 4).flatmap(lambda m: st.lists(st.tuples(*[values] * m), min_size=1, max_size=most))


grid = st.integers(0, 4).map(float)
with_gaps = st.one_of(grid, st.sampled_from([NAN, INF, -INF]))


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ((1, 2), (1, 3), True),
        ((1, 2), (1, 2), False),
        ((1, 2), (0, 3), False),
        ((1, 2), (NAN, 2), True),
        ((1, 2), (-INF, 2), True),
        ((NAN, 2), (INF, 2), False),
        ((NAN, 1), (INF, 2), True),
        ((1,), (2,), True),
    ],
)
def test_dominance(a, b, expected):
    assert dominates(a, b) is expected


def longest_chain(points):
    """The front of a point is the length of the longest chain of points that ends at it."""
    worst = [tuple(x if math.isfinite(x) else INF for x in point) for point in points]

    def above(point):
        return [o for o in worst if o != point and all(x <= y for x, y in zip(o, point, strict=True))]

    def rank(point):
        return max((1 + rank(other) for other in above(point)), default=0)

    return [rank(point) for point in worst]


@given(points_of(with_gaps, most=9))
def test_fronts_are_what_brute_force_finds(points):
    assert front_ranks(points) == longest_chain(points)


@given(points_of(with_gaps))
def test_the_front_is_what_dominance_leaves(points):
    expected = [not any(dominates(other, point) for other in points) for point in points]
    assert [rank == 0 for rank in front_ranks(points)] == expected


@pytest.mark.parametrize("objectives", [1, 2, 3, 5])
def test_fronts_of_many_points_are_those_of_optuna(objectives):
    points = np.random.default_rng(objectives).integers(0, 40, (400, objectives)).astype(float)
    assert front_ranks(points.tolist()) == _fast_non_domination_rank(points).tolist()


@pytest.mark.parametrize("objectives", [1, 2, 3])
def test_each_point_of_a_chain_is_a_front(objectives):
    """300 points, more than the smallest integers can count."""
    assert front_ranks([(float(n),) * objectives for n in reversed(range(300))]) == list(reversed(range(300)))


def test_no_points_have_no_fronts_no_crowding_and_no_volume():
    assert front_ranks([]) == []
    assert crowding([]) == []
    assert hypervolume([], (1.0, 1.0)) == 0


def test_crowding_of_a_front_of_four():
    """Inner points: (5 - 0) / 10 + (9 - 2) / 9 and (10 - 2) / 10 + (4 - 0) / 9."""
    front = [(2.0, 4.0), (10.0, 0.0), (0.0, 9.0), (5.0, 2.0)]
    assert crowding(front) == pytest.approx([5 / 10 + 7 / 9, INF, INF, 8 / 10 + 4 / 9])


@pytest.mark.parametrize("front", [[(1.0, 2.0)], [(1.0, 2.0), (2.0, 1.0)], [(1.0, 2.0)] * 3])
def test_points_without_a_neighbour_on_both_sides_are_ends(front):
    assert crowding(front) == [INF] * len(front)


def test_an_objective_that_is_equal_for_all_says_nothing_about_crowding():
    front = [(0.0, 7.0, 3.0), (1.0, 7.0, 2.0), (3.0, 7.0, 0.0)]
    assert crowding(front) == pytest.approx([INF, 2.0, INF])


@given(points_of(with_gaps), st.randoms(use_true_random=False))
def test_crowding_does_not_depend_on_the_order_of_points(points, random):
    order = list(range(len(points)))
    random.shuffle(order)
    shuffled = crowding([points[index] for index in order])
    assert shuffled == pytest.approx([crowding(points)[index] for index in order])


def test_what_is_not_finite_is_crowded_and_no_neighbour():
    front = [(0.0, 4.0), (1.0, 2.0), (2.0, 0.0)]
    assert crowding([*front, (NAN, 1.0), (1.0, -INF)]) == pytest.approx([*crowding(front), 0.0, 0.0])


def inclusion_exclusion(points, reference):
    """The volume of a union of boxes: alternating sums of the volumes that they share."""
    boxes = [point for point in points if all(map(math.isfinite, point))]
    volume = 0.0
    for size in range(1, len(boxes) + 1):
        for chosen in combinations(boxes, size):
            sides = [ref - max(column) for ref, column in zip(reference, zip(*chosen, strict=True), strict=True)]
            volume -= (-1) ** size * math.prod(max(0.0, side) for side in sides)
    return volume


@given(points_of(with_gaps, most=7))
def test_hypervolume_is_the_volume_of_the_union_of_boxes(points):
    reference = (3.5, 4.0, 4.5, 3.25)[: len(points[0])]
    assert hypervolume(points, reference) == pytest.approx(inclusion_exclusion(points, reference))


@pytest.mark.parametrize("objectives", [1, 2, 3, 4, 5])
def test_hypervolume_is_that_of_optuna(objectives):
    points = np.random.default_rng(objectives).random((40, objectives))
    reference = np.linspace(0.7, 1.1, objectives)
    inside = points[(points < reference).all(axis=1)]
    assert hypervolume(points.tolist(), reference.tolist()) == pytest.approx(compute_hypervolume(inside, reference))


def test_hypervolume_of_a_sphere_is_what_monte_carlo_finds():
    random = np.random.default_rng(0)
    front = np.abs(random.normal(size=(30, 3)))
    front = 1 - front / np.linalg.norm(front, axis=1, keepdims=True)
    samples = random.random((40_000, 3))
    share = (front[None] <= samples[:, None]).all(axis=2).any(axis=1).mean()
    assert hypervolume(front.tolist(), (1.0, 1.0, 1.0)) == pytest.approx(share, abs=0.01)


def test_the_knee_is_farthest_from_the_chord_between_the_ends():
    front = [(x, 1 / x) for x in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)]
    (x0, y0), (x1, y1) = front[0], front[-1]
    distances = [(x1 - x0) * (y0 - y) - (x0 - x) * (y1 - y0) for x, y in front]
    assert knee(front) == int(np.argmax(np.abs(distances))) == 3


@pytest.mark.parametrize(
    ("costs", "expected"),
    [
        ([(3.0,), (1.0,), (2.0,)], 1),
        ([(9.0, 0.0), (1.0, 9.0)], 1),
        ([(1.0, 5.0), (1.0, 5.0)], 0),
        ([(0.0, 10.0), (4.0, 4.0), (10.0, 0.0), (4.5, 4.5)], 1),
        ([(NAN, 0.0), (5.0, 1.0), (1.0, 5.0)], 2),
        ([(NAN, 0.0), (5.0, 1.0), (2.0, 2.0), (1.0, 5.0)], 2),
        ([(NAN, 3.0), (INF, 2.0)], 1),
        ([(NAN, 3.0), (2.0, INF)], 1),
    ],
    ids=["one objective", "front of two", "equal", "dominated", "NaN of two", "NaN of three", "only NaN", "NaN each"],
)
def test_knee(costs, expected):
    assert knee(costs) == expected


def test_scale_and_offset_of_objectives_do_not_move_the_knee():
    front = [(0.0, 10.0), (1.0, 4.0), (2.0, 3.0), (10.0, 0.0)]
    assert knee([(1e6 * x - 5, y / 1e3) for x, y in front]) == knee(front) == 1


def test_a_knee_needs_points():
    with pytest.raises(ValueError, match="no points given"):
        knee([])
