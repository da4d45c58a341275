"""One lane as Ray Tune sees it: a trainable that is reused from trial to trial."""

import math
from pathlib import Path
from typing import Any

from ray import tune

from ndvq_tune.config import ModelConfig
from ndvq_tune.goals import Report
from ndvq_tune.records import Rescue
from ndvq_tune.search.engine.stopping import IMPOSSIBLE, needs_rescue
from ndvq_tune.search.stages import Stage
from ndvq_tune.search.tune.history import History
from ndvq_tune.search.tune.messages import LaneReport, LaneTask
from ndvq_tune.training.files import Files, epoch_of, read, write
from ndvq_tune.training.group import RunError
from ndvq_tune.training.worker_group import WorkerGroup

BETA_DIVISOR = 4


class TrialActor(tune.Trainable):
    """Hands Tune's commands to a worker group that lives as long as the lane.

    It takes a ``LaneTask`` for each trial, and gives a ``LaneReport`` for each epoch.
    """

    _group: WorkerGroup
    _task: LaneTask
    _history: History
    _epoch: int
    _stage: Stage | None
    _begins_from: Path | None
    _checkpoint: Files | None

    def setup(self, config: dict[str, Any]) -> None:
        """Start the lane; called once in its life."""
        task = LaneTask.of(config)
        self._group = WorkerGroup(task.group)
        self._begin(task)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next trial."""
        self._begin(LaneTask.of(new_config))
        return True

    def step(self) -> dict[str, Any]:
        """Train to the next report. An error of the run is a report too: the lane is fit for the next trial."""
        try:
            stage = self._enter_stage()
            metrics = {name: float(value) for name, value in self._group.train().items()}
            metrics["fidelity"] = stage.fidelity
            self._epoch = int(metrics["epoch"])
            report = LaneReport(metrics, rescue=self._rescued(metrics))
        except RunError as error:
            return LaneReport({}, error=str(error)).to_result()
        return report.to_result(checkpoint=math.isfinite(metrics["recon_loss"]))

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Write the run's state."""
        write(Path(checkpoint_dir), self._group.save())
        if self._task.rescue is not None:
            self._history.write(Path(checkpoint_dir))

    def load_checkpoint(self, checkpoint_dir: str) -> None:
        """Go on from a state; Tune calls it with one that this session has saved, which is later than the task's."""
        folder = Path(checkpoint_dir)
        self._begins_from = None
        self._checkpoint, self._history = read(folder), History.read(folder)
        self._epoch, self._stage = epoch_of(self._checkpoint), None

    def cleanup(self) -> None:
        """End the lane."""
        self._group.close()

    def _begin(self, task: LaneTask) -> None:
        # That of the task is read when the first step comes: by then Tune has said whether there is a later one.
        self._begins_from = task.checkpoint
        self._task, self._checkpoint, self._history = task, None, History()
        self._epoch, self._stage = 0, None

    def _enter_stage(self) -> Stage:
        """Start the stage of the next epoch, unless it is the one that runs."""
        if self._begins_from is not None:
            self.load_checkpoint(str(self._begins_from))
        stage = [stage for stage in self._task.stages if stage.after_epoch <= self._epoch][-1]
        if stage is not self._stage:
            self._start(stage, self._checkpoint if self._stage is None else self._group.save())
        return stage

    def _start(self, stage: Stage, checkpoint: Files | None) -> None:
        beta = stage.run.model.codebook_beta / BETA_DIVISOR ** self._history.count("lower_beta")
        model = stage.run.model.model_copy(update={"codebook_beta": beta})
        self._group.start(stage.run.model_copy(update={"model": model}), checkpoint)
        self._stage, self._checkpoint = stage, None

    def _rescued(self, report: Report) -> str | None:
        """Bring the codebook back to life if it is time, and there are epochs left for it."""
        rule = self._task.rescue
        if rule is None:
            return None
        self._history.reports.append(report)
        last = self._epoch >= self._task.stages[-1].run.training.max_epochs
        if last or not needs_rescue(self._history.reports, rule, self._history.rescues):
            return None
        return self._rescue(rule.on_collapse)

    def _rescue(self, action: str) -> str:
        """What was done."""
        assert self._stage is not None
        restart = action == "restart_codes"
        possible = self._group.restart_codes() if restart else _has_beta(self._stage.run.model)
        self._history.rescues.append(Rescue(self._epoch, action if possible else IMPOSSIBLE))
        if possible and not restart:
            self._start(self._stage, self._group.save())
        return self._history.rescues[-1].action


def _has_beta(model: ModelConfig) -> bool:
    return bool(model.codebook_beta) and model.quantizer.type != "fsq"
