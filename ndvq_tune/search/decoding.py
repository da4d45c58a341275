"""Decoding as Ray tasks: over all cores, and on every node that has a cache of its own."""

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from ndvq_tune.config import DataConfig
from ndvq_tune.data.cache.location import cache_root
from ndvq_tune.data.cache.shards import ShardJob
from ndvq_tune.data.cache.source import Progress
from ndvq_tune.data.dataset import Dataset, open_dataset

Write = Callable[[ShardJob], int]
Attach = Callable[[], AbstractContextManager[object]]


def open_on_cluster(config: DataConfig, progress: Progress, attach: Attach) -> Dataset:
    """Opens a data set; what has to be decoded first, Ray tasks decode.

    Ray is only started for more than one shard of work. Nodes that do not see this machine's cache decode into their
    own at the same time; a node that joins later does so when its first trial starts.

    Args:
        config: The data set.
        progress: As ``open_dataset`` takes it.
        attach: A context in which Ray is there; asked for only where there is something for it to do.

    Raises:
        DataError: The data cannot be used.
        ClusterError: The cluster does not answer.
    """
    return open_dataset(config, progress, partial(_over_cluster, config, attach))


def _over_cluster(config: DataConfig, attach: Attach, write: Write, jobs: Sequence[ShardJob]) -> Iterator[int]:
    if len(jobs) < 2:
        yield from map(write, jobs)
        return
    with attach():
        sharing, others = _nodes_by_cache(jobs[0].folder)
        elsewhere = [_on(node, _decode_here, num_cpus=0).remote(config, node) for node in others]
        yield from _as_tasks(sharing, write, jobs)
        _results(elsewhere)


def _nodes_by_cache(folder: Path) -> tuple[list[str], list[str]]:
    """The nodes whose cache is this machine's, in which a folder is, and those that have another."""
    token = folder / f".{secrets.token_hex(8)}"
    token.touch()
    nodes = _nodes()
    try:
        shares = _results([_on(node, _is_in_cache, num_cpus=0).remote(token) for node in nodes])
    finally:
        token.unlink()
    return (
        [node for node, shared in zip(nodes, shares, strict=True) if shared],
        [node for node, shared in zip(nodes, shares, strict=True) if not shared],
    )


def _is_in_cache(path: Path) -> bool:
    """Whether the node that this runs on has a file in its cache."""
    return path.is_relative_to(cache_root()) and path.exists()


def _as_tasks(nodes: Sequence[str], write: Callable[[Any], int], jobs: Sequence[Any]) -> Iterator[int]:
    """One task a job, dealt out over the nodes; results as they come. Without a node, this process does it all."""
    if not nodes:
        yield from map(write, jobs)
        return
    waiting = [_on(nodes[number % len(nodes)], write).remote(job) for number, job in enumerate(jobs)]
    while waiting:
        done, waiting = ray.wait(waiting)
        yield from _results(done)


def on_all_nodes(work: Callable[[Any], int], jobs: Sequence[Any]) -> Iterator[int]:
    """Calls a function with each of some jobs, as tasks on all nodes of the cluster; results as they come.

    Args:
        work: The function.
        jobs: What it is called with.
    """
    return _as_tasks(_nodes(), work, jobs)


def _nodes() -> list[str]:
    """Nodes that have CPUs; a head without any runs no trials either."""
    return [node["NodeID"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) >= 1]


def _decode_here(config: DataConfig, node: str) -> None:
    """Fills the cache of the node that this runs on, with all of its cores."""
    open_dataset(config, spread=partial(_as_tasks, [node]))


def _on(node: str, function: Callable[..., Any], num_cpus: int = 1) -> Any:
    """A function as a task for one node."""
    return ray.remote(function).options(
        scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False), num_cpus=num_cpus
    )


def _results(references: Sequence[Any]) -> list[Any]:
    """What tasks returned; an error as it was raised there, without Ray's wrapping."""
    try:
        results: list[Any] = ray.get(list(references))
    except RayTaskError as error:
        raise error.cause from None
    return results
