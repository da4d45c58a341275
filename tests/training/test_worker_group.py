"""A worker group over its real sockets, with a thread in place of Ray Train's process."""

import threading
from collections.abc import Callable, Iterator
from multiprocessing.connection import Client
from types import SimpleNamespace

import pytest
import ray
import torch
from ray import train

from ndvq_tune.training import runs, worker, worker_group
from ndvq_tune.training.files import epoch_of
from ndvq_tune.training.group import GPU_MEMORY_SHARE, READY, Channel, GroupSize, RunError, WorkerGroupError
from ndvq_tune.training.worker_group import WorkerGroup
from tests.training.training_examples import config, dataset

SIZE = GroupSize(workers=1, cpus=1, gpus=0, cpus_reserved=1, storage="unused")


@pytest.fixture
def group(monkeypatch) -> Iterator[WorkerGroup]:
    context = SimpleNamespace(get_world_rank=lambda: 0, get_world_size=lambda: 1)
    monkeypatch.setattr(ray.train, "get_context", lambda: context)
    monkeypatch.setattr("ray.train.torch.get_device", lambda: torch.device("cuda:0"))  # as in Ray's local mode
    monkeypatch.setattr(
        worker_group, "_trainer", lambda size, channel: SimpleNamespace(fit=lambda: worker.serve(channel))
    )
    monkeypatch.setattr(ray.util, "get_node_ip_address", lambda: "127.0.0.1")
    monkeypatch.setattr(runs, "open_dataset", lambda config: dataset(size=config.resolution))
    runs._dataset.cache_clear()
    threads = torch.get_num_threads()
    opened = WorkerGroup(SIZE)
    yield opened
    opened.close()
    torch.set_num_threads(threads)
    runs._dataset.cache_clear()


def test_a_run_goes_on_from_its_state_with_samples_of_another_size(group):
    group.start(config())
    assert [group.train()["epoch"], group.train()["epoch"]] == [1, 2]
    files = group.save()
    assert epoch_of(files) == 2
    larger = config().data.model_copy(update={"resolution": 16})
    group.start(config().model_copy(update={"data": larger}), files)
    assert group.train()["epoch"] == 3


@pytest.mark.parametrize(("kind", "possible"), [("ema", True), ("fsq", False)])
def test_codes_are_restarted_on_command_if_there_are_any(group, kind, possible):
    group.start(config({"quantizer": {"type": kind}}))
    group.train()
    assert group.restart_codes() is possible
    assert group.train()["epoch"] == 2


def test_an_error_of_the_run_leaves_the_group_fit_for_the_next(group):
    impossible = config().model.model_copy(update={"n_codes": -1})
    with pytest.raises(RunError, match="n_codes"):
        group.start(config().model_copy(update={"model": impossible}))
    with pytest.raises(RunError):
        group.train()
    group.start(config())
    assert group.train()["epoch"] == 1


@pytest.fixture
def group_of(monkeypatch) -> Iterator[Callable[[Callable[[Channel], None]], WorkerGroup]]:
    """A group whose trainer does what it is given."""
    groups: list[WorkerGroup] = []

    def group_of(fit: Callable[[Channel], None]) -> WorkerGroup:
        monkeypatch.setattr(worker_group, "_trainer", lambda size, channel: SimpleNamespace(fit=lambda: fit(channel)))
        groups.append(WorkerGroup(SIZE))
        return groups[-1]

    monkeypatch.setattr(ray.util, "get_node_ip_address", lambda: "127.0.0.1")
    yield group_of
    for group in groups:
        group.close()


REASONS = [
    (RuntimeError("no such node"), "no such node"),
    (MemoryError(), "MemoryError"),
    (train.ControllerError(RuntimeError("no such node")), "no such node"),
    (train.WorkerGroupError("[Rank 1]\n...", {1: MemoryError()}), "MemoryError"),
]


@pytest.mark.parametrize(("error", "reason"), REASONS)
def test_workers_that_cannot_start_are_told(group_of, error, reason):
    def fail(channel: Channel) -> None:
        raise error

    with pytest.raises(WorkerGroupError, match=f"^the workers could not start: {reason}$"):
        group_of(fail).start(config())


def die_at_the_first_command(channel: Channel) -> None:
    """A worker that is gone before it answers."""
    with Client(channel.address, authkey=channel.key) as lane:
        lane.send((READY, 0))
        lane.recv()


@pytest.mark.parametrize(("error", "reason"), REASONS)
def test_when_a_worker_is_gone_the_trainer_says_why(group_of, error, reason):
    def fail(channel: Channel) -> None:
        die_at_the_first_command(channel)
        raise error

    with pytest.raises(WorkerGroupError, match=rf"^a training process ended unexpectedly \(EOFError\): {reason}$"):
        group_of(fail).train()


def test_a_trainer_that_does_not_notice_is_not_waited_for(group_of, monkeypatch):
    noticed = threading.Event()

    def wait(channel: Channel) -> None:
        die_at_the_first_command(channel)
        noticed.wait()

    monkeypatch.setattr(worker_group, "CLOSE_SECONDS", 0.01)
    with pytest.raises(WorkerGroupError, match=r"^a training process ended unexpectedly \(EOFError\)$"):
        group_of(wait).train()
    noticed.set()


def test_the_share_of_a_gpu_caps_its_memory(monkeypatch):
    shares: list[float] = []
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", lambda share, device: shares.append(share))
    monkeypatch.setattr("ray.train.torch.get_device", lambda: torch.device("cuda:0"))
    for gpus in (0.25, 1.0, 2.0):
        assert worker._device(gpus) == torch.device("cuda:0")
    assert shares == [GPU_MEMORY_SHARE * 0.25]


def test_without_gpus_a_worker_trains_on_the_cpu_whatever_it_sees(monkeypatch):
    monkeypatch.setattr("ray.train.torch.get_device", lambda: torch.device("cuda:0"))
    assert worker._device(0.0) == torch.device("cpu")
