import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ndvq_tune.goals import Constraint, Goals, Objective
from ndvq_tune.judgement.front import front_hypervolume, front_hypervolumes, history, reference
from ndvq_tune.judgement.standing import Standing
from ndvq_tune.records import SearchRecord, StopReason, TrialRecord, TrialState
from tests.report.report_examples import make_trial

TWO = Goals((Objective("m0", "min"), Objective("m1", "max")))


def at(seconds: float, number: int, *values: float, **changes: Any) -> TrialRecord:
    metrics = {f"m{index}": value for index, value in enumerate(values)}
    return make_trial(number, reports=({"epoch": 1, "seconds": seconds, **metrics},), **changes)


def counted_cells(points: list[tuple[float, float]], corner: tuple[float, float]) -> int:
    """The area between whole points and a corner, by counting unit squares; less is better."""
    squares = itertools.product(range(int(corner[0])), range(int(corner[1])))
    return sum(any(x <= column and y <= row for x, y in points) for column, row in squares)


def test_hypervolume_after_each_trial_is_the_area_counted_in_squares() -> None:
    rng = np.random.default_rng(0)
    points = [(float(a), -float(b)) for a, b in rng.integers(0, 9, (12, 2))]
    order = rng.permutation(12).tolist()
    search = SearchRecord("s", tuple(at(order[n], n, *point) for n, point in enumerate(points)), TWO)
    corner = (max(a for a, _ in points), max(-b for _, b in points))
    arrived = [(a, -b) for _, (a, b) in sorted(zip(order, points, strict=True))]
    moments = history(Standing(search))
    assert reference(Standing(search)) == {"m0": corner[0], "m1": -corner[1]}
    assert [moment.value for moment in moments] == [counted_cells(arrived[:n], corner) for n in range(1, 13)]
    assert [moment.seconds for moment in moments] == list(range(12))
    assert front_hypervolume(Standing(search)) == moments[-1].value > 0


def test_with_one_objective_it_is_the_best_value_so_far() -> None:
    trials = (at(3, 0, 2.0), at(1, 1, 5.0), at(2, 2, 7.0), at(4, 3, 1.0))
    up, down = (SearchRecord("s", trials, Goals((Objective("m0", mode),))) for mode in ("max", "min"))
    assert [(moment.trial, moment.value) for moment in history(Standing(down))] == [
        ("trial-0001", 5.0), ("trial-0002", 5.0), ("trial-0000", 2.0), ("trial-0003", 1.0),
    ]  # fmt: skip
    assert [moment.value for moment in history(Standing(up))] == [5.0, 7.0, 7.0, 7.0]
    assert front_hypervolume(Standing(up)) is None


def test_only_finished_trials_that_are_on_offer_count() -> None:
    worst = at(1, 0, 9.0, 0.0)
    better = at(2, 1, 5.0, 3.0)
    running = at(3, 2, 1.0, 9.0, state=TrialState.RUNNING)
    diverged = at(4, 3, 0.0, 9.0, state=TrialState.PRUNED, stop_reason=StopReason.DIVERGED)
    search = SearchRecord("s", (worst, better, running, diverged), TWO)
    assert [moment.value for moment in history(Standing(search))] == [0.0, 12.0]
    assert front_hypervolume(Standing(search)) == 72.0  # the running trial is on the front already


def test_what_breaks_a_constraint_sets_the_reference_but_adds_nothing() -> None:
    search = SearchRecord("s", (at(1, 0, 9.0, 0.0), at(2, 1, 1.0, 2.0), at(3, 2, 5.0, 3.0)), TWO)
    bound = replace(search, goals=replace(TWO, constraints=(Constraint("m1", "at_least", 2.5),)))
    assert [moment.trial for moment in history(Standing(bound))] == ["trial-0002"]
    assert front_hypervolume(Standing(bound)) == pytest.approx(4 * 3)
    assert front_hypervolume(Standing(search)) == pytest.approx(8 * 2 + 4 * 1)


def test_a_search_without_trials_has_no_history(empty: SearchRecord) -> None:
    assert history(Standing(empty)) == []
    assert reference(Standing(empty)) == {}
    assert front_hypervolume(Standing(empty)) is None


def test_history_of_a_search_ends_at_its_front(example: SearchRecord) -> None:
    moments = history(Standing(example))
    assert moments[-1].value == pytest.approx(front_hypervolume(Standing(example)))
    assert {trial.name for trial in Standing(example).front} <= {moment.trial for moment in moments}
    assert all(a.value <= b.value for a, b in itertools.pairwise(moments))


def test_hypervolumes_of_several_searches_are_counted_from_one_corner() -> None:
    points = [[(2.0, -6.0), (4.0, -8.0)], [(1.0, -3.0)], []]
    standings = [
        Standing(SearchRecord("s", tuple(at(n, n, *point) for n, point in enumerate(search)), TWO)) for search in points
    ]
    costs = [[(a, -b) for a, b in search] for search in points]
    corner = (4.0, 8.0)
    assert front_hypervolumes(standings) == [float(counted_cells(search, corner)) for search in costs]
