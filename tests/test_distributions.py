import pytest

from ndvq_tune.distributions import Choice, Range, parse


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
