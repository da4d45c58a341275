"""The Ray cluster that a search runs on: one of its own, or one that is there already."""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import ray

from ndvq_tune.errors import ClusterError, first_line
from ndvq_tune.search.resources.lanes import Node
from ndvq_tune.training.ray_internals import hide_raylet_messages, resources_of_this_machine


@contextmanager
def cluster(address: str | None) -> Iterator[list[Node]]:
    """Attach to a cluster, or start a local one; leave it, or end it, afterwards.

    Args:
        address: The cluster's address. Without one, that of the Ray job that this process belongs to
            (``RAY_ADDRESS``), or else a local Ray of our own.

    Yields:
        What each node has.

    Raises:
        ClusterError: If no cluster answers at the address.
    """
    _silence()
    address = address or os.environ.get("RAY_ADDRESS")
    try:
        ray.init(address=address or "local", logging_level=logging.CRITICAL, log_to_driver=False, **_local(address))
    except Exception as error:  # of many kinds: where a node does not start in time, Ray raises a bare one
        reason = first_line(error)
        hint = "; for a cluster with a token, export RAY_AUTH_MODE=token first" if address else ""
        raise ClusterError(f"no Ray cluster can be used at {address or 'this machine'}: {reason}{hint}") from None
    hide_raylet_messages()  # we say ourselves when a lane is lost
    try:
        yield [_node(node) for node in ray.nodes() if node["Alive"]]
    finally:
        ray.shutdown()


def _silence() -> None:
    for name in ("ray", "ray.tune", "ray.train"):  # its logs are in Ray's log files
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _local(address: str | None) -> dict[str, object]:
    return {} if address else {"include_dashboard": False}


def _node(node: Mapping[str, Any]) -> Node:
    """A node as Ray tells of it; of GPUs it does not tell the memory, which only their own machine knows."""
    resources = node["Resources"]
    known = {"memory": resources["memory"]} if "memory" in resources else {}
    if node["NodeManagerAddress"] == ray.util.get_node_ip_address():
        known |= _gpu_memory()
    return {"CPU": resources.get("CPU", 0.0), "GPU": resources.get("GPU", 0.0)} | known


def local_node() -> Node:
    """This machine as the node of a local Ray, without starting it."""
    _silence()
    address = ray.util.get_node_ip_address()
    return _node({"Resources": resources_of_this_machine(address), "NodeManagerAddress": address})


def _gpu_memory() -> dict[str, float]:
    """Bytes of the smallest GPU of this machine."""
    import torch  # which takes longer to import than Ray, and nobody needs while that starts

    found = [torch.cuda.get_device_properties(index).total_memory for index in range(torch.cuda.device_count())]
    return {"gpu_memory": float(min(found))} if found else {}
