import pytest

from ndvq_tune.distributions import Choice, Preference, Range, Searched, parse, preference


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("choice", [1, "a", None], Choice((1, "a", None))),
        ("uniform", [0, 1], Range(0.0, 1.0)),
        ("uniform", ["1e-3", 1], Range(0.001, 1.0)),  # YAML reads 1e-3, without a point, as text
        ("log_uniform", [0.1, 10], Range(0.1, 10.0, log=True)),
        ("int_uniform", [2, 5], Range(2, 5, integer=True)),
        ("log_int_uniform", [1, 64], Range(1, 64, log=True, integer=True)),
        ("uniform", [3, 3], Range(3.0, 3.0)),
    ],
)
def test_every_kind(kind, value, expected):
    assert parse(kind, value) == expected


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ("choice", [], "not empty"),
        ("choice", "abc", "list"),
        ("choice", {"a": 1}, "list"),
        ("choice", [1, 2, 1], "once"),
        ("choice", [[1, 2], [1, 2]], "once"),
        ("uniform", [2, 1], "low may not be above high"),
        ("uniform", [1], "two numbers"),
        ("uniform", [1, 2, 3], "two numbers"),
        ("uniform", ["low", "high"], "two numbers"),
        ("uniform", [None, 1], "two numbers"),
        ("uniform", [float("nan"), 1], "two numbers"),
        ("uniform", [0, float("inf")], "two numbers"),
        ("log_uniform", [0, 1], "above 0"),
        ("log_uniform", [-1, 1], "above 0"),
        ("log_int_uniform", [0, 8], "above 0"),
        ("int_uniform", [1, 2.5], "whole numbers"),
        ("int_uniform", [1, float("inf")], "numbers"),
    ],
)
def test_what_is_no_distribution_is_named_with_what_is_allowed(kind, value, message):
    with pytest.raises(ValueError, match=message) as error:
        parse(kind, value)
    assert repr(value) in str(error.value)


@pytest.mark.parametrize("values", [[True, 1], [1, 1.0], [[1, 2], "[1, 2]"], [False, 0, None]])
def test_values_that_optuna_cannot_tell_apart_are_refused(values):
    """One of them would never be tried."""
    with pytest.raises(ValueError, match="once"):
        parse("choice", values)


@pytest.mark.parametrize(
    ("distribution", "leaf", "expected"),
    [
        (Choice((256, 512)), {}, None),
        (Choice((256, 512)), {"prefer": 512}, Preference(512, "medium")),
        (Choice(([2, 4, 4], [4, 4, 4])), {"prefer": [4, 4, 4], "confidence": "low"}, Preference([4, 4, 4], "low")),
        (Choice((None, "axial")), {"prefer": None}, Preference(None)),
        (Range(1e-4, 1e-2, log=True), {"prefer": "1e-3"}, Preference(0.001)),  # as YAML reads it
        (Range(1, 8, integer=True), {"prefer": 8, "confidence": "high"}, Preference(8, "high")),
    ],
)
def test_what_is_believed(distribution, leaf, expected):
    assert preference(distribution, leaf) == expected


@pytest.mark.parametrize(
    ("distribution", "leaf", "message"),
    [
        (Choice((256, 512)), {"prefer": 300}, "prefer: 300 given; needs one of 256, 512"),
        (Range(0.1, 1.0), {"prefer": 2}, "prefer: 2 given; needs a number from 0.1 to 1"),
        (Range(0.1, 1.0), {"prefer": "much"}, "prefer: 'much' given; needs a number"),
        (Range(1, 8, integer=True), {"prefer": 2.5}, "whole number"),
        (Choice((1, 2)), {"prefer": 1, "confidence": "sure"}, "'sure' given; needs one of low, medium, high"),
        (Choice((1, 2)), {"confidence": "high"}, "without prefer"),
    ],
)
def test_what_cannot_be_believed(distribution, leaf, message):
    with pytest.raises(ValueError, match=message):
        preference(distribution, leaf)


def test_the_leaf_of_a_parameter_says_what_is_believed_of_it():
    parameter = Searched("model.n_codes", Choice((256, 512)), {"model.n_dims": (2,)}, Preference(512, "high"))
    assert parameter.leaf == {
        "choice": [256, 512],
        "prefer": 512,
        "confidence": "high",
        "when": {"model.n_dims": 2},
    }


def test_a_belief_in_a_value_that_is_gone_goes_with_it():
    parameter = Searched("model.n_codes", Choice((256, 512, 1024)), preference=Preference(512))
    assert parameter.over(Choice((512, 1024))).preference == Preference(512)
    assert parameter.over(Choice((64, 128))).preference is None


@pytest.mark.parametrize("distribution", [Range(2.0, 32.0), Range(2.0, 32.0, log=True), Range(2, 32, True, True)])
def test_a_place_between_the_ends_and_its_value_belong_together(distribution):
    middle = 8 if distribution.log else 17
    assert [distribution.place(value) for value in (2, middle, 32)] == pytest.approx([0, 0.5, 1])
    assert [distribution.at(place) for place in (-1, 0, 0.5, 1, 3)] == pytest.approx([2, 2, middle, 32, 32])
    assert Range(3.0, 3.0, log=True).place(3.0) == 0.5
