import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ndvq_tune.goals import Constraint, Goals, Objective, Side
from ndvq_tune.judgement import standing as module
from ndvq_tune.judgement.standing import Standing
from ndvq_tune.records import Role, SearchRecord, StopReason, TrialRecord, TrialState
from tests.report.report_examples import OBJECTIVES, goals, make_trial


def search_of(points: list[tuple[float, ...]], modes: tuple[str, ...] = ("min", "min")) -> SearchRecord:
    names = [f"m{index}" for index in range(len(modes))]
    trials = tuple(make_trial(n, dict(zip(names, point, strict=True))) for n, point in enumerate(points))
    return SearchRecord(
        "s", trials, Goals(tuple(Objective(name, mode) for name, mode in zip(names, modes, strict=True)))
    )


def bound(search: SearchRecord, metric: str, side: Side, value: float) -> SearchRecord:
    """The search with a constraint."""
    return replace(search, goals=replace(search.goals, constraints=(Constraint(metric, side, value),)))


def numbers(trials: Sequence[TrialRecord]) -> list[int]:
    return [trial.number for trial in trials]


@pytest.mark.parametrize(
    "changes",
    [
        {"state": TrialState.FAILED},
        {"state": TrialState.PRUNED, "stop_reason": StopReason.DIVERGED},
        {"checkpoint": None},
        {"reports": ()},
        {"reports": ({"epoch": 1, "seconds": 1.0, "recon_loss": math.nan, "bits_per_element": 0.1},)},
        {"reports": ({"epoch": 1, "seconds": 1.0, "recon_loss": 0.1},)},
        {
            "reports": (
                {"epoch": 1, "seconds": 1.0, "recon_loss": 0.1, "bits_per_element": 0.1, "fidelity": 1.0},
                {"epoch": 2, "seconds": 2.0, "recon_loss": 0.1, "bits_per_element": 0.1, "fidelity": 0.25},
            )
        },
        {"role": Role.CONFIRM, "parent": 0},
    ],
    ids=["failed", "diverged", "no checkpoint", "no report", "NaN", "an objective missing", "small samples", "repeats"],
)
def test_a_trial_without_a_usable_model_is_not_eligible(changes: dict[str, object]) -> None:
    good = make_trial(0, {"recon_loss": 0.1, "bits_per_element": 0.1})
    search = SearchRecord("s", (good, replace(good, number=1, **changes)), OBJECTIVES)
    assert numbers(Standing(search).eligible) == [0]


def test_a_trial_stopped_early_is_eligible() -> None:
    trial = make_trial(0, {"m0": 1.0}, state=TrialState.PRUNED, stop_reason=StopReason.SCHEDULER)
    assert Standing(SearchRecord("s", (trial,), goals("m0"))).best is trial


def test_what_counts_is_the_size_of_the_samples_at_last() -> None:
    small = {"epoch": 1, "seconds": 1.0, "m0": 0.1, "fidelity": 0.25}
    full = {"epoch": 2, "seconds": 2.0, "m0": 0.2, "fidelity": 1.0}
    search = SearchRecord("s", (make_trial(0, reports=(small, full)),), goals("m0"))
    assert numbers(Standing(search).eligible) == [0]


def test_a_trial_that_went_on_from_another_is_eligible() -> None:
    trials = (make_trial(0, {"m0": 2.0}), make_trial(1, {"m0": 1.0}, role=Role.EXPLOIT, parent=0))
    assert numbers(Standing(SearchRecord("s", trials, goals("m0"))).ranked) == [1, 0]


def test_ranking_follows_the_first_objective_and_its_mode() -> None:
    points = [(1.0, 0.0), (3.0, 0.0), (2.0, 0.0)]
    assert numbers(Standing(search_of(points)).ranked) == [0, 2, 1]
    assert numbers(Standing(search_of(points, ("max", "min"))).ranked) == [1, 2, 0]


def test_trials_that_keep_the_constraints_come_first() -> None:
    search = search_of([(1.0, 9.0), (2.0, 5.0), (3.0, 1.0)])
    assert numbers(Standing(bound(search, "m1", "at_most", 5.0)).ranked) == [1, 2, 0]
    assert numbers(Standing(bound(search, "m1", "at_least", 5.0)).ranked) == [0, 1, 2]
    assert numbers(Standing(bound(search, "unknown", "at_most", 5.0)).ranked) == [0, 1, 2]


def test_the_front_offers_what_breaks_a_constraint_only_if_all_do() -> None:
    search = search_of([(1.0, 9.0), (2.0, 5.0), (3.0, 1.0)])
    assert numbers(Standing(bound(search, "m1", "at_most", 5.0)).front) == [2, 1]
    assert numbers(Standing(bound(search, "m1", "at_most", 0.0)).front) == [2, 1, 0]


grid = st.integers(0, 4).map(float)


@given(
    points=st.integers(1, 3).flatmap(lambda n: st.lists(st.tuples(*[grid] * n), min_size=1, max_size=12)),
    data=st.data(),
)
def test_front_is_what_brute_force_finds(points: list[tuple[float, ...]], data: st.DataObject) -> None:
    modes = tuple(data.draw(st.sampled_from(["min", "max"])) for _ in points[0])

    def better_or_equal(a: float, b: float, mode: str) -> bool:
        return a <= b if mode == "min" else a >= b

    def beaten(point: tuple[float, ...]) -> bool:
        return any(
            other != point and all(better_or_equal(a, b, mode) for a, b, mode in zip(other, point, modes, strict=True))
            for other in points
        )

    front = Standing(search_of(points, modes)).front
    assert set(numbers(front)) == {number for number, point in enumerate(points) if not beaten(point)}
    last = [trial.metrics[f"m{len(modes) - 1}"] for trial in front]
    assert last == sorted(last, reverse=modes[-1] == "max")
    assert Standing(search_of(points, modes)).best in front


def distance_to_chord(point: tuple[float, float], start: tuple[float, float], end: tuple[float, float]) -> float:
    """Positive on the side of the origin."""
    (x, y), (x0, y0), (x1, y1) = point, start, end
    return -((x1 - x0) * (y - y0) - (y1 - y0) * (x - x0)) / math.hypot(x1 - x0, y1 - y0)


def test_knee_is_the_point_farthest_from_the_chord() -> None:
    # Scaled to [0, 1] these are (0, 1), (.1, .3), (.3, .15), (1, 0): .6 and .55 below x + y = 1, over sqrt(2).
    search = search_of([(10.0, 100.0), (20.0, 30.0), (40.0, 15.0), (110.0, 0.0)])
    winner = Standing(search).best
    assert winner is not None
    assert winner.number == 1
    scaled = [(0.0, 1.0), (0.1, 0.3), (0.3, 0.15), (1.0, 0.0)]
    distances = [distance_to_chord(point, scaled[0], scaled[-1]) for point in scaled]
    assert distances[1] == pytest.approx(0.6 / math.sqrt(2))
    assert max(range(4), key=distances.__getitem__) == winner.number


def test_knee_turns_objectives_that_are_maximised() -> None:
    winner = Standing(search_of([(10.0, -100.0), (20.0, -30.0), (110.0, 0.0)], ("min", "max"))).best
    assert winner is not None
    assert winner.number == 1


def test_of_a_front_of_two_the_first_objective_decides() -> None:
    winner = Standing(search_of([(2.0, 1.0), (1.0, 7.0)])).best
    assert winner is not None
    assert winner.number == 1


def test_one_objective_has_its_best_value() -> None:
    winner = Standing(search_of([(2.0,), (1.0,), (3.0,)], ("min",))).best
    assert winner is not None
    assert winner.number == 1


def test_nothing_to_recommend(empty: SearchRecord) -> None:
    assert Standing(empty).best is None
    assert Standing(empty).front == Standing(empty).ranked == ()


def repeated(points: list[tuple[float, ...]], runs: list[tuple[int, tuple[float, ...]]]) -> SearchRecord:
    """A search with these trials, and with repetitions of some of them."""
    search = search_of(points, ("min",) * len(points[0]))
    names = search.goals.metrics
    repetitions = [
        make_trial(len(points) + n, dict(zip(names, values, strict=True)), role=Role.CONFIRM, parent=parent)
        for n, (parent, values) in enumerate(runs)
    ]
    return replace(search, trials=(*search.trials, *repetitions))


def recommended(search: SearchRecord) -> int:
    winner = Standing(search).best
    assert winner is not None
    return winner.number


def test_a_lucky_seed_is_not_recommended() -> None:
    search = repeated([(1.0,), (1.1,), (0.9,)], [(0, (1.4,)), (0, (1.5,)), (1, (1.1,)), (1, (1.2,))])
    assert recommended(search) == 1
    assert numbers(Standing(search).front) == [2]
    assert recommended(replace(search, trials=search.trials[:3])) == 2


def test_what_was_repeated_and_breaks_a_constraint_is_not_recommended() -> None:
    search = repeated([(1.0,), (2.0,)], [(0, (1.0,)), (0, (1.1,))])
    assert recommended(bound(search, "m0", "at_least", 1.5)) == 1


def test_the_knee_moves_with_the_means_of_repeated_trials() -> None:
    points = [(0.0, 1.0), (0.1, 0.3), (0.3, 0.15), (1.0, 0.0)]
    assert recommended(search_of(points)) == 1
    search = repeated(points, [(1, (0.5, 0.3)), (1, (0.6, 0.3))])
    assert recommended(search) == 2
    assert numbers(Standing(search).front) == [3, 2, 1, 0]


def test_every_judgement_of_a_state_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The probabilities of what was repeated are counted in many draws."""
    asked: list[SearchRecord] = []
    monkeypatch.setattr(module, "confirmed", lambda search: asked.append(search) or ())
    standing = Standing(search_of([(1.0,), (2.0,)], ("min",)))
    for _ in range(3):
        assert (standing.best, standing.front, standing.judged[0]) == (
            standing.search.trials[0],
            standing.search.trials[:1],
            {"epoch": 1, "seconds": 5.0, "m0": 1.0},
        )
    assert asked == [standing.search]
