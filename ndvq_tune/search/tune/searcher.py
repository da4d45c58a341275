"""Ray Tune's search algorithm on top of our engine."""

import re
import shutil
from collections import deque
from pathlib import Path
from typing import Any

from ray.tune import PlacementGroupFactory
from ray.tune.experiment import Experiment, Trial
from ray.tune.search.search_algorithm import SearchAlgorithm

from ndvq_tune.records import TrialRecord, TrialState, number_of
from ndvq_tune.search.engine.engine import Engine
from ndvq_tune.search.engine.study import Study
from ndvq_tune.search.folder import RAY
from ndvq_tune.search.resources.lanes import LanePlan
from ndvq_tune.search.space import SearchSpace
from ndvq_tune.search.stages import stages
from ndvq_tune.search.tune.messages import LaneTask
from ndvq_tune.training.ray_internals import number_checkpoints_after

INHERITED = "inherited"
CHECKPOINT = re.compile(r"/checkpoint_(\d+)$")  # as Tune names its own


class EngineSearch(SearchAlgorithm):
    """Hands trials to Tune: first those that have ended already, then what the engine gives, one for each free lane.

    Tune's own trial table is therefore whole in every session: what had ended comes back as ended, what had not
    goes on from its last checkpoint.

    Args:
        engine: The engine.
        study: Its study.
        space: The space.
        plan: The lanes.
        folder: The results folder.
    """

    def __init__(self, engine: Engine, study: Study, space: SearchSpace, plan: LanePlan, folder: Path) -> None:
        self._engine, self._study, self._space, self._plan, self._folder = engine, study, space, plan, folder
        self._ended = deque(record for record in study.records if record.state.final)

    @property
    def total_samples(self) -> int:
        """Trials of the whole search."""
        return self._engine.expected

    def add_configurations(self, experiments: Any) -> None:
        """Take over what Tune made of the trainable and of the run configuration."""
        self._experiment: Experiment = experiments[0] if isinstance(experiments, list) else experiments

    def next_trial(self) -> Trial | None:
        """The next trial, or none while every lane has one."""
        if self._ended:
            return self._trial(self._ended.popleft())
        if self._engine.busy >= self._plan.lanes:
            return None
        record = self._engine.next_trial()
        return None if record is None else self._trial(self._with_checkpoint(record))

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Give the trial its final state, as the engine has decided."""
        self._engine.finish(number_of(trial_id))

    def is_finished(self) -> bool:
        """Whether there is nothing left to hand out."""
        return self._finished or (not self._ended and self._engine.finished)

    def _with_checkpoint(self, record: TrialRecord) -> TrialRecord:
        """A trial that begins where another one is, with a checkpoint of its own: the other one's will be gone soon."""
        if not record.role.inherits or record.reports or record.checkpoint is None:
            return record
        own = Path(RAY, record.name, INHERITED)
        shutil.copytree(self._folder / record.checkpoint, self._folder / own, dirs_exist_ok=True)
        return self._study.checkpoint(record.number, own.as_posix(), record.checkpoint_epoch)

    def _trial(self, record: TrialRecord) -> Trial:
        spec = self._experiment.spec
        trial = Trial(
            spec["run"],
            config=self._task(record).to_config(),
            trial_id=record.name,
            evaluated_params=dict(record.params),
            placement_group_factory=PlacementGroupFactory(self._plan.bundles),
            storage=self._experiment.storage,
            checkpoint_config=spec["checkpoint_config"],
            max_failures=spec["max_failures"],
            trial_name_creator=_name,
            trial_dirname_creator=_name,
        )
        if record.checkpoint and (numbered := CHECKPOINT.search(record.checkpoint)):
            number_checkpoints_after(trial, int(numbered[1]))
        if record.state.final:
            trial.set_status(Trial.ERROR if record.state is TrialState.FAILED else Trial.TERMINATED)
            trial.run_metadata.last_result = final_result(record)
        return trial

    def _task(self, record: TrialRecord) -> LaneTask:
        collapse = self._space.search.stop.collapse
        rescued = collapse is not None and collapse.on_collapse != "stop" and record.role.searches
        return LaneTask(
            self._plan.group,
            stages(record.config, self._space.search, self._space.max_epochs),
            collapse if rescued else None,
            self._folder / record.checkpoint if record.checkpoint else None,
        )


def final_result(record: TrialRecord) -> dict[str, Any]:
    """What Tune keeps of a trial: its last report, its state, and why it ended."""
    return {**record.metrics, "trial_id": record.name, "state": record.state, "stop_reason": record.stop_reason}


def _name(trial: Trial) -> str:
    return str(trial.trial_id)
