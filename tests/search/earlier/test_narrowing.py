import math
from collections.abc import Sequence
from typing import Any

import pytest

from ndvq_tune.records import Role, StopReason, TrialRecord, TrialState
from ndvq_tune.search.earlier.narrowing import Change, narrowed, refined
from ndvq_tune.search.space import SearchSpace
from ndvq_tune.yaml_file import Document, with_values
from tests.search.earlier.earlier_examples import trial_of
from tests.search.search_examples import space_of

SPREAD = (0.05, 0.13, 0.34, 0.88, 2.0)  # evenly over the range of codebook_beta
DOWN = ([1, 2, 2], [2, 2, 2], [2, 4, 4])


def trials_of(space: SearchSpace, points: Sequence[dict[str, Any]], **changes: Any) -> list[TrialRecord]:
    """Trials at these points, the best first; what a point leaves out is spread over its values."""
    return [
        trial_of(
            space,
            number,
            loss=0.1 + 0.01 * number,
            params={
                "model.n_codes": (16, 32, 64)[number % 3],
                "model.downsample": DOWN[number // 3 % 3],
                "model.codebook_beta": SPREAD[number % 5],
                "model.attention.type": ("none", "axial", "full")[number // 2 % 3],
            }
            | params,
            **changes,
        )
        for number, params in enumerate(points)
    ]


def changed(space: SearchSpace, points: Sequence[dict[str, Any]], **changes: Any) -> dict[str, Change]:
    found = narrowed(space, trials_of(space, points, **changes))
    assert runs(space, found)
    return {change.key: change for change in found}


def runs(space: SearchSpace, changes: list[Change]) -> SearchSpace:
    return SearchSpace.from_document(Document("refined.yaml", refined(space, changes), {}))


def codes(*values: int) -> list[dict[str, Any]]:
    return [{"model.n_codes": value} for value in values]


def test_a_choice_that_was_tried_and_never_good_is_dropped() -> None:
    # 16 trials, the best 4 without 64, which was tried 6 times: by chance in 1 of 9 cases.
    assert math.comb(10, 4) / math.comb(16, 4) < 0.25
    change = changed(space_of(), codes(16, 32, 16, 32, *[64] * 6, *[16, 32] * 3))["model.n_codes"]
    assert change.leaf == {"choice": [16, 32]}
    assert change.reason == "dropped 64 (6 tries): never among the best 4 of 16 trials"


def test_a_choice_that_chance_may_have_kept_from_the_best_stays() -> None:
    # 4 tries among 20 trials: a choice as good as the others is in none of the best 5 in 28 of 100 cases.
    assert math.comb(16, 5) / math.comb(20, 5) > 0.25
    found = changed(space_of(), codes(*[16, 32] * 4, *[64] * 4, *[16, 32] * 4))
    assert "model.n_codes" not in found


def test_a_choice_with_fewer_than_three_tries_stays() -> None:
    found = changed(space_of(), codes(*[16, 32] * 2, 64, 64, *[16, 32] * 1))
    assert "model.n_codes" not in found
    # In 8 trials two tries are none of the best 4 in 21 of 100 cases; it is the rule of three tries that holds here.
    assert math.comb(6, 4) / math.comb(8, 4) < 0.25


def test_what_all_of_the_best_use_is_fixed_once_the_others_have_had_their_tries() -> None:
    change = changed(space_of(), codes(*[64] * 4, *[16] * 6, *[32] * 6))["model.n_codes"]
    assert change.leaf == 64
    assert change.reason == (
        "fixed: all of the best 4 of 16 trials use 64; larger ones were not tried and may be better still"
    )
    middle = changed(space_of(), codes(*[32] * 4, *[16] * 6, *[64] * 6))["model.n_codes"]
    assert (middle.leaf, middle.reason) == (32, "fixed: all of the best 4 of 16 trials use 32")


def test_numbers_are_dropped_at_the_ends_only() -> None:
    space = space_of(model={"n_codes": {"choice": [64, 8, 16, 32]}})
    change = changed(space, codes(*[64, 16] * 2, *[32] * 6, *[8] * 6))["model.n_codes"]
    assert change.leaf == {"choice": [64, 16, 32]}
    assert change.reason == "dropped 8 (6 tries): never among the best 4 of 16 trials"
    assert "model.n_codes" not in changed(space_of(), codes(*[64, 16] * 2, *[32] * 6, *[16, 64] * 3))


def test_choices_of_lists_are_told_apart() -> None:
    points = [{"model.downsample": value} for value in (*[DOWN[0], DOWN[1]] * 2, *[DOWN[2]] * 6, *[DOWN[0]] * 6)]
    change = changed(space_of(), points)["model.downsample"]
    assert change.leaf == {"choice": [[1, 2, 2], [2, 2, 2]]}
    assert "dropped 2x4x4 (6 tries)" in change.reason


def test_a_range_is_narrowed_to_its_best() -> None:
    betas = [0.2, 0.25, 0.3, 0.35, *(SPREAD * 3)[:12]]
    change = changed(space_of(), [{"model.codebook_beta": beta} for beta in betas])["model.codebook_beta"]
    low, high = change.leaf["log_uniform"]
    assert 0.15 < low < 0.2
    assert 0.35 < high < 0.45
    assert change.reason == "was 0.05 to 2: the best 4 of 16 trials lie between 0.2 and 0.35"


def test_a_range_grows_where_the_best_lie_at_its_edge_but_not_beyond_what_is_valid() -> None:
    space = space_of(model={"ema_decay": {"uniform": [0.8, 0.99]}, "attention": {"type": "none"}})
    points = [{"model.ema_decay": value} for value in (0.985, 0.98, 0.975, 0.97, *[0.82, 0.87, 0.9, 0.93] * 3)]
    change = changed(space, points)["model.ema_decay"]
    low, high = change.leaf["uniform"]
    assert 0.95 < low < 0.97
    assert 0.99 < high < 1.0
    assert "widened to" in change.reason


def test_the_condition_follows_what_it_depends_on() -> None:
    kinds = ["axial", "axial", "full", "axial", *["none"] * 6, *["axial", "full"] * 3]
    found = changed(space_of(), [{"model.attention.type": kind, "model.attention.n_head": 1} for kind in kinds])
    assert found["model.attention.type"].leaf == {"choice": ["axial", "full"]}
    assert found["model.attention.n_head"].leaf == {"choice": [1, 4]}  # always counts from now on
    assert "condition" in found["model.attention.n_head"].reason


def test_a_condition_loses_the_values_that_are_gone() -> None:
    kinds = ["axial", "axial", "none", "axial", *["full"] * 6, *["axial", "none"] * 3]
    found = changed(space_of(), [{"model.attention.type": kind, "model.attention.n_head": 1} for kind in kinds])
    assert found["model.attention.n_head"].leaf == {"choice": [1, 4], "when": {"model.attention.type": "axial"}}


def test_a_parameter_whose_condition_can_no_longer_hold_goes() -> None:
    space = space_of()
    kinds = ["none"] * 4 + ["axial"] * 6 + ["full"] * 6
    points = [{"model.attention.type": kind} for kind in kinds]
    found = changed(space, points)
    assert found["model.attention.type"].leaf == "none"
    assert found["model.attention.n_head"].leaf is None
    assert found["model.attention.n_head"].reason == "gone: it counts only where attention.type is axial or full"
    assert refined(space, list(found.values()))["model"]["attention"] == {"type": "none"}


def test_what_depends_on_a_parameter_that_is_gone_follows_its_default() -> None:
    dependent = {
        "dropout": {"uniform": [0.0, 0.2], "when": {"model.attention.n_head": 4}},
        "levels": {"choice": ["all", "coarsest"], "when": {"model.attention.n_head": [2, 4]}},
    }
    space = space_of(model={"attention": dependent})
    points = [{"model.attention.type": kind} for kind in ["none"] * 4 + ["axial"] * 6 + ["full"] * 6]
    found = changed(space, points)
    assert found["model.attention.n_head"].leaf is None  # so it is 2, the default
    assert found["model.attention.dropout"].leaf is None
    assert found["model.attention.levels"].leaf == {"choice": ["all", "coarsest"]}


def test_a_conditional_parameter_is_judged_by_the_trials_where_it_counts_and_keeps_its_condition() -> None:
    best = [{"model.attention.type": kind, "model.attention.n_head": 4} for kind in ("axial", "full", "axial", "none")]
    rest = [{"model.attention.type": ("axial", "none", "full")[n % 3], "model.attention.n_head": 1} for n in range(12)]
    change = changed(space_of(), best + rest)["model.attention.n_head"]
    assert change.leaf == {"choice": [4], "when": {"model.attention.type": ["axial", "full"]}}
    assert "all of the best 3 of 11 trials use 4; larger" in change.reason


def test_a_condition_on_the_default_of_a_conditional_parameter_can_still_hold() -> None:
    space = space_of(model={"attention": {"dropout": {"uniform": [0.0, 0.2], "when": {"model.attention.n_head": 2}}}})
    best = [{"model.attention.type": kind, "model.attention.n_head": 4} for kind in ("axial", "full", "axial", "none")]
    rest = [{"model.attention.type": ("axial", "none", "full")[n % 3], "model.attention.n_head": 1} for n in range(12)]
    found = changed(space, best + rest)
    assert found["model.attention.n_head"].leaf["choice"] == [4]
    assert "model.attention.dropout" not in found  # without attention, n_head is 2


def test_too_few_values_among_the_best_change_nothing() -> None:
    best = [{"model.attention.type": kind, "model.attention.n_head": 4} for kind in ("axial", "none", "full", "none")]
    rest = [{"model.attention.type": ("axial", "none", "full")[n % 3], "model.attention.n_head": 1} for n in range(12)]
    assert "model.attention.n_head" not in changed(space_of(), best + rest)


@pytest.mark.parametrize(
    "changes",
    [
        {"state": TrialState.FAILED},
        {"role": Role.CONFIRM},
        {"stop_reason": StopReason.DIVERGED, "state": TrialState.PRUNED},
        {"metrics": {"fidelity": 0.25}},
        {"loss": math.nan},
    ],
)
def test_fewer_than_eight_trials_that_can_be_compared_say_nothing(changes: dict[str, Any]) -> None:
    space = space_of()
    seven = trials_of(space, [{}] * 7)
    with pytest.raises(ValueError, match="7 finished trials that can be compared; needs at least 8"):
        narrowed(space, [*seven, trial_of(space, 7, **changes)])
    assert isinstance(narrowed(space, [*seven, trial_of(space, 7)]), list)


def test_a_choice_that_diverges_has_been_tried_and_one_that_failed_has_not() -> None:
    space = space_of()
    good = trials_of(space, codes(*[16, 32] * 6))
    for changes, dropped in (
        ({"state": TrialState.PRUNED, "stop_reason": StopReason.DIVERGED, "loss": math.nan}, True),
        ({"state": TrialState.FAILED}, False),
    ):
        bad = [trial_of(space, 20 + number, params={"model.n_codes": 64}, **changes) for number in range(5)]
        assert ("model.n_codes" in {change.key for change in narrowed(space, good + bad)}) == dropped


def test_several_objectives_keep_whole_fronts() -> None:
    space = space_of(
        search={"objectives": [{"metric": "recon_loss", "mode": "min"}, {"metric": "bits_per_element", "mode": "min"}]}
    )
    front = [
        trial_of(
            space, n, 0.1 * n, metrics={"bits_per_element": 1 - 0.1 * n}, params={"model.n_codes": 16 if n < 5 else 32}
        )
        for n in range(9)
    ]
    behind = [
        trial_of(space, 9 + n, 1.5, metrics={"bits_per_element": 2.0 + n}, params={"model.n_codes": 64})
        for n in range(7)
    ]
    (change,) = [change for change in narrowed(space, front + behind) if change.key == "model.n_codes"]
    assert change.leaf == {"choice": [16, 32]}
    assert "the best 9 of 16 trials" in change.reason


def test_keep_says_how_many_are_the_best() -> None:
    space = space_of()
    trials = trials_of(space, codes(*[16] * 4, *[32] * 8, *[64] * 8))
    few, many = narrowed(space, trials, 0.2), narrowed(space, trials, 0.4)
    assert {change.leaf for change in few if change.key == "model.n_codes"} == {16}
    assert [change.leaf for change in many if change.key == "model.n_codes"] == [{"choice": [16, 32]}]


def test_points_that_were_tried_first_are_not_tried_again() -> None:
    content = with_values(space_of().source, {"search.first": [{"model.n_codes": 16}]})
    space = SearchSpace.from_document(Document("small.yaml", content, {}))
    found = narrowed(space, trials_of(space, codes(*[64] * 4, *[16] * 6, *[32] * 6)))
    assert runs(space, found).search.first == ()


def test_the_rest_of_the_space_stays() -> None:
    space = space_of(tracking={"experiment": "mine"})
    content = refined(space, narrowed(space, trials_of(space, codes(*[64] * 4, *[16] * 6, *[32] * 6))))
    assert content["name"] == "small-refined"
    for section in ("data", "training", "search", "tracking"):
        assert content[section] == space.source[section]
    assert space.source["model"]["n_codes"] == {"choice": [16, 32, 64]}  # not changed in place
