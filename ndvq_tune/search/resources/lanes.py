"""How many trials run at once, and what each gets."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ndvq_tune.errors import ClusterError
from ndvq_tune.quantities import count_text, gibibytes
from ndvq_tune.search.space.settings.resources import ResourceSettings
from ndvq_tune.training.group import GPU_MEMORY_SHARE, GroupSize

# A lane's own process only hands over messages, but Ray Tune wants every trial to hold something.
LANE_CPUS = 0.01
MEMORY_SHARE = 0.8  # of a node's memory that workers may take: the rest is for Ray, lanes and the system

Node = Mapping[str, float]
"""``CPU`` and ``GPU`` of a node; ``memory`` and ``gpu_memory`` (of each GPU), in bytes, where they are known."""


@dataclass(frozen=True)
class LanePlan:
    """The lanes of a search.

    Attributes:
        lanes: Concurrent trials.
        group: The worker group of each.
        memory_bytes: What one worker may take, of its GPU's memory or of its node's; None if nobody knows.
        crowded: Whether even one lane may need more than that for a large configuration.
    """

    lanes: int
    group: GroupSize
    memory_bytes: float | None = None
    crowded: bool = False

    @property
    def bundles(self) -> list[dict[str, float]]:
        """What Ray Tune reserves for a lane: for its own process first, then for each of its workers."""
        gpus = {"GPU": self.group.gpus} if self.group.gpus else {}
        if not self.group.workers:
            return [{"CPU": self.group.cpus} | gpus]
        return [{"CPU": LANE_CPUS}, *[{"CPU": self.group.cpus_reserved} | gpus] * self.group.workers]

    def describe(self) -> str:
        """How many lanes there are and what each gets, in one line."""
        lanes, count = count_text(self.lanes, "lane"), self.group.workers
        workers = count_text(count, "worker") if count else "its own process as worker"
        gpus = f" and {self.group.gpus:g} GPU" if self.group.gpus else ""
        memory = f", up to {gibibytes(self.memory_bytes)} a worker" if self.memory_bytes else ""
        warning = "; large configurations may not fit" if self.crowded else ""
        return f"{lanes}, each with {workers} of {self.group.cpus:g} CPU{gpus}{memory}{warning}"


def device_type(nodes: Sequence[Node], settings: ResourceSettings) -> Literal["cpu", "cuda"]:
    """Where workers train: on GPUs as soon as a node has one, unless the space says otherwise."""
    wanted = settings.gpus_per_trial is None or settings.gpus_per_trial > 0
    return "cuda" if wanted and any(node.get("GPU", 0) for node in nodes) else "cpu"


def plan_lanes(
    nodes: Sequence[Node],
    trials: int,
    settings: ResourceSettings,
    storage: str,
    memory: float | None = None,
) -> LanePlan:
    """Lanes that a cluster can hold all at once, so that a search never waits for resources that never come.

    Without other orders, every CPU becomes a lane as long as there are trials and memory for them, and CPUs that are
    left over become threads. Lanes beat threads: small convolutions scale badly over threads, and while one lane
    validates or saves, the other trains. On 2 cores, 2 lanes of 1 thread finish the sample search sooner than 1 lane of
    2 threads (measured; see docs/benchmarks.md), and early stopping has two trials to compare from the start.

    Several workers share a GPU where its memory holds them and there are CPUs for them. Where a node's memory holds no
    worker at all, there is one lane all the same: most configurations are smaller.

    Args:
        nodes: What each node has.
        trials: Trials of the search.
        settings: What the space says.
        storage: Folder for Ray Train's own files.
        memory: Predicted bytes of one worker for a large configuration; None if nobody knows.

    Raises:
        ClusterError: If not even one trial fits, whatever its memory, or GPUs cannot be shared evenly.

    Example:
        >>> plan_lanes([{"CPU": 8}], trials=3, settings=ResourceSettings(), storage="results").describe()
        '3 lanes, each with 1 worker of 2 CPU'
    """
    workers = max(1, settings.workers_per_trial)
    most = trials if settings.lanes == "auto" else min(trials, settings.lanes)
    gpus = _gpus_of_a_worker(nodes, settings, workers, most, memory)
    least_cpus = settings.cpus_per_worker or 1
    possible = min(_slots(nodes, least_cpus, gpus) // workers, most)
    if possible < 1:
        raise ClusterError(
            f"one trial needs {workers} x ({least_cpus} CPU, {gpus:g} GPU), but the cluster has only "
            + ", ".join(f"({node.get('CPU', 0):g} CPU, {node.get('GPU', 0):g} GPU)" for node in nodes)
            + "; lower search.resources.workers_per_trial, cpus_per_worker or gpus_per_trial"
        )
    held = _slots(nodes, least_cpus, gpus, memory) // workers
    lanes = max(1, min(possible, held)) if settings.lanes == "auto" else possible
    cpus = settings.cpus_per_worker or _even_share(nodes, lanes * workers, gpus, memory if held >= lanes else None)
    reserved = cpus - LANE_CPUS if settings.workers_per_trial else cpus
    group = GroupSize(settings.workers_per_trial, cpus, gpus, reserved, storage)
    allowed = _allowed(nodes, lanes * workers, cpus, gpus)
    crowded = memory is not None and allowed is not None and memory > allowed
    return LanePlan(lanes, group, allowed, crowded)


def _gpus_of_a_worker(
    nodes: Sequence[Node], settings: ResourceSettings, workers: int, most: int, memory: float | None
) -> float:
    """GPUs of each worker: as the space says, or the smallest share that holds a large configuration.

    Workers of one trial never share a GPU: NCCL refuses that.
    """
    given = settings.gpus_per_trial
    if given is not None:
        if workers > 1 and given % workers:
            raise ClusterError(
                f"search.resources.gpus_per_trial: {given:g} GPUs cannot be shared by {workers} workers; each needs "
                "whole ones of its own: allowed are 0 and multiples of search.resources.workers_per_trial"
            )
        return _as_ray_counts(given / workers)
    with_gpus = [node for node in nodes if node.get("GPU", 0)]
    if not with_gpus:
        return 0.0
    if memory is None or workers > 1 or not all("gpu_memory" in node for node in with_gpus):
        return 1.0
    cpus = settings.cpus_per_worker or 1
    needed = math.ceil(most / sum(node["GPU"] for node in with_gpus))
    held = (GPU_MEMORY_SHARE * node["gpu_memory"] / memory for node in with_gpus)
    threads = (node["CPU"] / node["GPU"] / cpus for node in with_gpus)
    return _as_ray_counts(1 / max(1, math.floor(min(needed, *held, *threads))))


def _as_ray_counts(share: float) -> float:
    """A share in Ray's units of 1/10000, rounded down: seven shares that are rounded up do not fit on one GPU."""
    return math.floor(round(share * 10_000, 6)) / 10_000


def _allowed(nodes: Sequence[Node], workers: int, cpus: int, gpus: float) -> float | None:
    """Bytes that each worker may take, wherever it is; None where a node that may hold one does not tell."""
    shares = []
    for node in nodes:
        here = _node_slots(node, cpus, gpus)
        if not here:
            continue
        if gpus and "gpu_memory" in node:
            shares.append(GPU_MEMORY_SHARE * node["gpu_memory"] * min(gpus, 1.0))
        elif not gpus and "memory" in node:
            shares.append(MEMORY_SHARE * node["memory"] / min(here, workers))
        else:
            return None
    return min(shares)


def _even_share(nodes: Sequence[Node], workers: int, gpus: float, memory: float | None) -> int:
    """The most CPUs that each of the workers can have."""
    cpus = 1
    while _slots(nodes, cpus + 1, gpus, memory) >= workers:
        cpus += 1
    return cpus


def _slots(nodes: Sequence[Node], cpus: int, gpus: float, memory: float | None = None) -> int:
    """Workers that fit; one never spans two nodes."""
    return sum(_node_slots(node, cpus, gpus, memory) for node in nodes)


def _node_slots(node: Node, cpus: int, gpus: float, memory: float | None = None) -> int:
    """Workers that fit on a node; the memory of GPUs is shared as they are."""
    fit = math.floor(node.get("CPU", 0) / cpus)
    if gpus:
        return min(fit, _gpu_slots(node.get("GPU", 0), gpus))
    if memory and "memory" in node:
        fit = min(fit, math.floor(MEMORY_SHARE * node["memory"] / memory))
    return fit


def _gpu_slots(available: float, share: float) -> int:
    """Shares of GPUs that fit; a share of one GPU never spans two."""
    if share < 1:
        return math.floor(available) * math.floor(1 / share)
    return math.floor(available / share)
