"""What a search needs of Ray that Ray does not offer; here alone.

``tests/training/test_ray_internals.py`` says what each of these relies on, for when an upgrade breaks it.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Self, cast

import ray


def lane_trainer(train_loop: Callable[[dict[str, Any]], None], *, process_group: bool, **settings: Any) -> Any:
    """A Ray Train trainer for a lane of Ray Tune. Its ``fit`` returns when the workers do.

    Its workers take the bundles that Tune has reserved for the lane beside the lane's own, so that they are given back
    with the lane, however that ends; Ray Train's own reservation would outlive a lane that is killed. What controls
    them runs in the lane's process, which has nothing else to do, and ends with it.

    It has no process that serves Ray Data sets, which we do not have; none for workers to agree on what they report to
    Ray Train, as they report to the lane; none that gives back what a killed trainer had reserved; and none that tells
    an autoscaler of its workers, which sees the lane's reservation. Workers that train alone need no process group
    either, and without one the lane does not have to import torch.

    Args:
        train_loop: What every worker runs.
        process_group: Whether the workers train together, in a process group of torch.
        settings: Those of ``ray.train.torch.TorchTrainer``.
    """
    from ray.train.v2._internal.callbacks.datasets import DatasetsCallback
    from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
    from ray.train.v2._internal.execution.controller import TrainController
    from ray.train.v2._internal.execution.scaling_policy import FixedScalingPolicy
    from ray.train.v2._internal.execution.worker_group import WorkerGroup, state, worker_group
    from ray.train.v2._internal.execution.worker_group.placement_group_handle import DefaultPlacementGroupHandle
    from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

    trainer_class: Any = DataParallelTrainer
    if process_group:
        from ray.train.torch import TorchTrainer

        trainer_class = TorchTrainer

    class LaneTrainer(trainer_class):
        def _create_default_callbacks(self) -> list[Any]:
            needless = DatasetsCallback | PlacementGroupCleanerCallback
            return [callback for callback in super()._create_default_callbacks() if not isinstance(callback, needless)]

        def _initialize_and_run_controller(self, **parts: Any) -> Any:
            worker_group.SynchronizationActor, state._shutdown_sync_actor = NoActor, lambda actor: None
            controller = Controller(**parts | {"scaling_policy": Silent(self.scaling_config)})
            asyncio.run(controller.run())
            return controller.get_result()

    class Silent(FixedScalingPolicy):
        def after_controller_start(self, train_run_context: object) -> None:
            pass

        def _maybe_send_resource_request(self) -> None:
            pass

    class Bundles(DefaultPlacementGroupHandle):
        def shutdown(self) -> None:
            pass  # they are the lane's

    class Workers(WorkerGroup):
        def _create_placement_group(self, *_: object) -> Bundles:
            return Bundles(ray.util.get_current_placement_group())

        def _create_workers(self, num_workers: int, *place: Any, **ranks: Any) -> Any:
            bundles = range(1, num_workers + 1)  # the first one is the lane's own
            return super()._create_workers(num_workers, *place, **ranks, placement_group_bundle_indices=[*bundles])

    class Controller(TrainController):
        worker_group_cls = Workers

    return LaneTrainer(train_loop, **settings)


class NoActor:
    """Takes the place of an actor's class where nobody calls it: a handle without a process."""

    @classmethod
    def options(cls, **_: object) -> type[Self]:
        """As an actor's class has it."""
        return cls

    @classmethod
    def remote(cls, **_: object) -> Self:
        """As an actor's class has it."""
        return cls()


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


def lane_of(trial: Any) -> str:
    """What tells the lane that Tune has given a trial from all others: the beginning of its actor's id.

    Args:
        trial: Tune's trial, while it has a lane.
    """
    lane: str = trial.temporary_state.ray_actor._actor_id.hex()
    return lane[:8]


def number_checkpoints_after(trial: Any, last: int) -> None:
    """Let a trial's next checkpoint be numbered behind one of an earlier session, so that it replaces none.

    Args:
        trial: Tune's trial, before it has a lane.
        last: The number of that checkpoint.
    """
    trial.storage.current_checkpoint_index = last
