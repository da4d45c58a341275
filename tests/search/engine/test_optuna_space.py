import json

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import create_trial

from ndvq_tune.distributions import Choice, Range, label
from ndvq_tune.search.engine.optuna_space import optuna_distribution, suggest_value


@given(st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=3), min_size=1, max_size=5, unique_by=str))
def test_lists_come_back_as_lists_though_optuna_keeps_text(values):
    choice = Choice(tuple(values))
    for value in values:
        assert suggest_value(optuna.trial.FixedTrial({"key": json.dumps(value)}), "key", choice) == value


@pytest.mark.parametrize("log", [False, True])
def test_draws_stay_inside_and_whole_numbers_reach_both_ends(log):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    trials = [study.ask() for _ in range(60)]
    assert {suggest_value(trial, "a", Range(1, 4, log, integer=True)) for trial in trials} == {1, 2, 3, 4}
    drawn = [suggest_value(trial, "b", Range(0.5, 8, log)) for trial in trials]
    assert 0.5 <= min(drawn) < 1
    assert 6 < max(drawn) <= 8
    assert (sum(value < 2 for value in drawn) > 20) is log  # half of the draws on a log scale, a fifth otherwise


@pytest.mark.parametrize(
    ("distribution", "values"),
    [
        (Choice((1, "a", None, [1, 2])), (1, "a", None, [1, 2])),
        (Range(1, 4, integer=True), (1, 4)),
        (Range(0.5, 8.0, log=True), (0.5, 8.0)),
    ],
)
def test_optunas_distribution_holds_what_ours_gives(distribution, values):
    theirs = optuna_distribution(distribution)
    for value in map(label, values):
        trial = create_trial(params={"x": value}, distributions={"x": theirs}, value=0.0)  # checks the value
        assert trial.params == {"x": value}
    assert getattr(theirs, "log", False) is getattr(distribution, "log", False)
