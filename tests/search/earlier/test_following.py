"""What findings ask of a space."""

from typing import Any

import pytest

from ndvq_tune.diagnosis.finding import Change, Confidence, Evidence, Finding, Start
from ndvq_tune.search.earlier.narrowing import narrowed, refined
from ndvq_tune.search.space import SearchSpace
from ndvq_tune.yaml_file import Document
from tests.search.earlier.earlier_examples import POINT, trial_of
from tests.search.search_examples import space_of

BEST = "trial-0000"


def found(settings: dict[str, Any], trial: str | None = BEST, start: Start = Start.SEARCH) -> Finding:
    return Finding(
        "sign", "it was seen", Evidence("figure", 2, 1, trial), Confidence.MEDIUM, "do it", Change(settings, start)
    )


def follow(*findings: Finding, space: SearchSpace | None = None, **best: Any) -> tuple[SearchSpace, list[Finding]]:
    """The space after eight trials of which the first is the best, and the findings that it follows.

    The others are all alike.
    """
    space = space or space_of()
    trials = [trial_of(space, number, 0.1, params=best if number == 0 else {}) for number in range(8)]
    changes = narrowed(space, trials, findings=findings)
    followed = [finding for finding in findings if any(finding in change.findings for change in changes)]
    assert all("sign (" in change.reason for change in changes if change.findings)
    return SearchSpace.from_document(Document("refined.yaml", refined(space, changes), {})), followed


def test_a_fixed_setting_gets_the_value() -> None:
    longer = found({"training.max_epochs": 48}, start=Start.TRAIN)
    space, followed = follow(longer)
    assert space.max_epochs == 48
    assert followed == [longer]
    assert space.search.first == ()


def test_a_setting_that_the_space_does_not_name_is_added_to_it() -> None:
    assert follow(found({"model.dropout": 0.1}))[0].fixed["model"]["dropout"] == 0.1


def test_a_range_reaches_to_a_value_outside_and_the_trial_with_it_is_tried_first() -> None:
    lower = found({"model.codebook_beta": 0.02})
    space, followed = follow(lower, **{"model.codebook_beta": 0.08})
    assert space.source["model"]["codebook_beta"]["log_uniform"][0] == 0.02
    (point,) = space.search.first
    assert point["model.codebook_beta"] == 0.02
    assert point["model.downsample"] == POINT["model.downsample"]
    assert followed == [lower]


def test_a_range_that_the_best_trials_narrow_keeps_room_for_what_a_finding_asks() -> None:
    space, _ = follow(found({"model.codebook_beta": 0.1}))  # all trials have 0.5
    low, high = space.source["model"]["codebook_beta"]["log_uniform"]
    assert low == 0.1
    assert 0.5 < high < 0.7
    assert [point["model.codebook_beta"] for point in space.search.first] == [0.1]


def test_a_value_inside_of_a_range_is_only_tried_first() -> None:
    space, followed = follow(found({"model.codebook_beta": 0.5}))
    assert [point["model.codebook_beta"] for point in space.search.first] == [0.5]
    assert len(followed) == 1


def test_a_choice_of_numbers_gets_one_more_in_their_order() -> None:
    for value, choice in ((128, [16, 32, 64, 128]), (8, [8, 16, 32, 64])):
        assert follow(found({"model.n_codes": value}))[0].source["model"]["n_codes"] == {"choice": choice}


def test_what_all_trials_say_decides_and_what_depends_on_it_goes() -> None:
    space, _ = follow(found({"model.attention.type": "none"}, trial=None))
    assert space.source["model"]["attention"] == {"type": "none"}
    assert space.search.first == ()


def test_an_edge_is_moved_as_the_finding_says_and_the_rest_is_narrowed() -> None:
    wider = found({"model.n_codes": {"choice": [16, 32, 64, 128]}}, trial=None)
    space, followed = follow(wider, **{"model.n_codes": 64})
    assert 128 in space.source["model"]["n_codes"]["choice"]
    assert followed == [wider]


def test_a_distribution_keeps_its_condition() -> None:
    leaf = {"choice": [1, 2, 4], "when": {"model.attention.type": ["axial", "full"]}}
    space, _ = follow(found({"model.attention.n_head": leaf}, trial=None))
    assert space.source["model"]["attention"]["n_head"] == leaf | {"choice": [1, 2, 4]}


def test_the_most_important_finding_has_the_say() -> None:
    first, second = found({"training.max_epochs": 48}), found({"training.max_epochs": 4})
    space, followed = follow(first, second)
    assert space.max_epochs == 48
    assert followed == [first]


@pytest.mark.parametrize(
    "finding",
    [
        found({"search.trials": 99}, start=Start.RESUME),  # the same search goes on
        found({"model.embedding_dim": 0}),  # no such value
        found({"model.codebook_beta": -1.0}),
        found({"search.scheduler.type": "nothing"}),
        found({"training.max_epochs": 9}),  # it has as many
        Finding("sign", "it was seen", Evidence("figure", 2, 1), Confidence.HIGH, "more data"),
    ],
)
def test_what_a_space_cannot_have_or_need_not_changes_nothing(finding: Finding) -> None:
    with_it, followed = follow(finding)
    without, _ = follow()
    assert with_it == without
    assert followed == []
