"""What a search needs of Ray that Ray does not offer; here alone.

``tests/training/test_ray_internals.py`` says what each of these relies on, for when an upgrade breaks it.
"""

from collections.abc import Callable, Mapping
from typing import Any, cast


def lane_trainer(train_loop: Callable[[dict[str, Any]], None], *, process_group: bool, **settings: Any) -> Any:
    """A Ray Train trainer without what a lane has no use for. Its ``fit`` returns when the workers do.

    It has no process that serves Ray Data sets, which we do not have, and none that gives back the resources of a
    trainer that was killed: that needs Ray's dashboard to work and outlives a driver that was killed; our workers do
    it themselves. Workers that train alone need no process group either, and without one neither the lane nor the
    trainer's own process has to import torch.

    Args:
        train_loop: What every worker runs.
        process_group: Whether the workers train together, in a process group of torch.
        settings: Those of ``ray.train.torch.TorchTrainer``.
    """
    from ray.train.v2._internal.callbacks.datasets import DatasetsCallback
    from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
    from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

    trainer_class: Any = DataParallelTrainer
    if process_group:
        from ray.train.torch import TorchTrainer

        trainer_class = TorchTrainer
    trainer = trainer_class(train_loop, **settings)
    needless = DatasetsCallback | PlacementGroupCleanerCallback
    usual = trainer._create_default_callbacks
    trainer._create_default_callbacks = lambda: [one for one in usual() if not isinstance(one, needless)]
    return trainer


def resources_of_this_machine(address: str) -> Mapping[str, float]:
    """What a local Ray would count here, without starting it: CPUs and memory of a container, less what is in use.

    Args:
        address: This machine's address.
    """
    from ray._private.resource_and_label_spec import ResourceAndLabelSpec

    counted = ResourceAndLabelSpec().resolve(is_head=True, node_ip_address=address).to_resource_dict()
    return cast("Mapping[str, float]", counted)


def hide_raylet_messages() -> None:
    """Keep the raylet's messages off the terminal: they bypass ``log_to_driver``, and are coloured even in a file."""
    from ray._private import worker

    worker._worker_logs_enabled = False


def set_trial_status(controller: Any, trial: Any, status: str) -> None:
    """Give a trial a status in Tune's own table; Tune would kill its lane for it.

    Args:
        controller: Tune's controller.
        trial: Its trial.
        status: Such as ``Trial.ERROR``.
    """
    controller._set_trial_status(trial, status)
