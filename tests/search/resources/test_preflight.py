import pytest

from ndvq_tune.config import RunConfig
from ndvq_tune.model import build_model
from ndvq_tune.search.resources import preflight as module
from ndvq_tune.search.resources.preflight import Preflight, feasible_share, large_memory, random_configurations
from ndvq_tune.training.evaluation import static_metrics
from ndvq_tune.training.prediction import predict
from tests.search.search_examples import space_of

SHAPE = (3, 4, 16, 16)


def bounded(*constraints: dict):
    return space_of(search={"constraints": list(constraints)})


def config(**model) -> RunConfig:
    return space_of().complete({f"model.{key}": value for key, value in {"n_codes": 16, **model}.items()})


def bits(n_codes: int) -> float:
    """Of a model that halves three sizes: a code for 8 voxels."""
    return n_codes.bit_length() / 8 - 1 / 8


def test_static_constraints_are_known_beforehand_with_their_violations():
    bits_at_most = {"metric": "bits_per_element", "at_most": 0.55}
    parameters_at_least = {"metric": "parameters", "at_least": 1e6}
    later = {"metric": "codebook_usage", "at_least": 0.1}
    space = bounded(bits_at_most, parameters_at_least, later)
    check = Preflight(space, SHAPE).check(config(downsample=[2, 2, 2]))
    model = build_model(config(downsample=[2, 2, 2]).model, SHAPE)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    at_most, at_least, _ = space.search.goals.constraints
    assert check.constraints == pytest.approx(
        {"bits_per_element": at_most.violation(0.5), "parameters": at_least.violation(parameters)}
    )
    assert check.constraints["bits_per_element"] < 0
    assert check.broken == ("parameters",)


def test_of_two_bounds_on_a_metric_the_broken_one_counts():
    both = bounded({"metric": "bits_per_element", "at_most": 0.4}, {"metric": "bits_per_element", "at_least": 0.1})
    check = Preflight(both, SHAPE).check(config(downsample=[2, 2, 2]))
    assert check.constraints == pytest.approx({"bits_per_element": both.search.goals.constraints[0].violation(0.5)})
    assert check.broken == ("bits_per_element",)


def test_memory_beyond_what_a_worker_may_take_rules_out_by_its_share():
    taken = predict(config(downsample=[2, 2, 2]), SHAPE, "cuda").memory_bytes
    tight, wide = (
        Preflight(space_of(), SHAPE, factor * taken, "cuda").check(config(downsample=[2, 2, 2])) for factor in (0.5, 2)
    )
    assert tight.constraints == pytest.approx({"memory": 1.0})
    assert tight.broken == ("memory",)
    assert wide.constraints == pytest.approx({"memory": -0.5})
    assert wide.broken == ()


def test_nothing_known_rules_nothing_out():
    check = Preflight(space_of(), SHAPE).check(config(downsample=[2, 2, 2]))
    assert (dict(check.constraints), check.broken) == ({}, ())


@pytest.mark.parametrize("memory", [None, 2**40])
def test_samples_that_no_model_fits_are_ruled_out_and_say_why(memory):
    preflight = Preflight(space_of(), (3, 16, 16), memory)
    check = preflight.check(config(downsample=[2, 2, 2]))
    assert check.broken == ("shape",)
    assert "input_shape needs channels and n_dims=3 sizes" in preflight.static(config(downsample=[2, 2, 2]))


def test_a_loss_that_the_samples_do_not_allow_is_found_with_the_memory():
    spectral = space_of(training={"loss": {"spectral_weight": 1.0}}).complete({})
    assert Preflight(space_of(), SHAPE, 2**40).check(spectral).broken == ("shape",)


def test_a_model_is_looked_at_once_whatever_its_learning(monkeypatch):
    calls = []
    monkeypatch.setattr(module, "predict", lambda *args: calls.append(args) or predict(*args))
    module._predicted.cache_clear()
    preflight = Preflight(space_of(), SHAPE, 1e12)
    for beta, seed, dropout in ((0.1, 0, 0.1), (0.2, 1, 0.3)):
        chosen = {"model.codebook_beta": beta, "training.seed": seed}
        chosen |= {"model.attention.dropout": dropout, "model.dropout": dropout}
        preflight.check(space_of().complete({**chosen, "model.n_codes": 16, "model.downsample": [2, 2, 2]}))
    assert len(calls) == 1
    for number, other in enumerate(({"n_hiddens": 8}, {"stem": "patch"}, {"dropout": 0.1}, {}), start=2):
        preflight.check(config(downsample=[2, 2, 2], **other))
        assert len(calls) == number


@pytest.mark.parametrize(
    "quantizer",
    [{"type": "ema"}, {"type": "residual", "n_quantizers": 3}, {"type": "simvq"}, {"type": "fsq"}, {"type": "lfq"}],
    ids=lambda settings: settings["type"],
)
def test_the_rate_of_a_candidate_is_that_of_its_model(quantizer):
    space = bounded({"metric": "bits_per_element", "at_most": 10})
    for downsample in ([2, 2, 2], [1, 4, 3]):
        candidate = config(downsample=downsample, quantizer=quantizer, embedding_dim=8)
        known = Preflight(space, SHAPE).goal_metrics(candidate)
        assert known == {"bits_per_element": static_metrics(build_model(candidate.model, SHAPE))["bits_per_element"]}


def test_of_candidates_only_what_goals_read_is_asked_and_no_model_is_built_for_a_rate(monkeypatch):
    chosen = config(downsample=[2, 2, 2])
    parameters = Preflight(bounded({"metric": "parameters", "at_most": 1e9}), SHAPE).goal_metrics(chosen)
    assert parameters == static_metrics(build_model(chosen.model, SHAPE))
    monkeypatch.setattr(module, "_static", lambda *args: pytest.fail("a model was built"))
    tight, wide = (bounded({"metric": "bits_per_element", "at_most": bound}) for bound in (0.4, 0.6))
    assert Preflight(wide, SHAPE).goal_metrics(chosen) == {"bits_per_element": 0.5}
    assert Preflight(tight, SHAPE).goal_metrics(chosen) is None
    assert Preflight(wide, SHAPE[1:]).goal_metrics(chosen) is None


def test_the_share_that_passes_is_that_of_a_sample_of_the_space():
    space = bounded({"metric": "bits_per_element", "at_most": bits(32)})
    share, counts = feasible_share(space, Preflight(space, SHAPE), samples=300)
    # Of 9 pairs, n_codes of 16, 32 or 64 with 4, 8 or 32 voxels a code, the first three and 64 codes with 8 break it.
    assert share == pytest.approx(5 / 9, abs=0.1)
    assert counts == {"bits_per_element": round(300 * (1 - share))}


def test_random_configurations_are_the_same_for_the_same_seed():
    first, again, other = (list(random_configurations(space_of(), 5, seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_a_large_configuration_is_among_the_largest_of_those_allowed():
    space = bounded({"metric": "bits_per_element", "at_most": 0.5})
    preflight = Preflight(space, SHAPE, None, "cuda")
    drawn = [one for one in random_configurations(space, 12) if not preflight.check(one).broken]
    sizes = sorted(predict(one, SHAPE, "cuda").memory_bytes for one in drawn)
    assert sizes[-2] <= large_memory(space, preflight, samples=12) <= sizes[-1]
    assert large_memory(space, Preflight(space, (3, 4, 4)), samples=2) is None
