"""What a lane and its workers both know of their group: its size, how it speaks, how it fails. No Ray, no torch."""

from dataclasses import dataclass

OK, ERROR = "ok", "error"  # an answer of a worker
READY, GONE = "ready", "gone"  # what is said first: by a worker, or by who waits for the trainer
CLOSE = ("close", ())  # the last command

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


@dataclass(frozen=True)
class Channel:
    """Where workers find their lane, and what each of them may take.

    Attributes:
        address: Where the lane listens.
        key: What they prove to each other that they know.
        threads: CPU threads of a worker.
        gpus: GPUs of a worker.
    """

    address: tuple[str, int]
    key: bytes
    threads: float
    gpus: float
