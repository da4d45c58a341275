"""A lane without Tune and Ray: its worker group is scripted, or one worker in this process."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ndvq_tune.config import RunConfig
from ndvq_tune.data.batches.samples import SampleSet, Scale, Window
from ndvq_tune.data.dataset import Dataset
from ndvq_tune.search.space.settings import SearchSettings
from ndvq_tune.search.space.settings.stopping import CollapseRule
from ndvq_tune.search.stages import Stage, stages
from ndvq_tune.search.tune.messages import LaneReport, LaneTask
from ndvq_tune.search.tune.trial import TrialActor
from ndvq_tune.training import runs
from ndvq_tune.training.group import ERROR, GroupSize, RunError
from tests.search.search_examples import merged, report

RUN = RunConfig.model_validate(
    {
        "data": {"clip_length": 2, "resolution": 8},
        "model": {"n_codes": 16, "embedding_dim": 4, "downsample": [1, 2, 2], "n_hiddens": 8, "n_res_layers": 1},
        "training": {"max_epochs": 4, "batch_size": 4},
    }
)
UNUSED = GroupSize(workers=0, cpus=1, gpus=0, cpus_reserved=1, storage="")


def run_with(**model: Any) -> RunConfig:
    return RunConfig.model_validate(merged(RUN.to_dict(), {"model": model}))


def longer(max_epochs: int) -> RunConfig:
    return RunConfig.model_validate(merged(RUN.to_dict(), {"training": {"max_epochs": max_epochs}}))


class ScriptedGroup:
    """Gives the reports that it is told to, and notes what is asked of it."""

    def __init__(self, *reports: dict[str, float]) -> None:
        self._reports = iter(reports)
        self.asked: list[str] = []
        self.epoch, self.run = 0, RUN

    def start(self, run: RunConfig, checkpoint: dict[str, bytes] | None) -> None:
        self.run, self.epoch = run, json.loads(checkpoint["config.json"])["epoch"] if checkpoint else 0
        self.asked.append("start" if checkpoint is None else f"start from {self.epoch}")

    def train(self) -> dict[str, float]:
        self.asked.append("train")
        self.epoch += 1
        return {"fidelity": 1.0, **next(self._reports)}

    def save(self) -> dict[str, bytes]:
        config = json.dumps({"format": 1, "epoch": self.epoch, "config": self.run.to_dict()})
        return {"model.safetensors": b"", "config.json": config.encode(), "training.safetensors": b""}

    def restart_codes(self) -> bool:
        self.asked.append("restart")
        return True


class RealGroup:
    """One worker, in this process."""

    def __init__(self) -> None:
        self.runs = runs.Runs(0, 1, torch.device("cpu"))

    def __getattr__(self, name: str) -> Any:
        def command(*arguments: Any) -> Any:
            status, answer = self.runs.obey(name, arguments)
            if status == ERROR:
                raise RunError(answer)
            return answer

        return command


def task(
    *some: Stage, rescue: CollapseRule | None = None, checkpoint: Path | None = None, run: RunConfig = RUN
) -> dict[str, Any]:
    """A trial as Tune gives it to a lane: these stages, or one of a run."""
    return LaneTask(UNUSED, some or (Stage(0, run),), rescue, checkpoint).to_config()


def actor_of(group: Any, *some: Stage, **changes: Any) -> TrialActor:
    """A lane with this group, without Tune."""
    actor = object.__new__(TrialActor)
    actor._group = group
    actor.reset_config(task(*some, **changes))
    return actor


def step(actor: TrialActor) -> LaneReport:
    return LaneReport.of(actor.step())


def dead(epochs: int, first: int = 1) -> list[dict[str, float]]:
    return [report(epoch, perplexity=1.0) for epoch in range(first, first + epochs)]


def two_stages(run: RunConfig = RUN, **fidelity: Any) -> tuple[Stage, ...]:
    settings = SearchSettings.model_validate({"fidelity": {"resolution": [4, 8], "promote_after": [2]} | fidelity})
    return stages(run, settings, 4)


def open_in_memory(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Lets runs train on random data of any size in memory; the shapes that are opened."""
    opened: list[tuple[int, ...]] = []

    def open_dataset(config: Any) -> Dataset:
        opened.append(config.sample_shape)
        rng = np.random.default_rng(0)
        rows = rng.integers(0, 255, (40, *config.sample_shape[2:], 3), np.uint8)
        train, test = (SampleSet([part], Window(2, 2), Scale(0, 255)) for part in (rows[:30], rows[30:]))
        pixels = rows[:30] / 255
        return Dataset(train, test, float(pixels.mean()), float(pixels.var()), float(pixels.var()), {}, files=2)

    monkeypatch.setattr(runs, "open_dataset", open_dataset)
    monkeypatch.setattr(runs, "_dataset", runs._dataset.__wrapped__)
    return opened
