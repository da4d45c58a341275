import pytest

from ndvq_tune.errors import Problem
from ndvq_tune.goals import Constraint, Goals, Objective
from ndvq_tune.problems import validate
from ndvq_tune.search.space.settings import SearchSettings
from ndvq_tune.search.space.settings.goals import ObjectiveSettings


@pytest.mark.parametrize(
    ("metric", "mode", "allowed"),
    [
        ("recon_loss", "max", "'max' given; allowed: min, as less recon_loss is better"),
        ("psnr", "min", "'min' given; allowed: max, as more psnr is better"),
    ],
)
def test_an_objective_against_the_direction_of_its_metric_is_refused(metric, mode, allowed):
    assert validate(ObjectiveSettings, {"metric": metric, "mode": mode})[1] == [Problem("mode", allowed)]


@pytest.mark.parametrize("mode", ["min", "max"])
def test_a_metric_without_a_direction_may_go_either_way(mode):
    assert ObjectiveSettings(metric="learning_rate", mode=mode).mode == mode


def test_a_mistaken_metric_is_the_only_problem_of_its_objective():
    (problem,) = validate(ObjectiveSettings, {"metric": "recon_los", "mode": "max"})[1]
    assert problem.key == "metric"


def test_an_objective_stands_once():
    (problem,) = validate(SearchSettings, {"objectives": [{"metric": "psnr", "mode": "max"}] * 2})[1]
    assert problem.key == "objectives"
    assert problem.message.endswith("given; needs each metric once")


def test_settings_become_goals_and_a_target_their_bounds():
    search = SearchSettings.model_validate(
        {
            "objectives": [{"metric": "psnr", "mode": "max"}, {"metric": "bits_per_element", "mode": "min"}],
            "constraints": [{"metric": "parameters", "at_most": 0}, {"metric": "codebook_usage", "at_least": 0.1}],
            "until": {"recon_loss": 0.02, "psnr": 30},
        }
    )
    assert search.goals == Goals(
        (Objective("psnr", "max"), Objective("bits_per_element", "min")),
        (Constraint("parameters", "at_most", 0.0), Constraint("codebook_usage", "at_least", 0.1)),
    )
    assert search.target == (Constraint("recon_loss", "at_most", 0.02), Constraint("psnr", "at_least", 30.0))
