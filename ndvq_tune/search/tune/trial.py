"""One lane as Ray Tune sees it: a trainable that is reused from trial to trial."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.result import SHOULD_CHECKPOINT

from ndvq_tune.records import Rescue
from ndvq_tune.search.engine.stopping import IMPOSSIBLE, needs_rescue
from ndvq_tune.search.space.settings.stopping import CollapseRule
from ndvq_tune.search.stages import Stage, fidelity_of
from ndvq_tune.search.tune.history import History
from ndvq_tune.training.checkpoint import Files, epoch_of, read, write
from ndvq_tune.training.group import GroupSize, RunError
from ndvq_tune.training.loop import Report
from ndvq_tune.training.workers import WorkerGroup

BETA_DIVISOR = 4


class TrialActor(tune.Trainable):
    """Hands Tune's commands to a worker group that lives as long as the lane.

    The configuration of a trial holds ``run`` (a complete run configuration), ``group`` (a ``GroupSize``),
    ``checkpoint`` (a folder to go on from, or ``None``), ``stages`` (the fields of each ``Stage``; one of ``run`` if
    not given) and ``collapse`` (the fields of a ``CollapseRule``, or ``None``).

    A result is a report. It has ``rescue`` beside it if something was done after it to bring the codebook back to
    life: ``restart_codes``, ``lower_beta``, or ``impossible`` where that would change nothing. It is ``error`` alone
    if the run raised one.
    """

    _group: WorkerGroup
    _stages: list[Stage]
    _rule: CollapseRule | None
    _history: History
    _epoch: int
    _stage: Stage | None
    _fidelity: float
    _checkpoint: Files | None

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
            self._enter_stage()
            report = {**self._group.train(), "fidelity": self._fidelity}
            self._epoch = int(report["epoch"])
            rescue = self._rescued(report)
        except RunError as error:
            return {"error": str(error)}
        return {**report, **rescue, SHOULD_CHECKPOINT: math.isfinite(report["recon_loss"])}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Write the run's state."""
        write(Path(checkpoint_dir), self._group.save())
        if self._rule is not None:
            self._history.write(Path(checkpoint_dir))

    def load_checkpoint(self, checkpoint_dir: str) -> None:
        """Go on from a state; called when the lane before was lost."""
        folder = Path(checkpoint_dir)
        self._checkpoint, self._history = read(folder), History.read(folder)
        self._epoch, self._stage = epoch_of(self._checkpoint), None

    def cleanup(self) -> None:
        """End the lane."""
        self._group.close()

    def _begin(self, config: dict[str, Any]) -> None:
        stages = config.get("stages") or [{"after_epoch": 0, "run": config["run"]}]
        self._stages = [Stage(**stage) for stage in stages]
        self._rule = CollapseRule(**config["collapse"]) if config.get("collapse") else None
        if self._rule is not None and self._rule.on_collapse == "stop":
            self._rule = None
        self._checkpoint, self._history = None, History()
        self._epoch, self._stage = 0, None
        if config["checkpoint"]:
            self.load_checkpoint(config["checkpoint"])

    def _enter_stage(self) -> None:
        """Start the stage of the next epoch, unless it is the one that runs."""
        stage = max((stage for stage in self._stages if stage.after_epoch <= self._epoch), key=lambda s: s.after_epoch)
        if stage is not self._stage:
            self._start(stage, self._checkpoint if self._stage is None else self._group.save())

    def _start(self, stage: Stage, checkpoint: Files | None) -> None:
        model = stage.run["model"]
        beta = model["codebook_beta"] / BETA_DIVISOR ** self._history.count("lower_beta")
        self._group.start({**stage.run, "model": {**model, "codebook_beta": beta}}, checkpoint)
        self._stage, self._checkpoint = stage, None
        self._fidelity = fidelity_of(stage.run, self._stages[-1].run)

    def _rescued(self, report: Report) -> dict[str, str]:
        """Bring the codebook back to life if it is time, and there are epochs left for it."""
        if self._rule is None:
            return {}
        self._history.reports.append(report)
        last = self._epoch >= self._stages[-1].run["training"]["max_epochs"]
        if last or not needs_rescue(self._history.reports, self._rule, self._history.rescues):
            return {}
        return {"rescue": self._rescue(self._rule.on_collapse)}

    def _rescue(self, action: str) -> str:
        """What was done."""
        assert self._stage is not None
        restart = action == "restart_codes"
        possible = self._group.restart_codes() if restart else _has_beta(self._stage.run["model"])
        self._history.rescues.append(Rescue(self._epoch, action if possible else IMPOSSIBLE))
        if possible and not restart:
            self._start(self._stage, self._group.save())
        return self._history.rescues[-1].action


def _has_beta(model: Mapping[str, Any]) -> bool:
    return bool(model["codebook_beta"]) and model["quantizer"]["type"] != "fsq"
