import io
from itertools import product

import pytest
from rich.console import Console

from ndvq_tune.config import ImageData, RunConfig, VideoData
from ndvq_tune.errors import ConfigError, DataError
from ndvq_tune.model import build_model
from ndvq_tune.search import dry_run
from ndvq_tune.search.dry_run import EXTREMES, feasibility, print_dry_run
from ndvq_tune.search.resources.extremes import extreme
from ndvq_tune.search.resources.planning import plan_resources
from ndvq_tune.search.resources.preflight import Preflight
from ndvq_tune.search.space import SearchSpace
from ndvq_tune.training.evaluation import static_metrics
from tests.search.search_examples import space_of

SPACE = space_of(
    model={
        "codebook_beta": 0.25,
        "embedding_dim": {"choice": [8, 2]},
        "n_hiddens": {"int_uniform": [4, 8]},
        "downsample": {"choice": [[2, 2, 2], [1, 4, 4], [1, 2, 2]]},
        "n_codes": {"choice": [32, 16]},
        "attention": {"type": {"choice": ["axial", "none"]}, "n_head": 2},
    }
)
CONDITIONAL = space_of(
    model={
        "codebook_beta": 0.25,
        "downsample": [1, 2, 2],
        "n_hiddens": 8,
        "n_res_layers": {"choice": [1, 6], "when": {"model.attention.type": "none"}},
        "attention": {"type": {"choice": ["none", "full"]}, "n_head": 2},
    }
)


def all_points(space: SearchSpace) -> list[dict]:
    keys = [parameter.key for parameter in space.searched]
    points = product(*(parameter.distribution.probes for parameter in space.searched))
    return [dict(zip(keys, values, strict=True)) for values in points]


def measured(space: SearchSpace, chosen: dict) -> dict[str, float]:
    config = space.complete(chosen)
    return static_metrics(build_model(config.model, config.data.sample_shape))


def at(space: SearchSpace, name: str) -> dict:
    return found(space, name)[0]


def found(space: SearchSpace, name: str) -> tuple[dict, RunConfig]:
    return extreme(space, Preflight(space, space.data.sample_shape), *EXTREMES[name])


@pytest.fixture(scope="module")
def everything() -> list[dict[str, float]]:
    return [measured(SPACE, chosen) for chosen in all_points(SPACE)]


@pytest.mark.parametrize("name", [name for name in EXTREMES if name != "most memory"])
def test_extremes_are_those_of_all_models_in_the_space(everything, name):
    metric, sign = EXTREMES[name]
    assert sign * measured(SPACE, at(SPACE, name))[metric] == min(sign * metrics[metric] for metrics in everything)


def test_an_extreme_names_only_what_makes_it_one():
    assert at(SPACE, "highest rate") == {"model.n_codes": 32, "model.downsample": [1, 2, 2]}
    assert at(SPACE, "fewest parameters")["model.attention.type"] == "none"


@pytest.mark.parametrize("space", [SPACE, CONDITIONAL])
@pytest.mark.parametrize("name", EXTREMES)
def test_an_extreme_is_a_model_that_the_search_can_draw(space, name):
    """Also in what changes nothing of the metric; without attention only, residual layers are searched."""
    config = found(space, name)[1]
    points = all_points(space)
    active = [[parameter.key for parameter in space.searched if space.active(parameter, point)] for point in points]
    assert config in [
        space.complete({key: point[key] for key in keys}) for point, keys in zip(points, active, strict=True)
    ]


def printed(space: SearchSpace, **extra: float) -> str:
    console = Console(file=io.StringIO(), width=240)
    print_to(console, space, **extra)
    return console.file.getvalue()  # type: ignore[attr-defined]


def print_to(console: Console, space: SearchSpace, shape: tuple[int, ...] | None = None, **extra: float) -> None:
    plan, preflight = plan_resources(space, shape or space.data.sample_shape, [{"CPU": 2.0} | extra])
    print_dry_run(space, plan, preflight, console)


def test_the_print_has_the_space_the_lanes_and_the_extremes(everything, tmp_path):
    text = printed(SPACE)
    assert text.startswith(SPACE.to_yaml().rstrip())
    assert "6 trials on 2 lanes, each with 1 worker of 1 CPU" in text
    rows = {name: next(line for line in text.splitlines() if line.startswith(name)) for name in EXTREMES}
    most = max(metrics["parameters"] for metrics in everything)
    assert f"{most:,.0f}" in rows["most parameters"]
    assert "1.2500" in rows["highest rate"]  # 5 bits a code, 4 pixels a code
    assert "0.2500" in rows["lowest rate"]  # 4 bits a code, 16 pixels a code
    assert "\nlowest rate: n_codes 16, downsample 1x4x4\n" in text


def test_a_space_without_anything_to_search_prints_its_one_model():
    fixed = {"n_codes": 16, "downsample": [1, 2, 2], "codebook_beta": 1, "attention": {"type": "none", "n_head": 1}}
    assert printed(space_of(model=fixed)).count("1.0000") == len(EXTREMES)


def test_the_print_says_how_much_passes(monkeypatch):
    monkeypatch.setattr(dry_run, "SAMPLES", 10)
    assert "about 100% of the space passes before training (of 10" in printed(space_of(), memory=2.0**40)


WHERE_NOTHING_PASSES = {
    "constraint": (
        {"search": {"constraints": [{"metric": "bits_per_element", "at_most": 0.01}]}},
        {},
        "100% break bits_per_element at_most 0.01 (of 10 random configurations)",
        "search.constraints: none of 10 .*: 10 break bits_per_element at_most 0.01, .* after 300 .*; loosen",
    ),
    "memory": (
        {},
        {"memory": 2.0**28},
        "100% may not fit the memory of a worker (0.2 GiB) (of 10 random configurations)",
        r"search.resources.lanes: none of 10 .*: 10 may not fit the memory of a worker .*; have fewer lanes",
    ),
    "shape": (
        {},
        {"shape": (3, 16, 16)},
        "100% do not fit the samples",
        "model.n_dims: none of 10 .*: 10 do not fit the samples, .*; have models of as many dimensions as the samples",
    ),
}


@pytest.mark.parametrize(("changes", "given", "told", "error"), WHERE_NOTHING_PASSES.values(), ids=WHERE_NOTHING_PASSES)
def test_where_nothing_passes_the_reason_is_printed_and_is_an_error_with_what_to_do(
    monkeypatch, changes, given, told, error
):
    monkeypatch.setattr(dry_run, "SAMPLES", 10)
    console = Console(file=io.StringIO(), width=240)
    with pytest.raises(ConfigError, match=f"small: {error}"):
        print_to(console, space_of(**changes), **given)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert f"about 0% of the space passes before training: {told}" in text
    assert "most parameters" in text


def test_shares_are_those_of_the_sample():
    text = feasibility(space_of(), 0.5, {"shape": dry_run.SAMPLES // 2}, None)
    assert text == "about 50% of the space passes before training: 50% do not fit the samples"


@pytest.mark.parametrize("config", [VideoData(clip_length=4, resolution=16), ImageData(channels=1, resolution=8)])
def test_samples_whose_shape_the_settings_tell_are_not_made(config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(dry_run, "ensure_samples", lambda *_: pytest.fail("made"))
    assert dry_run.checked_sample_shape(config) == config.sample_shape


def test_a_folder_of_ones_own_that_is_not_there_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        dry_run.checked_sample_shape(VideoData(path="films"))
