"""Ray Tune's search algorithm on top of our study."""

from collections import deque
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ray.tune import PlacementGroupFactory
from ray.tune.experiment import Experiment, Trial
from ray.tune.search.search_algorithm import SearchAlgorithm

from ndvq_tune.records import TrialRecord, TrialState, number_of
from ndvq_tune.search.lanes import LanePlan
from ndvq_tune.search.scheduler import EarlyStopping
from ndvq_tune.search.study import Study

LOST = "its process was lost again and again; see the logs of Ray"


class StudySearch(SearchAlgorithm):
    """Hands the study's trials to Tune: first those that the study knows, then new ones, one for each free lane.

    Tune's own trial table is therefore whole in every session: what had ended comes back as ended, what had not
    goes on from its last checkpoint.

    Args:
        study: The study.
        plan: The lanes.
        trials: Trials of the whole search.
        folder: The results folder.
        scheduler: Says how each trial ended.
    """

    def __init__(self, study: Study, plan: LanePlan, trials: int, folder: Path, scheduler: EarlyStopping) -> None:
        self._study, self._plan, self._trials, self._folder = study, plan, trials, folder
        self._scheduler = scheduler
        # What has ended comes first: the scheduler must know all results before a trial goes on.
        self._known = deque(sorted(study.records, key=lambda record: not record.state.final))
        self._running: set[str] = set()

    @property
    def total_samples(self) -> int:
        """Trials of the whole search."""
        return self._trials

    def add_configurations(self, experiments: Any) -> None:
        """Take over what Tune made of the trainable and of the run configuration."""
        self._experiment: Experiment = experiments[0] if isinstance(experiments, list) else experiments

    def next_trial(self) -> Trial | None:
        """The next trial, or none while every lane has one."""
        if self._known and self._known[0].state.final:
            return self._trial(self._known.popleft())
        if self.is_finished() or len(self._running) >= self._plan.lanes:
            return None
        trial = self._trial(self._known.popleft() if self._known else self._study.ask())
        self._running.add(trial.trial_id)
        return trial

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Give the trial its final state: what the scheduler decided, or failed."""
        self._running.discard(trial_id)
        number = number_of(trial_id)
        if error:
            self._study.finish(number, TrialState.FAILED, error=LOST)
        else:
            self._study.finish(number, *self._scheduler.verdict(number))

    def is_finished(self) -> bool:
        """Whether there is nothing left to hand out."""
        return self._finished or (not self._known and len(self._study.records) >= self._trials)

    def _trial(self, record: TrialRecord) -> Trial:
        spec = self._experiment.spec
        trial = Trial(
            spec["run"],
            config={
                "run": dict(record.config),
                "group": asdict(self._plan.group),
                "checkpoint": str(self._folder / record.checkpoint) if record.checkpoint else None,
            },
            trial_id=record.name,
            evaluated_params=dict(record.params),
            placement_group_factory=PlacementGroupFactory([self._plan.trial_resources]),
            storage=self._experiment.storage,
            checkpoint_config=spec["checkpoint_config"],
            max_failures=spec["max_failures"],
            trial_name_creator=_name,
            trial_dirname_creator=_name,
        )
        if record.state.final:
            trial.set_status(Trial.ERROR if record.state is TrialState.FAILED else Trial.TERMINATED)
            trial.run_metadata.last_result = final_result(record)
        return trial


def final_result(record: TrialRecord) -> dict[str, Any]:
    """What Tune keeps of a trial: its last report, its state, and why it ended."""
    return {**record.metrics, "trial_id": record.name, "state": record.state, "stop_reason": record.stop_reason}


def _name(trial: Trial) -> str:
    return str(trial.trial_id)
