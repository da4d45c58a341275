"""Everything that can be wrong in a space, and what the person who wrote it is told."""

import re

import pytest
import yaml

from ndvq_tune.errors import ConfigError
from ndvq_tune.search.space import SearchSpace
from tests.search.search_examples import SMALL, merged, problems_of, space_of, write_yaml

MANY = """\
name: has spaces
data: {type: video, resolutoin: 32}
model:
  n_code: 4
  n_hiddens: wide
  downsample: [4, 4]
  embedding_dim: {choice: []}
  ema_decay: {uniform: [0.9, 0.5]}
  codebook_beta: {log_uniform: [0, 1]}
  n_codes: {chioce: [1, 2]}
  attention:
    n_head: {choice: [1, two], when: {model.attention.typ: full}}
training:
  max_epochs: 0
  learning_rate: {uniform: [-1, 1]}
search:
  trails: 4
  objectives: [{metric: loss, mode: down}]
  scheduler: {type: medain}
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "space.yaml"


def test_all_errors_of_a_file_come_at_once_each_with_line_key_value_and_what_is_allowed(path):
    problems = problems_of(path, MANY)
    expected = {
        "name": (1, "'has spaces' given"),
        "data.resolutoin": (2, "did you mean 'resolution'?; allowed: type, path, split"),
        "model.n_code": (4, "did you mean 'n_codes'?; allowed: n_dims, n_codes"),
        "model.n_hiddens": (5, "'wide' given; allowed: a whole number"),
        "model.downsample": (6, "[4, 4] given; needs one factor for each of n_dims=3 dimensions"),
        "model.embedding_dim": (7, "[] given; needs a list that is not empty"),
        "model.ema_decay": (8, "[0.9, 0.5] given; low may not be above high"),
        "model.codebook_beta": (9, "[0, 1] given; a logarithmic range needs low above 0"),
        "model.n_codes": (10, "needs a value or one of choice, uniform, log_uniform, int_uniform, log_int_uniform"),
        "model.attention.n_head": (12, "'two' given; allowed: a whole number"),
        "model.attention.n_head.when": (12, "no parameter 'model.attention.typ'; did you mean 'model.attention.type'?"),
        "training.max_epochs": (14, "0 given; allowed: at least 1"),
        "training.learning_rate": (15, "-1.0 given; allowed: above 0"),
        "search.trails": (17, "did you mean 'trials'?"),
        "search.objectives.0.metric": (
            18,
            "'loss' given; no metric of that name; allowed: recon_loss, recon_loss_pooled, psnr",
        ),
        "search.objectives.0.mode": (18, "'down' given; allowed: 'min' or 'max'"),
        "search.scheduler.type": (19, "'medain' given; did you mean 'median'?; allowed: asha, hyperband, median"),
    }
    assert set(problems) == set(expected)
    for key, (line, message) in expected.items():
        assert problems[key].line == line, key
        assert message in problems[key].message
    with pytest.raises(ConfigError) as error:
        SearchSpace.load(path)
    lines = str(error.value).splitlines()
    assert len(lines) == len(expected)
    assert lines[2] == f"{path}:4: model.n_code: {problems['model.n_code'].message}"
    assert [problem.line for problem in error.value.problems] == sorted(line for line, _ in expected.values())


def test_a_kind_of_distribution_with_a_typo_gets_a_hint(path):
    (problem,) = problems_of(path, merged(SMALL, {"model": {"n_codes": {"chioce": [16, 32]}}})).values()
    assert "did you mean 'choice'?" in problem.message
    assert "{'chioce': [16, 32]} given" in problem.message


@pytest.mark.parametrize(
    ("changes", "key", "message"),
    [
        ({"modle": {}}, "modle", "did you mean 'model'?"),
        ({"name": None}, "name", "null given; allowed: text"),
        ({"model": None}, "model", "null given; needs a mapping"),
        ({"model": [1]}, "model", "[1] given; needs a mapping"),
        ({"search": 3}, "search", "3 given; needs a mapping"),
        ({"model": {"attention": "full"}}, "model.attention", "'full' given; needs a mapping"),
        ({"model": {"attention": {"type": "fulll"}}}, "model.attention.type", "allowed: 'none', 'axial' or 'full'"),
        ({"model": {"n_codes": {"choice": [16, 1]}}}, "model.n_codes", "1 given; allowed: at least 2"),
        ({"model": {"n_codes": {"choice": [16], "uniform": [1, 2]}}}, "model.n_codes", "needs a value or one of"),
        ({"model": {"n_codes": {"choice": [16], "when": 3}}}, "model.n_codes", "when: 3 given; needs a mapping"),
        ({"model": {"n_codes": {"when": {}}}}, "model.n_codes", "needs a value or one of"),
        ({"model": {"ema_decay": {"uniform": [0.5, 1.0]}}}, "model.ema_decay", "1.0 given; allowed: below 1"),
        ({"data": {"resolution": {"choice": [16]}}}, "data.resolution", "given; allowed: a whole number"),
        ({"data": {"type": "sound"}}, "data.type", "'sound' given; allowed: video, image,"),
        ({"search": {"trials": {"choice": [1]}}}, "search.trials", "allowed: a whole number"),
        ({"search": {"objectives": []}}, "search.objectives", "[] given"),
        ({"search": {"constraints": [{"metric": "psnr"}]}}, "search.constraints.0", "exactly one of at_most"),
        ({"search": {"stop": {"collapse": {"usage": 1}}}}, "search.stop.collapse.usage", "did you mean 'usage_below'?"),
        ({"search": {"resources": {"workers_per_trial": -1}}}, "search.resources.workers_per_trial", "-1 given"),
    ],
)  # fmt: skip
def test_one_thing_wrong_is_one_problem(path, changes, key, message):
    problems = problems_of(path, merged(SMALL, changes))
    assert list(problems) == [key]
    assert message in problems[key].message


@pytest.mark.parametrize(
    ("search", "key", "message"),
    [
        ("resources: {lanes: aut}", "resources.lanes", "'aut' given; did you mean 'auto'?; allowed: a whole number"),
        ("resources: {lanes: 0}", "resources.lanes", "0 given; allowed: at least 1, or 'auto'"),
        ("resources: {gpus_per_trial: 1.5}", "resources.gpus_per_trial", "allowed: a share of one GPU (0.5), or"),
        ("until: {recon: 0.1}", "until.recon", "'recon' given; no metric of that name; did you mean 'recon_loss'?"),
        ("until: {recon: low}", "until.recon", "no metric of that name; did you mean 'recon_loss'?"),
        ("until: {fidelity: 1}", "until.fidelity", "neither more nor less of it is better; allowed: recon_loss"),
        ("until: {recon_loss: low}", "until.recon_loss", "'low' given; allowed: a number"),
        ("until: 0.1", "until", "0.1 given; allowed: a mapping"),
        ("time_budget: soon", "time_budget", "'soon' given; allowed: a duration such as 90s, 10m or 1h30m"),
        ("stop: {trial_time: -3}", "stop.trial_time", "-3 given; allowed: above 0, or null"),
        ("stop: {collapse: off}", "stop.collapse", "false given; needs a mapping, or null"),
        ("stop: {collapse: {on_collapse: restart}}", "stop.collapse.on_collapse", "did you mean 'restart_codes'?"),
        ("stop: {cost: {at_most: 3}}", "stop.cost.per_hour", "is missing"),
        ("confirm: {tops: 3}", "confirm.tops", "did you mean 'top'?; allowed: top, seeds"),
        ("sampler: {type: tpee}", "sampler.type", "'tpee' given; did you mean 'tpe'?; allowed: 'tpe', 'gp'"),
        ("scheduler: {type: pbt, quantile: 0.9}", "scheduler.quantile", "0.9 given; allowed: at most 0.5"),
        ("scheduler: {type: median, brackets: 3}", "scheduler.brackets", "unknown key; allowed: type, grace_period"),
        ("scheduler: {type: null}", "scheduler.type", "null given; did you mean 'none'?; allowed: asha"),
        ("scheduler: asha", "scheduler", "'asha' given; needs a mapping"),
        ("fidelity: {resolution: 32}", "fidelity.resolution", "32 given; allowed: a list, or null"),
        ("fidelity: {resolution: [32]}", "fidelity.resolution", "[32] given; allowed: a list of at least 2, or null"),
        ("fidelity: {resolution: [0, 64]}", "fidelity.resolution.0", "0 given; allowed: at least 1"),
        ("fidelity: {resolution: [64, 32]}", "fidelity", "resolution: [64, 32] given; needs to rise"),
        ("constraints: [{metric: psnr, at_leats: 1}]", "constraints.0.at_leats", "did you mean 'at_least'?"),
        ("objectives: recon_loss", "objectives", "'recon_loss' given; allowed: a list"),
    ],
)  # fmt: skip
def test_one_thing_wrong_in_search_is_one_problem_in_plain_words(path, search, key, message):
    problems = problems_of(path, {"name": "x", "search": yaml.safe_load(search)})
    assert list(problems) == [f"search.{key}"]
    assert message in problems[f"search.{key}"].message


def test_no_message_uses_the_words_of_a_programming_language(path):
    wrong = {"trials": [], "seed": "x", "stall": {}, "objectives": 1, "until": [], "time_budget": [], "confirm": True}
    problems = problems_of(path, {"name": 3, "search": wrong, "tracking": {"uri": ""}, "data": {"split": "x"}})
    assert len(problems) == len(wrong) + 3
    for problem in problems.values():
        assert not re.search("tuple|integer|string|dict|True|None|[Ii]nput", problem.message), problem


def test_a_name_is_needed(path):
    assert problems_of(path, {"model": {}})["name"].message == "is missing"


def test_every_value_of_a_choice_is_tried_where_it_stands(path):
    problem = problems_of(path, merged(SMALL, {"model": {"downsample": {"choice": [[1, 2, 2], [2, 2]]}}}))
    assert "[2, 2] given" in problem["model.downsample"].message


def test_a_value_that_does_not_fit_other_keys_is_found_before_the_search(path):
    """Two dimensions would fail in the middle of a search, with three factors and three-dimensional data."""
    assert problems_of(path, merged(SMALL, {"model": {"n_dims": {"choice": [3, 2]}}}))


def test_a_range_of_fractions_for_a_whole_number_is_found_before_the_search(path):
    """Both of its ends are whole, almost nothing between them is."""
    assert "model.n_codes" in problems_of(path, merged(SMALL, {"model": {"n_codes": {"uniform": [128, 256]}}}))


@pytest.mark.parametrize("dimensions", [1, 2])
def test_a_model_for_other_data_is_told_so_in_a_few_words(path, dimensions):
    model = {"n_dims": dimensions, "downsample": [2] * dimensions}
    (problem,) = problems_of(path, {"name": "x", "model": model}).values()
    assert problem.line is not None
    assert f"data.type video has 3 dimensions, but n_dims is {dimensions}" in problem.message
    assert "{" not in problem.message  # not the whole section


@pytest.mark.parametrize(
    ("when", "message"),
    [
        ({"model.attention.typ": "full"}, "did you mean 'model.attention.type'?"),
        ({"attention.type": "full"}, "no parameter 'attention.type'"),
        ({"model.attention": "full"}, "no parameter 'model.attention'"),
        ({"search.trials": 3}, "no parameter 'search.trials'"),
        ({"data.augment": {}}, "no parameter 'data.augment'"),
    ],
)
def test_a_condition_on_an_unknown_key(path, when, message):
    problems = problems_of(path, merged(SMALL, {"model": {"n_codes": {"choice": [16], "when": when}}}))
    assert message in problems["model.n_codes.when"].message


@pytest.mark.parametrize(
    "circle", [{"n_codes": "model.n_codes"}, {"n_codes": "model.n_hiddens", "n_hiddens": "model.n_codes"}]
)
def test_conditions_in_a_circle(path, circle):
    model = {name: {"choice": [16, 32], "when": {key: 16}} for name, key in circle.items()}
    (problem,) = problems_of(path, merged(SMALL, {"model": model})).values()
    assert "circle" in problem.message


@pytest.mark.parametrize(
    "content",
    [
        {"name": "x", "model": {"attention.type": {"choice": ["none", "full"]}}},
        {"name": "x", "model": {"n_codes": {"choice": [16]}, 3: {"choice": [16]}}},
        {"name": "x", 3: 4},
        {"name": "x", None: {}},
        "name: x\nmodel: {n_codes: {choice: [2020-01-01, 16]}}\n",
        "name: x\nmodel: {n_codes: {choice: [{a: 1}]}}\n",
    ],
    ids=["dotted key", "number as key", "number as section", "nothing as section", "date", "mapping"],
)
def test_odd_keys_and_values_are_problems_of_the_file(path, content):
    assert problems_of(path, content)


def test_an_override_is_checked_like_the_file(path):
    problems = problems_of(path, SMALL, "model.n_hidens=64", "training.batch_size=many")
    assert "did you mean 'n_hiddens'?" in problems["--set model.n_hidens"].message
    assert "'many' given" in problems["--set training.batch_size"].message


def test_lines_are_those_of_the_nearest_key_that_the_file_has(path):
    write_yaml(path, "name: x\nsearch:\n  stop:\n    cost: {at_most: 3}\n")
    with pytest.raises(ConfigError, match=rf"{path}:4: search.stop.cost.per_hour: is missing"):
        SearchSpace.load(path)


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("model.n_codes=-1", "model.n_codes: -1 given"),
        ("model={n_codes: -1}", "model.n_codes: -1 given"),
        ("model.n_codes.choice=[-1]", "model.n_codes: -1 given"),
        ("model.n_code=4", "model.n_code: unknown key"),
    ],
)
def test_what_the_command_line_says_is_not_blamed_on_the_file(path, override, problem):
    write_yaml(path, "name: x\nmodel:\n  n_codes: {choice: [4]}\n  n_hiddens: -2\n")
    with pytest.raises(ConfigError) as error:
        SearchSpace.load(path, [override])
    first, *rest = str(error.value).splitlines()
    assert first.startswith(f"{path}: --set {problem}")
    assert all(line.startswith(f"{path}:4: model.n_hiddens: -2") for line in rest)


@pytest.mark.parametrize("given", ["bayes", "evolution", "bohb"])
def test_a_name_that_only_looks_a_little_alike_is_no_hint(path, given):
    problem = problems_of(path, {"name": "x", "search": {"sampler": {"type": given}}})["search.sampler.type"]
    assert "did you mean" not in problem.message


@pytest.mark.parametrize(
    ("search", "hint"),
    [("scheduler: {type: aasha}", "asha"), ("sampler: {type: cma}", "cmaes"), ("sampler: {tipe: tpe}", "type")],
)
def test_a_typo_gets_a_hint(path, search, hint):
    (problem,) = problems_of(path, {"name": "x", "search": yaml.safe_load(search)}).values()
    assert f"did you mean {hint!r}?" in problem.message


def test_a_good_space_has_no_problems():
    assert space_of().name == "small"
