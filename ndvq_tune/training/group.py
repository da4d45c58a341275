"""What is known of a group of workers without Ray: its size, and how it fails."""

from dataclasses import dataclass

GPU_MEMORY_SHARE = 0.9  # of a GPU's memory that its workers' tensors may take: CUDA itself needs some for each


class WorkerGroupError(RuntimeError):
    """The group's processes are gone; a new group must take over from the last checkpoint."""


class RunError(RuntimeError):
    """The run raised an error; the group lives on and can start another run."""


@dataclass(frozen=True)
class GroupSize:
    """What one group of workers takes.

    Attributes:
        workers: Ray Train workers; 0 is Ray Train's local mode, in the caller's own process.
        cpus: CPUs, and threads, of each worker.
        gpus: GPUs of each worker.
        cpus_reserved: CPUs that Ray counts for a worker: a little less than ``cpus`` where the lane's own process
            takes that little.
        storage: Folder or URI where Ray Train may keep its own files.
    """

    workers: int
    cpus: float
    gpus: float
    cpus_reserved: float
    storage: str
