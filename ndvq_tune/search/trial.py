"""One lane as Ray Tune sees it: a trainable that is reused from trial to trial."""

import math
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.result import SHOULD_CHECKPOINT

from ndvq_tune.training.checkpoint import Files, read, write
from ndvq_tune.training.workers import GroupSize, RunError, WorkerGroup


class TrialActor(tune.Trainable):
    """Hands Tune's commands to a worker group that lives as long as the lane.

    The configuration of a trial holds ``run`` (a complete run configuration), ``group`` (a ``GroupSize``) and
    ``checkpoint`` (a folder to go on from, or ``None``).
    """

    _group: WorkerGroup
    _run: dict[str, Any]
    _checkpoint: Files | None
    _started: bool

    def setup(self, config: dict[str, Any]) -> None:
        """Start the lane; called once in its life."""
        self._group = WorkerGroup(GroupSize(**config["group"]))
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next trial."""
        self._begin(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Train to the next report. An error of the run is a report too: the lane is fit for the next trial."""
        try:
            if not self._started:
                self._group.start(self._run, self._checkpoint)
                self._started, self._checkpoint = True, None
            report = self._group.train()
        except RunError as error:
            return {"error": str(error)}
        return {**report, SHOULD_CHECKPOINT: math.isfinite(report["recon_loss"])}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Write the run's state."""
        write(Path(checkpoint_dir), self._group.save())

    def load_checkpoint(self, checkpoint_dir: str) -> None:
        """Go on from a state; called when the lane before was lost."""
        self._started, self._checkpoint = False, read(Path(checkpoint_dir))

    def cleanup(self) -> None:
        """End the lane."""
        self._group.close()

    def _begin(self, config: dict[str, Any]) -> None:
        folder = config["checkpoint"]
        self._run = config["run"]
        self._checkpoint = read(Path(folder)) if folder else None
        self._started = False
