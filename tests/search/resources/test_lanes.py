import pytest
import ray
from hypothesis import assume, example, given
from hypothesis import strategies as st

from ndvq_tune.errors import ClusterError
from ndvq_tune.search.resources.cluster import local_node
from ndvq_tune.search.resources.lanes import MEMORY_SHARE, LanePlan, device_type, plan_lanes
from ndvq_tune.search.space.settings.resources import ResourceSettings
from ndvq_tune.training.group import GPU_MEMORY_SHARE

Nodes = list[dict[str, float]]


GIB = 2**30


def plan(nodes: Nodes, trials: int = 16, memory: float | None = None, **settings) -> LanePlan:
    return plan_lanes(nodes, trials, ResourceSettings(**settings), "storage", memory)


def cpus(*counts: float) -> Nodes:
    return [{"CPU": count, "GPU": 0.0} for count in counts]


def shape(planned: LanePlan) -> tuple[int, int, float, float]:
    return planned.lanes, planned.group.workers, planned.group.cpus, planned.group.gpus


@pytest.mark.parametrize(
    ("nodes", "trials", "settings", "expected"),
    [
        (cpus(1), 16, {}, (1, 1, 1, 0)),
        (cpus(2), 16, {}, (2, 1, 1, 0)),
        (cpus(2), 1, {}, (1, 1, 2, 0)),  # a CPU without a trial becomes a thread
        (cpus(64), 16, {}, (16, 1, 4, 0)),
        (cpus(64), 100, {}, (64, 1, 1, 0)),
        (cpus(64), 100, {"lanes": 3}, (3, 1, 21, 0)),
        (cpus(8), 16, {"cpus_per_worker": 3}, (2, 1, 3, 0)),
        (cpus(8), 16, {"workers_per_trial": 2}, (4, 2, 1, 0)),
        (cpus(8), 2, {"workers_per_trial": 2}, (2, 2, 2, 0)),
        (cpus(4), 16, {"workers_per_trial": 0}, (4, 0, 1, 0)),
        (cpus(4, 2, 1), 16, {}, (7, 1, 1, 0)),
        (cpus(4, 2, 1), 3, {}, (3, 1, 2, 0)),
        (cpus(3, 3), 16, {"cpus_per_worker": 2}, (2, 1, 2, 0)),  # a worker never spans two nodes
        (cpus(3.5), 16, {}, (3, 1, 1, 0)),
        ([{"CPU": 16, "GPU": 4}], 16, {}, (4, 1, 4, 1)),
        ([{"CPU": 2, "GPU": 4}], 16, {}, (2, 1, 1, 1)),
        ([{"CPU": 16, "GPU": 4}], 16, {"gpus_per_trial": 0}, (16, 1, 1, 0)),
        ([{"CPU": 16, "GPU": 2}], 16, {"gpus_per_trial": 0.5}, (4, 1, 4, 0.5)),
        ([{"CPU": 16, "GPU": 4}], 16, {"gpus_per_trial": 2}, (2, 1, 8, 2)),
        ([{"CPU": 8}, {"CPU": 4, "GPU": 1}], 16, {}, (1, 1, 4, 1)),  # GPUs are on one node only
        ([{"CPU": 30, "GPU": 1}], 30, {"gpus_per_trial": 0.1}, (10, 1, 3, 0.1)),
        # A share of a GPU lies on one GPU: two shares of 0.4 fit on each of two, not five on both.
        ([{"CPU": 8, "GPU": 2}], 16, {"gpus_per_trial": 0.4}, (4, 1, 2, 0.4)),
        ([{"CPU": 8, "GPU": 3}], 16, {"gpus_per_trial": 0.6}, (3, 1, 2, 0.6)),
    ],
)
def test_lanes_of_a_cluster(nodes, trials, settings, expected):
    assert shape(plan(nodes, trials, **settings)) == expected


@pytest.mark.parametrize(
    ("nodes", "settings"),
    [
        (cpus(2), {"workers_per_trial": 3}),
        (cpus(2), {"cpus_per_worker": 3}),
        (cpus(2), {"gpus_per_trial": 1}),
        (cpus(2, 2), {"cpus_per_worker": 3}),
        ([{"CPU": 8, "GPU": 1}, {"CPU": 8, "GPU": 1}], {"gpus_per_trial": 2}),
        ([], {}),
        ([{"memory": 1.0}], {}),
    ],
)
def test_too_little_for_one_trial_is_told_with_what_there_is(nodes, settings):
    with pytest.raises(ClusterError, match="one trial needs") as error:
        plan(nodes, **settings)
    assert all(f"({node.get('CPU', 0):g} CPU, {node.get('GPU', 0):g} GPU)" in str(error.value) for node in nodes)
    assert "lower search.resources.workers_per_trial, cpus_per_worker or gpus_per_trial" in str(error.value)


def fits(planned: LanePlan, nodes: Nodes) -> bool:
    """Whether Ray can hold all lanes at once: places each on the first node, and GPU, with room."""
    largest_first = sorted(planned.bundles * planned.lanes, key=lambda bundle: -bundle["CPU"])
    demands = [{"GPU": 0.0} | bundle for bundle in largest_first]
    free_cpus = [node.get("CPU", 0.0) for node in nodes]
    free_gpus = [[1.0] * int(node.get("GPU", 0)) for node in nodes]
    return all(any(place(demand, free_cpus, gpus, index) for index, gpus in enumerate(free_gpus)) for demand in demands)


def place(demand: dict[str, float], free_cpus: list[float], gpus: list[float], node: int) -> bool:
    share = min(demand["GPU"], 1.0)
    wanted = round(demand["GPU"]) if demand["GPU"] >= 1 else int(demand["GPU"] > 0)
    found = [index for index, free in enumerate(gpus) if free >= share - 1e-9][:wanted]
    if free_cpus[node] < demand["CPU"] - 1e-9 or len(found) < wanted:
        return False
    free_cpus[node] -= demand["CPU"]
    for index in found:
        gpus[index] -= share
    return True


node = st.fixed_dictionaries({"CPU": st.integers(0, 20).map(float), "GPU": st.integers(0, 4).map(float)})
resources = st.builds(
    ResourceSettings,
    workers_per_trial=st.integers(0, 3),
    cpus_per_worker=st.none() | st.integers(1, 5),
    gpus_per_trial=st.none() | st.sampled_from([0.0, 0.1, 0.25, 0.3, 0.4, 0.5, 0.7, 1.0, 2.0]),
    lanes=st.just("auto") | st.integers(1, 9),
)


@given(st.lists(node, min_size=1, max_size=4), st.integers(1, 40), resources)
@example([{"CPU": 8.0, "GPU": 2.0}], 16, ResourceSettings(gpus_per_trial=0.4))
def test_all_lanes_fit_on_the_nodes_at_once(nodes, trials, settings):
    try:
        planned = plan_lanes(nodes, trials, settings, "storage")
    except ClusterError:
        assume(False)
    assert 1 <= planned.lanes <= (trials if settings.lanes == "auto" else min(trials, settings.lanes))
    assert planned.group.cpus == (settings.cpus_per_worker or planned.group.cpus)
    assert fits(planned, nodes)


@given(st.lists(st.integers(1, 20), min_size=1, max_size=4), st.integers(1, 40), st.integers(1, 3))
def test_no_cpu_that_every_worker_could_have_is_left_over(counts, trials, workers):
    assume(sum(counts) >= workers)
    planned = plan(cpus(*counts), trials, workers_per_trial=workers)
    one_more = planned.group.cpus + 1
    assert sum(count // one_more for count in counts) < planned.lanes * workers


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({}, "4 lanes, each with 1 worker of 1 CPU"),
        ({"lanes": 1, "workers_per_trial": 2}, "1 lane, each with 2 workers of 2 CPU"),
        ({"workers_per_trial": 0}, "4 lanes, each with its own process as worker of 1 CPU"),
    ],
)
def test_a_plan_in_words(settings, text):
    assert plan(cpus(4), **settings).describe() == text
    assert plan([{"CPU": 2, "GPU": 1}], gpus_per_trial=0.5).describe().endswith("of 1 CPU and 0.5 GPU")


@pytest.mark.parametrize("gpus", [1.5, 2.25])
def test_more_than_one_gpu_comes_whole(gpus):
    """Ray refuses such a request only after the search has begun."""
    with pytest.raises(ValueError, match="whole"):
        ResourceSettings(gpus_per_trial=gpus)


def small(count: float, gib: float) -> dict[str, float]:
    return {"CPU": count, "GPU": 0.0, "memory": gib * GIB}


def gpu(cpu_count: float, count: float, gib: float) -> dict[str, float]:
    return {"CPU": cpu_count, "GPU": count, "gpu_memory": gib * GIB}


@pytest.mark.parametrize(
    ("nodes", "trials", "gib", "settings", "expected"),
    [
        ([small(8, 10)], 16, 1, {}, (8, 1, 1, 0)),
        ([small(8, 10)], 16, 2, {}, (4, 1, 2, 0)),  # 80% of 10 GiB; CPUs without memory become threads
        ([small(8, 10)], 16, 2, {"workers_per_trial": 2}, (2, 2, 2, 0)),
        ([small(8, 10)], 16, 2, {"lanes": 6}, (6, 1, 1, 0)),  # as ordered
        ([small(8, 10)], 16, 9, {}, (1, 1, 8, 0)),  # never none for want of memory alone
        ([small(8, 10), small(8, 10)], 16, 3, {}, (4, 1, 4, 0)),
        ([gpu(16, 1, 80)], 16, 10, {}, (7, 1, 2, 0.1428)),  # 90% of 80 GiB; 7 x 0.1429 would be more than a GPU
        ([gpu(4, 1, 80)], 16, 10, {}, (4, 1, 1, 0.25)),  # no more than there are CPUs
        ([gpu(16, 2, 80)], 4, 10, {}, (4, 1, 4, 0.5)),  # no more than there are trials
        ([gpu(16, 2, 80)], 16, 100, {}, (2, 1, 8, 1)),
        ([gpu(16, 2, 80)], 16, 10, {"gpus_per_trial": 0.5}, (4, 1, 4, 0.5)),
        ([gpu(16, 2, 80)], 16, 10, {"workers_per_trial": 2}, (1, 2, 8, 1)),  # NCCL wants a GPU for each
        ([{"CPU": 16, "GPU": 2}], 16, 10, {}, (2, 1, 8, 1)),  # a GPU's memory is not known
    ],
)
def test_lanes_are_those_whose_memory_fits(nodes, trials, gib, settings, expected):
    assert shape(plan(nodes, trials, gib * GIB, **settings)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("planned", "gib"),
    [
        (plan([small(8, 10)], memory=2 * GIB), 2),
        (plan([small(8, 10)], trials=3, memory=GIB), MEMORY_SHARE * 10 / 3),
        (plan([small(8, 10), small(8, 5)], trials=2, memory=GIB), MEMORY_SHARE * 5),
        # Both may be on one node.
        (plan([small(8, 10), small(8, 5)], trials=2, memory=GIB, cpus_per_worker=4), MEMORY_SHARE * 5 / 2),
        (plan([gpu(4, 1, 80)], memory=10 * GIB), GPU_MEMORY_SHARE * 80 / 4),
        (plan([gpu(4, 2, 80)], gpus_per_trial=2), GPU_MEMORY_SHARE * 80),  # one worker keeps to one of them
    ],
)
def test_what_a_worker_may_take(planned, gib):
    assert planned.memory_bytes == pytest.approx(gib * GIB)
    assert f"up to {gib:.1f} GiB a worker" in planned.describe()


def test_what_a_worker_may_take_is_unknown_where_a_node_does_not_tell():
    assert plan(cpus(4), memory=GIB).memory_bytes is None
    assert plan([small(4, 10), *cpus(4)], memory=GIB).memory_bytes is None
    assert plan([{"CPU": 4, "GPU": 1, "memory": GIB}], memory=GIB).memory_bytes is None


def test_a_plan_says_where_large_configurations_may_not_fit():
    assert plan([small(8, 10)], memory=9 * GIB).describe().endswith("large configurations may not fit")
    assert plan([small(8, 10)], memory=2 * GIB, lanes=8).crowded
    assert not plan([small(8, 10)], memory=2 * GIB).crowded


@given(st.integers(1, 64), st.floats(0.5, 500), st.floats(0.1, 100), st.integers(1, 40), st.integers(0, 3))
def test_no_more_memory_is_planned_than_a_node_has(count, node_gib, worker_gib, trials, workers):
    assume(count >= max(1, workers))
    planned = plan([small(count, node_gib)], trials, worker_gib * GIB, workers_per_trial=workers)
    at_once = planned.lanes * max(1, workers)
    assert planned.memory_bytes * at_once <= MEMORY_SHARE * node_gib * GIB * (1 + 1e-9)
    assert planned.lanes == 1 or at_once * worker_gib <= MEMORY_SHARE * node_gib * (1 + 1e-9)
    assert planned.crowded == (worker_gib * GIB > planned.memory_bytes)


@given(st.integers(1, 64), st.integers(1, 8), st.floats(1, 200), st.floats(0.1, 300), st.integers(1, 100))
def test_no_gpu_holds_more_memory_than_it_has(count, gpus, gpu_gib, worker_gib, trials):
    nodes = [gpu(count, gpus, gpu_gib)]
    planned = plan(nodes, trials, worker_gib * GIB)
    on_one = int(1 / planned.group.gpus)
    assert on_one == 1 or min(on_one, planned.lanes) * worker_gib <= GPU_MEMORY_SHARE * gpu_gib * 1.05
    assert fits(planned, nodes)


@pytest.mark.parametrize("gpus", [0.5, 1, 3])
def test_gpus_of_which_each_worker_would_not_have_its_own_are_told(gpus):
    """Two workers with half a GPU each may get the same one, and NCCL refuses that once the search has begun."""
    with pytest.raises(ClusterError, match=rf"search\.resources\.gpus_per_trial: {gpus:g} GPUs .* by 2 workers"):
        plan([{"CPU": 8, "GPU": 4}], gpus_per_trial=gpus, workers_per_trial=2)


@pytest.mark.parametrize(
    ("nodes", "gpus", "expected"),
    [(cpus(4), None, "cpu"), ([gpu(4, 1, 8)], None, "cuda"), ([gpu(4, 1, 8)], 0, "cpu"), ([gpu(4, 1, 8)], 0.5, "cuda")],
)
def test_training_is_on_gpus_unless_there_are_none_or_the_space_wants_none(nodes, gpus, expected):
    assert device_type(nodes, ResourceSettings(gpus_per_trial=gpus)) == expected


def test_this_machine_is_counted_as_ray_counts_it(monkeypatch):
    """The CPUs of a container, and the memory that is free less the 30% that Ray keeps for its object store."""
    monkeypatch.setattr(ray._private.utils, "_get_docker_cpus", lambda: 3.0)
    monkeypatch.setattr(ray._private.utils, "estimate_available_memory", lambda: 10 * GIB)
    node = local_node()
    assert (node["CPU"], node["memory"]) == (3, pytest.approx(7 * GIB))
    assert not ray.is_initialized()
