"""What a search runs on: its lanes, and the check of what is too large for them."""

from collections.abc import Sequence

from ndvq_tune.search.resources.extremes import extreme
from ndvq_tune.search.resources.lanes import LanePlan, Node, device_type, plan_lanes
from ndvq_tune.search.resources.preflight import MEMORY, Preflight, large_memory
from ndvq_tune.search.space import SearchSpace


def plan_resources(
    space: SearchSpace, sample_shape: Sequence[int], nodes: Sequence[Node], storage: str = ""
) -> tuple[LanePlan, Preflight]:
    """The lanes of a search, and the pre-flight of its configurations.

    Where even the largest model fits on all lanes that there are CPUs for, no other needs to be looked at before it is
    trained: that takes a fraction of a second each. Otherwise as many lanes as hold a large model, and what is larger
    still is ruled out.

    Args:
        space: The space.
        sample_shape: Shape ``(C, *S)`` of a sample.
        nodes: What each node has.
        storage: Folder for Ray Train's own files.

    Raises:
        ClusterError: If not even one trial fits on the nodes.
    """
    trials, settings = space.search.trials, space.search.resources
    device = device_type(nodes, settings)
    unlimited = Preflight(space, sample_shape, None, device)
    plan = plan_lanes(nodes, trials, settings, storage, largest_memory(space, unlimited))
    if device == "cpu" and not plan.crowded and plan.lanes == plan_lanes(nodes, trials, settings, storage).lanes:
        return plan, unlimited
    plan = plan_lanes(nodes, trials, settings, storage, large_memory(space, unlimited))
    return plan, Preflight(space, sample_shape, plan.memory_bytes, device)


def largest_memory(space: SearchSpace, preflight: Preflight) -> float | None:
    """Predicted bytes of a worker for the largest model of a space; None where it cannot be trained."""
    predicted = preflight.predict(extreme(space, preflight, MEMORY, -1)[1])
    return None if isinstance(predicted, str) else float(predicted.memory_bytes)
