"""How many trials run at once, and what each gets."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ndvq_tune.errors import ClusterError
from ndvq_tune.search.settings.resources import ResourceSettings
from ndvq_tune.training.workers import GroupSize

# A lane's own process only hands over messages, but Ray Tune wants every trial to hold something.
LANE_CPUS = 0.01

Node = Mapping[str, float]


@dataclass(frozen=True)
class LanePlan:
    """The lanes of a search.

    Attributes:
        lanes: Concurrent trials.
        group: The worker group of each.
    """

    lanes: int
    group: GroupSize

    @property
    def trial_resources(self) -> dict[str, float]:
        """What Ray Tune reserves for a lane's own process; its workers reserve their own."""
        if self.group.workers:
            return {"CPU": LANE_CPUS}
        return {"CPU": self.group.cpus} | ({"GPU": self.group.gpus} if self.group.gpus else {})

    def describe(self) -> str:
        """One line for people."""
        lanes = f"{self.lanes} lane{'s' if self.lanes > 1 else ''}"
        count = self.group.workers
        workers = f"{count} worker{'s' if count > 1 else ''}" if count else "its own process as worker"
        gpus = f" and {self.group.gpus:g} GPU" if self.group.gpus else ""
        return f"{lanes}, each with {workers} of {self.group.cpus:g} CPU{gpus}"


def plan_lanes(nodes: Sequence[Node], trials: int, settings: ResourceSettings, storage: str) -> LanePlan:
    """Lanes that a cluster can hold all at once, so that a search never waits for resources that never come.

    Without other orders, every CPU becomes a lane as long as there are trials for them, and CPUs that are left over
    become threads. Lanes beat threads: small convolutions scale badly over threads, and while one lane validates or
    saves, the other trains. On 2 cores, 2 lanes of 1 thread finish the sample search sooner than 1 lane of 2 threads
    (measured; see docs/architecture.md), and early stopping has two trials to compare from the start.

    Args:
        nodes: ``CPU`` and ``GPU`` of each node.
        trials: Trials of the search.
        settings: What the space says.
        storage: Folder for Ray Train's own files.

    Raises:
        ClusterError: If not even one trial fits.
    """
    workers = max(1, settings.workers_per_trial)
    gpus = None if settings.gpus_per_trial is None else settings.gpus_per_trial / workers
    if gpus is None:
        gpus = 1.0 if any(node.get("GPU", 0) for node in nodes) else 0.0
    least_cpus = settings.cpus_per_worker or 1
    lanes = min(
        _slots(nodes, least_cpus, gpus) // workers, trials, trials if settings.lanes == "auto" else settings.lanes
    )
    if lanes < 1:
        raise ClusterError(
            f"one trial needs {workers} x ({least_cpus} CPU, {gpus:g} GPU), but the cluster has only "
            + ", ".join(f"({node.get('CPU', 0):g} CPU, {node.get('GPU', 0):g} GPU)" for node in nodes)
            + "; lower search.resources.workers_per_trial, cpus_per_worker or gpus_per_trial"
        )
    cpus = settings.cpus_per_worker or _even_share(nodes, lanes * workers, gpus)
    reserved = cpus - LANE_CPUS if settings.workers_per_trial else cpus
    return LanePlan(lanes, GroupSize(settings.workers_per_trial, cpus, gpus, reserved, storage))


def _even_share(nodes: Sequence[Node], workers: int, gpus: float) -> int:
    """The most CPUs that each of the workers can have."""
    cpus = 1
    while _slots(nodes, cpus + 1, gpus) >= workers:
        cpus += 1
    return cpus


def _slots(nodes: Sequence[Node], cpus: int, gpus: float) -> int:
    """Workers that fit; one never spans two nodes."""
    slots = 0
    for node in nodes:
        fit = math.floor(node.get("CPU", 0) / cpus)
        slots += min(fit, _gpu_slots(node.get("GPU", 0), gpus)) if gpus else fit
    return slots


def _gpu_slots(available: float, share: float) -> int:
    """Shares of GPUs that fit; a share of one GPU never spans two."""
    if share < 1:
        return math.floor(available) * math.floor(1 / share)
    return math.floor(available / share)
