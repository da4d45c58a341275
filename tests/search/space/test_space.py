from pathlib import Path
from typing import Any

import optuna
import pytest

from ndvq_tune.errors import ConfigError
from ndvq_tune.search.engine.optuna_space import suggest
from ndvq_tune.search.space import SearchSpace
from ndvq_tune.yaml_file import Document, from_mapping
from tests.search.search_examples import SMALL, merged, space_of, write_yaml

SHIPPED = sorted((Path(__file__).parents[3] / "search_spaces").glob("*.yaml"))


def draws(space: SearchSpace, count: int = 60):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(count):
        draft = suggest(space, study.ask())
        yield draft.params, draft.config, draft.trial.params


def test_every_shipped_space_is_there_to_be_tested():
    assert "video3d.yaml" in [path.name for path in SHIPPED]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_space_loads_and_gives_complete_runs(path):
    space = SearchSpace.load(path)
    assert space.name == path.stem
    for chosen, config, _ in draws(space, 20):
        assert chosen
        assert 1 <= config.training.max_epochs <= space.max_epochs


def test_conditional_parameters_are_drawn_only_when_they_count():
    types = set()
    for chosen, config, suggested in draws(space_of()):
        types.add(config.model.attention.type)
        active = config.model.attention.type != "none"
        assert ("model.attention.n_head" in chosen) is active
        assert set(suggested) == set(chosen)
        assert config.model.attention.n_head in ((1, 4) if active else (2,))  # 2 is the default
    assert types == {"none", "axial", "full"}


def test_conditions_hold_for_fixed_values_and_chains_in_any_order_of_the_file():
    space = space_of(
        model={
            "attention": {
                "dropout": {"uniform": [0.1, 0.2], "when": {"model.attention.n_head": 4}},
                "n_head": {"choice": [1, 4], "when": {"model.attention.type": "axial", "model.n_hiddens": 32}},
                "type": {"choice": ["none", "axial"]},
            }
        }
    )
    assert [parameter.key for parameter in space.searched][-2:] == ["model.attention.n_head", "model.attention.dropout"]
    for _, config, _ in draws(space):
        attention = config.model.attention
        assert (attention.dropout > 0) == (attention.type == "axial" and attention.n_head == 4)


def test_a_condition_on_a_list():
    space = space_of(model={"n_res_layers": {"choice": [7], "when": {"model.downsample": [[2, 4, 4]]}}})
    for _, config, _ in draws(space):
        assert (config.model.n_res_layers == 7) == (config.model.downsample == (2, 4, 4))


def test_a_space_of_an_earlier_release_searches_the_optimizer_as_one_setting():
    """Under the key that its journal has; what depends on it comes behind it."""
    space = space_of(
        training={
            "weight_decay": {"uniform": [0.1, 0.2], "when": {"training.optimizer": "adamw"}},
            "optimizer": {"choice": ["adam", "adamw"]},
        }
    )
    keys = [parameter.key for parameter in space.searched]
    assert keys.index("training.optimizer") < keys.index("training.weight_decay")
    seen = set()
    for chosen, config, _ in draws(space):
        assert config.training.optimizer.type == chosen["training.optimizer"]
        assert ("training.weight_decay" in chosen) == (chosen["training.optimizer"] == "adamw")
        seen.add(config.training.optimizer.type)
    assert seen == {"adam", "adamw"}


@pytest.mark.parametrize("kind", ["muon", "adamw", "adam"])
def test_every_setting_of_the_training_can_be_searched(kind):
    """Those of the guide to tuning: rates, betas, decay, batches, epochs, the schedule, and dropout."""
    ranges: dict[str, Any] = {
        "learning_rate": {"log_uniform": [1e-3, 1e-1]},
        "adam_learning_rate": {"log_uniform": [1e-4, 1e-2]},
        "beta1": {"uniform": [0.8, 0.95]},
        "beta2": {"uniform": [0.9, 0.999]},
        "eps": {"log_uniform": [1e-9, 1e-6]},
        "weight_decay": {"uniform": [0.0, 0.1]},
        "gradient_accumulation": {"choice": [1, 2]},
        "batch_size": {"choice": [4, 8]},
        "max_epochs": {"choice": [10, 20]},
        "optimizer": {"type": kind, "momentum": {"uniform": [0.9, 0.98]}},
        "schedule": {
            "type": {"choice": ["cosine", "constant", "linear", "cyclic", "one_cycle", "step", "inverse_sqrt"]},
            "warmup": {"uniform": [0.01, 0.2]},
            "final_share": {"uniform": [0.01, 0.2], "when": {"training.schedule.type": ["cosine", "linear"]}},
            "cycles": {"choice": [2, 4], "when": {"training.schedule.type": ["cyclic", "step"]}},
        },
    }
    space = space_of(training=ranges, model={"dropout": {"uniform": [0.0, 0.3]}})
    configs = [config for _, config, _ in draws(space)]
    runs = [config.training for config in configs]
    assert len({config.model.dropout for config in configs}) == len(runs)
    assert {run.schedule.type for run in runs} == set(ranges["schedule"]["type"]["choice"])
    assert {run.optimizer.type for run in runs} == {kind}
    assert len({(run.beta1, run.beta2, run.eps, run.optimizer.momentum) for run in runs}) == len(runs)
    assert space.max_epochs == 20


def test_points_to_try_first_are_of_the_space():
    points = [
        {"model.n_codes": 32, "model.downsample": [2, 2, 2], "model.codebook_beta": 1},
        {"model.n_codes": 48},
        {"model.codebook_beta": 3.0, "model.n_code": 16},
    ]
    with pytest.raises(ConfigError) as caught:
        space_of(search={"first": points})
    assert [(problem.key, problem.message) for problem in caught.value.problems] == [
        ("search.first", "point 2: model.n_codes: 48 given; needs one of 16, 32, 64"),
        ("search.first", "point 3: model.codebook_beta: 3.0 given; needs a number from 0.05 to 2"),
        ("search.first", "point 3: nothing is searched under 'model.n_code'; did you mean 'model.n_codes'?"),
    ]
    assert space_of(search={"first": points[:1]}).search.first == (points[0],)


@pytest.mark.parametrize(
    ("override", "left"),
    [
        ("model.n_codes=16", ({"model.codebook_beta": 1.0},)),
        ("model.n_codes={choice: [16, 64]}", ({"model.codebook_beta": 1.0},)),
        ("model.n_codes.choice=[16, 64]", ({"model.codebook_beta": 1.0},)),
        ("training.learning_rate=0.01", ({"model.n_codes": 32, "model.codebook_beta": 1.0}, {"model.n_codes": 64})),
        ("search.first=[{model.n_codes: 16}]", ({"model.n_codes": 16},)),
    ],
)
def test_what_the_command_line_sets_holds_for_the_first_points_too(override, left):
    points = [{"model.n_codes": 32, "model.codebook_beta": 1.0}, {"model.n_codes": 64}]
    content = space_of(search={"first": points}).source
    assert SearchSpace.from_document(from_mapping("small", content, [override])).search.first == left


def test_what_was_chosen_is_what_runs():
    for chosen, config, suggested in draws(space_of()):
        plain = config.to_dict()["model"]
        assert chosen["model.n_codes"] == plain["n_codes"]
        assert chosen["model.downsample"] == plain["downsample"]
        assert isinstance(suggested["model.downsample"], str)  # Optuna keeps scalars only
        assert chosen["model.codebook_beta"] == plain["codebook_beta"]
        assert config.data.clip_length == 4


def test_a_space_without_anything_to_search_gives_the_same_run_every_time():
    space = space_of(
        model={"n_codes": 16, "downsample": [1, 2, 2], "codebook_beta": 1, "attention": {"type": "none", "n_head": 1}}
    )
    assert [chosen for chosen, _, _ in draws(space, 2)] == [{}, {}]


def test_a_section_may_be_left_out():
    content = {key: SMALL[key] for key in ("name", "model")}
    space = SearchSpace.from_document(Document("test.yaml", content, {}))
    assert space.max_epochs == 20
    assert space.search.trials == 24
    assert space.complete({}).data.clip_length == 16


@pytest.mark.parametrize(
    ("max_epochs", "most"),
    [(7, 7), ({"choice": [4, 12, 8]}, 12), ({"int_uniform": [2, 5]}, 5), ({"log_int_uniform": [1, 64]}, 64)],
)
def test_most_epochs_of_any_trial(max_epochs, most):
    assert space_of(training={"max_epochs": max_epochs}).max_epochs == most


def test_a_space_as_run_is_the_same_space_again(tmp_path):
    overrides = ["model.n_codes=8", "search.seed=5", "model.attention.dropout={uniform: [0, 0.5]}"]
    space = SearchSpace.load(write_yaml(tmp_path / "a.yaml", SMALL), overrides)
    assert space.fixed["model"]["n_codes"] == 8
    assert space.search.seed == 5
    again = SearchSpace.load(write_yaml(tmp_path / "b.yaml", space.to_yaml()))
    assert again == space
    assert again.to_yaml() == space.to_yaml()


def test_drawing_changes_nothing_in_the_space():
    space = space_of()
    before = space.to_yaml(), merged({}, dict(space.fixed))
    list(draws(space, 5))
    assert (space.to_yaml(), space.fixed) == before


@pytest.mark.parametrize(
    ("search", "training", "measured"),
    [
        ({}, {}, ()),
        ({}, {"validation_metrics": ["ms_ssim", "ssim"]}, ("ssim", "ms_ssim")),
        ({"objectives": [{"metric": "ssim", "mode": "max"}]}, {}, ("ssim",)),
        ({"constraints": [{"metric": "ms_ssim", "at_least": 0.9}]}, {}, ("ms_ssim",)),
        ({"until": {"ms_ssim": 0.9}}, {"validation_metrics": ["ssim"]}, ("ssim", "ms_ssim")),
        ({"until": {"ssim": 0.9}}, {"validation_metrics": ["ssim"]}, ("ssim",)),
    ],
)
def test_validation_measures_what_the_goals_name(search, training, measured):
    assert space_of(search=search, training=training).complete({}).training.validation_metrics == measured
