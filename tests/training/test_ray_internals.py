"""What ``ray_internals`` relies on. A test that fails after an upgrade of Ray says what to mend there.

That lanes start and end with it is tested by whole searches, in tests/end_to_end.
"""

import inspect
from types import SimpleNamespace
from typing import Any

import pytest
import ray
from ray import ActorID, JobID, PlacementGroupID, TaskID, train
from ray._private import worker
from ray.actor import ActorHandle
from ray.train._internal.storage import StorageContext
from ray.train.torch import TorchTrainer
from ray.train.v2._internal.callbacks.datasets import DatasetsCallback
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
from ray.train.v2._internal.execution.controller import TrainController
from ray.train.v2._internal.execution.scaling_policy import FixedScalingPolicy
from ray.train.v2._internal.execution.worker_group import WorkerGroup, state, worker_group
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer
from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial
from ray.util.placement_group import PlacementGroup

from ndvq_tune.training.ray_internals import hide_raylet_messages, lane_of, lane_trainer, resources_of_this_machine

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Ray Data warns of its own settings

SETTINGS = {"scaling_config": train.ScalingConfig(num_workers=2, resources_per_worker={"CPU": 0.5})}

NEEDLESS = ((worker_group, "SynchronizationActor"), (state, "_shutdown_sync_actor"))


def serve(settings: dict[str, object]) -> None:
    raise AssertionError("no worker runs here")


def test_only_workers_that_train_together_get_a_process_group_of_torch():
    alone, together = (lane_trainer(serve, process_group=several, **SETTINGS) for several in (False, True))
    assert isinstance(together, TorchTrainer)
    assert isinstance(alone, DataParallelTrainer)
    assert not isinstance(alone, TorchTrainer)


def callbacks(trainer: DataParallelTrainer) -> set[type]:
    return {type(callback) for callback in trainer._create_default_callbacks()}


def test_the_usual_callbacks_have_what_a_lane_leaves_out():
    usual = callbacks(DataParallelTrainer(serve, **SETTINGS))
    assert usual >= {DatasetsCallback, PlacementGroupCleanerCallback}, "Ray Train no longer starts these: leave it be"
    own = callbacks(lane_trainer(serve, process_group=False, **SETTINGS))
    assert own == usual - {DatasetsCallback, PlacementGroupCleanerCallback}


def controlled(monkeypatch) -> dict[str, Any]:
    """What a lane hands to Ray Train's controller, which is not run."""
    handed = {}

    async def run(controller: TrainController) -> None:
        pass

    monkeypatch.setattr(TrainController, "__init__", lambda self, **parts: handed.update(parts, controller=self))
    monkeypatch.setattr(TrainController, "run", run)
    monkeypatch.setattr(TrainController, "get_result", lambda self: "its result")
    for module, name in NEEDLESS:
        monkeypatch.setattr(module, name, getattr(module, name))  # as it was, after the test
    trainer = lane_trainer(serve, process_group=False, **SETTINGS)
    assert trainer._initialize_and_run_controller(scaling_policy=None, callbacks=[]) == "its result"
    return handed


def test_a_lane_asks_no_autoscaler(monkeypatch):
    policy = controlled(monkeypatch)["scaling_policy"]
    assert isinstance(policy, FixedScalingPolicy)
    policy.after_controller_start(None)  # would start a process that imports Ray Data
    decision = policy.make_decision_for_non_running_worker_group()
    assert decision.num_workers == 2, "Ray Train's policy of a fixed size no longer decides by itself"


def test_workers_take_the_bundles_that_tune_has_reserved_beside_that_of_the_lane(monkeypatch):
    taken = inspect.signature(WorkerGroup._create_workers).parameters
    assert "placement_group_bundle_indices" in taken, "Ray Train places its workers in another way"
    assert callable(getattr(WorkerGroup, "_create_placement_group", None)), "Ray Train reserves in another way"
    reserved = PlacementGroup(PlacementGroupID.of(JobID.from_int(1)))
    monkeypatch.setattr(ray.util, "get_current_placement_group", lambda: reserved)
    workers = controlled(monkeypatch)["controller"].worker_group_cls
    handle = workers._create_placement_group(None, None, None)
    assert handle.placement_group is reserved
    handle.shutdown()  # would ask Ray, which does not run, to give back what is the lane's
    placed = {}
    monkeypatch.setattr(WorkerGroup, "_create_workers", lambda self, *place, **ranks: placed.update(ranks))
    workers._create_workers(object.__new__(workers), 2, reserved, {"CPU": 0.5}, replica_group_size=None)
    assert placed == {"placement_group_bundle_indices": [1, 2], "replica_group_size": None}


def test_workers_have_no_process_to_agree_on_reports(monkeypatch):
    for module, name in NEEDLESS:
        assert name in inspect.getsource(module), "Ray Train agrees on reports in another way"
    controlled(monkeypatch)
    nobody = worker_group.SynchronizationActor.options(label_selector={}).remote(timeout_s=1)
    state._shutdown_sync_actor(nobody)  # would start Ray, to kill an actor that there is not


def test_this_machine_counts_as_a_node_without_a_ray():
    assert not ray.is_initialized()
    counted = resources_of_this_machine(ray.util.get_node_ip_address())
    assert counted["CPU"] >= 1
    assert counted["memory"] > 2**28


def test_the_switch_of_the_raylets_messages_is_where_it_was(monkeypatch):
    assert isinstance(worker._worker_logs_enabled, bool), "ray._private.worker has no such switch any more"
    monkeypatch.setattr(worker, "_worker_logs_enabled", True)
    hide_raylet_messages()
    assert worker._worker_logs_enabled is False


def test_tunes_controller_sets_the_status_of_a_trial():
    assert callable(getattr(TuneController, "_set_trial_status", None)), "failed trials could not be shown as such"


def test_tune_numbers_a_trials_checkpoints_by_its_storage():
    source = inspect.getsource(StorageContext._update_checkpoint_index)
    assert "self.current_checkpoint_index += 1" in source, "checkpoints would take the place of earlier sessions'"


def test_a_trial_that_starts_has_the_actor_by_whose_id_its_lane_is_known():
    started = inspect.getsource(TuneController._actor_started)
    assert 0 < started.find("trial.set_ray_actor(") < started.find("on_trial_start("), (
        "a lane is known later than before"
    )
    assert "self.temporary_state.ray_actor = " in inspect.getsource(Trial.set_ray_actor), "Tune keeps actors elsewhere"
    assert hasattr(ActorHandle, "_actor_id"), "an actor's id is elsewhere"
    job = JobID.from_int(1)
    ids = [ActorID.of(job, TaskID.for_driver_task(job), count) for count in (1, 2)]
    actors = [SimpleNamespace(ray_actor=SimpleNamespace(_actor_id=actor_id)) for actor_id in ids]
    first, second = [lane_of(SimpleNamespace(temporary_state=actor)) for actor in actors]
    assert first != second
