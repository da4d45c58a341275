"""What goes down to a lane and what comes back, and how it travels through Ray Tune."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray.tune.result import SHOULD_CHECKPOINT

from ndvq_tune.search.space.settings.stopping import CollapseRule
from ndvq_tune.search.stages import Stage
from ndvq_tune.training.group import GroupSize


@dataclass(frozen=True)
class LaneTask:
    """A trial as a lane gets it.

    Attributes:
        group: The worker group of the lane; the same for all trials of a search.
        stages: What to train, the last with full samples.
        rescue: When and how the codebook is brought back to life; None where nothing is to be done.
        checkpoint: Folder of the state to go on from.
    """

    group: GroupSize
    stages: tuple[Stage, ...]
    rescue: CollapseRule | None = None
    checkpoint: Path | None = None

    def to_config(self) -> dict[str, Any]:
        """As Ray Tune takes it: a trial's configuration has to be a dict."""
        return {"task": self}

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "LaneTask":
        """From what Ray Tune gives to a trainable."""
        task: LaneTask = config["task"]
        return task


@dataclass(frozen=True)
class LaneReport:
    """What a lane tells of its trial: an epoch's metrics, or why its run ended.

    Attributes:
        metrics: ``epoch`` and what was measured after it; empty where the run raised an error.
        rescue: What was done after it to bring the codebook back to life: ``restart_codes``, ``lower_beta``, or
            ``impossible`` where that would change nothing.
        error: The text of the error that the run raised. The lane is fit for the next trial.
    """

    metrics: Mapping[str, float]
    rescue: str | None = None
    error: str | None = None

    def to_result(self, *, checkpoint: bool = False) -> dict[str, Any]:
        """As Ray Tune takes it.

        Args:
            checkpoint: Whether Tune is to save the trial now.
        """
        return {"report": self, SHOULD_CHECKPOINT: checkpoint}

    @classmethod
    def of(cls, result: Mapping[str, Any]) -> "LaneReport":
        """From what Ray Tune hands on, which has much of its own beside it."""
        report: LaneReport = result["report"]
        return report
