"""A worker's side of Ray Train: it connects to its lane, asks nothing, and does what it is told."""

import threading
from contextlib import suppress
from multiprocessing.connection import Client, Connection
from queue import SimpleQueue
from typing import Any

import torch
from ray import train

from ndvq_tune.training.group import CLOSE, GPU_MEMORY_SHARE, READY, Channel
from ndvq_tune.training.runs import Runs


def serve(channel: Channel) -> None:
    """What every worker runs: commands, one after the other, until the lane says goodbye."""
    context = train.get_context()
    rank, world_size = context.get_world_rank(), context.get_world_size()
    torch.set_num_threads(max(1, int(channel.threads)))
    device = _device(channel.gpus)
    commands: SimpleQueue[tuple[str, tuple[Any, ...]]] = SimpleQueue()
    with Client(channel.address, authkey=channel.key) as lane:
        threading.Thread(target=_listen, args=(lane, commands), daemon=True).start()
        lane.send((READY, rank))
        runs = Runs(rank, world_size, device)
        while (command := commands.get()) != CLOSE:
            lane.send(runs.obey(*command))


def _device(gpus: float) -> torch.device:
    """Where a worker trains: with a part of a GPU in that part of its memory, so as not to take its neighbours'."""
    if not gpus:
        return torch.device("cpu")  # Ray does not hide GPUs from a lane without any, and names one to it
    from ray.train.torch import get_device  # also what only several workers need, which takes a second to import

    device: torch.device = get_device()
    if gpus < 1 and device.type == "cuda":
        torch.cuda.set_per_process_memory_fraction(GPU_MEMORY_SHARE * gpus, device)
    return device


def _listen(lane: Connection, commands: "SimpleQueue[tuple[str, tuple[Any, ...]]]") -> None:
    """Receive commands, also while the worker trains, so that the end of a lane is noticed at once."""
    with suppress(EOFError, OSError):
        while (command := lane.recv()) != CLOSE:
            commands.put(command)
    commands.put(CLOSE)
