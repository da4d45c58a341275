"""Lanes and pre-flight of a search, from the memory that its models take."""

import pytest

from ndvq_tune.errors import ClusterError
from ndvq_tune.search.resources.lanes import MEMORY_SHARE
from ndvq_tune.search.resources.planning import largest_memory, plan_resources
from ndvq_tune.search.resources.preflight import MEMORY, Preflight, large_memory
from ndvq_tune.search.space import SearchSpace
from ndvq_tune.training.group import GPU_MEMORY_SHARE
from tests.search.search_examples import space_of

SHAPE = (3, 4, 16, 16)
# Widths far apart, and nothing else that takes memory.
SPACE = space_of(
    model={
        "n_codes": 16,
        "downsample": [1, 2, 2],
        "codebook_beta": 0.25,
        "attention": {"type": "none", "n_head": 2},
        "n_hiddens": {"choice": [8, 512]},
    },
)


def taken(space: SearchSpace, n_hiddens: int, device: str = "cpu") -> float:
    """Predicted bytes of a worker."""
    predicted = Preflight(space, SHAPE, None, device).predict(space.complete({"model.n_hiddens": n_hiddens}))
    assert not isinstance(predicted, str)
    return float(predicted.memory_bytes)


def node(cpus: float, memory: float) -> dict[str, float]:
    return {"CPU": cpus, "GPU": 0.0, "memory": memory}


def allowed(space: SearchSpace, preflight: Preflight, n_hiddens: int) -> bool:
    return not preflight.check(space.complete({"model.n_hiddens": n_hiddens})).broken


def test_the_largest_model_is_found_without_a_look_at_all():
    assert largest_memory(SPACE, Preflight(SPACE, SHAPE)) == taken(SPACE, 512)
    assert largest_memory(SPACE, Preflight(SPACE, SHAPE[1:])) is None  # no model fits such samples


def test_where_the_largest_model_fits_on_all_lanes_none_is_measured_before_it_is_trained(monkeypatch):
    plan, preflight = plan_resources(SPACE, SHAPE, [node(4, 4.01 * taken(SPACE, 512) / MEMORY_SHARE)])
    assert (plan.lanes, plan.crowded) == (4, False)
    monkeypatch.setattr(preflight, "predict", lambda config: pytest.fail("measured"))
    assert all(allowed(SPACE, preflight, n_hiddens) for n_hiddens in (8, 512))


def test_where_nobody_knows_the_memory_nothing_is_limited(monkeypatch):
    plan, preflight = plan_resources(SPACE, SHAPE, [{"CPU": 4.0, "GPU": 0.0}])
    assert (plan.lanes, plan.memory_bytes) == (4, None)
    assert allowed(SPACE, preflight, 512)


def test_scarce_memory_makes_fewer_lanes_that_hold_large_models():
    memory = 2.5 * taken(SPACE, 512) / MEMORY_SHARE
    plan, preflight = plan_resources(SPACE, SHAPE, [node(4, memory)])
    assert (plan.lanes, plan.group.cpus) == (2, 2)
    assert plan.memory_bytes == pytest.approx(MEMORY_SHARE * memory / 2)
    assert all(allowed(SPACE, preflight, n_hiddens) for n_hiddens in (8, 512))
    check = preflight.check(SPACE.complete({"model.n_hiddens": 512}))
    assert check.constraints == {MEMORY: pytest.approx(taken(SPACE, 512) / plan.memory_bytes - 1)}


def test_what_fits_on_no_lane_is_ruled_out():
    between = (taken(SPACE, 8) + taken(SPACE, 512)) / 2
    plan, preflight = plan_resources(SPACE, SHAPE, [node(4, between / MEMORY_SHARE)])
    assert (plan.lanes, plan.crowded) == (1, True)
    assert allowed(SPACE, preflight, 8)
    check = preflight.check(SPACE.complete({"model.n_hiddens": 512}))
    assert check.broken == (MEMORY,)
    assert check.constraints[MEMORY] == pytest.approx(taken(SPACE, 512) / between - 1)


def test_lanes_are_counted_for_a_large_model_and_not_for_one_that_is_rare():
    """One width in twenty is drawn too seldom to have all others wait for it."""
    rare = space_of(
        model={key: value for key, value in SPACE.source["model"].items() if key != "n_hiddens"}
        | {"n_hiddens": {"choice": [*range(8, 27), 640]}}
    )
    usual = large_memory(rare, Preflight(rare, SHAPE))
    assert usual < taken(rare, 640) / 2
    plan, preflight = plan_resources(rare, SHAPE, [node(2, 2.01 * usual / MEMORY_SHARE)])
    assert plan.lanes == 2
    assert not allowed(rare, preflight, 640)
    assert allowed(rare, preflight, 8)


def test_orders_for_lanes_are_kept_and_what_does_not_fit_them_is_ruled_out():
    ordered = space_of(model=SPACE.source["model"], search={"resources": {"lanes": 2}})
    memory = 1.5 * taken(ordered, 512) / MEMORY_SHARE
    plan, preflight = plan_resources(ordered, SHAPE, [node(4, memory)])
    assert plan.lanes == 2
    assert not allowed(ordered, preflight, 512)
    assert allowed(ordered, preflight, 8)


def test_on_gpus_there_is_always_a_limit():
    """What does not fit a GPU fails there, and fractions of it are shared."""
    memory = 40 * taken(SPACE, 512, "cuda")
    plan, preflight = plan_resources(SPACE, SHAPE, [{"CPU": 4.0, "GPU": 1.0, "gpu_memory": memory}])
    assert (plan.lanes, plan.group.gpus) == (4, 0.25)
    assert plan.memory_bytes == pytest.approx(GPU_MEMORY_SHARE * memory / 4)
    check = preflight.check(SPACE.complete({"model.n_hiddens": 512}))
    assert check.constraints == {MEMORY: pytest.approx(taken(SPACE, 512, "cuda") / plan.memory_bytes - 1)}


def test_a_cluster_without_room_for_one_trial_is_told():
    with pytest.raises(ClusterError, match="one trial needs"):
        plan_resources(SPACE, SHAPE, [])
