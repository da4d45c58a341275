import json
import math
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
import torch
from ray.tune.result import SHOULD_CHECKPOINT

from ndvq_tune.config import RunConfig
from ndvq_tune.data import Dataset, SampleSet, Scale, Window
from ndvq_tune.search.settings import SearchSettings
from ndvq_tune.search.settings.stopping import CollapseRule
from ndvq_tune.search.stages import stages
from ndvq_tune.search.stopping import IMPOSSIBLE
from ndvq_tune.search.trial import TrialActor
from ndvq_tune.training import runs
from ndvq_tune.training.checkpoint import load_model, read
from ndvq_tune.training.workers import RunError
from tests.search.search_examples import report

RUN = RunConfig.model_validate(
    {
        "data": {"clip_length": 2, "resolution": 8},
        "model": {"n_codes": 16, "embedding_dim": 4, "downsample": [1, 2, 2], "n_hiddens": 8, "n_res_layers": 1},
        "training": {"max_epochs": 4, "batch_size": 4},
    }
).to_dict()
RESTART = CollapseRule(after=2, on_collapse="restart_codes")


def run_with(**model: Any) -> dict[str, Any]:
    return {**RUN, "model": {**RUN["model"], **model}}


class ScriptedGroup:
    """Gives the reports that it is told to, and notes what is asked of it."""

    def __init__(self, *reports: dict[str, float], codes: bool = True) -> None:
        self._reports = iter(reports)
        self._codes = codes
        self.asked: list[str] = []
        self.epoch, self.run = 0, {}

    def start(self, run: dict[str, Any], checkpoint: dict[str, bytes] | None) -> None:
        RunConfig.model_validate(run)
        self.run, self.epoch = run, json.loads(checkpoint["config.json"])["epoch"] if checkpoint else 0
        self.asked.append("start" if checkpoint is None else f"start from {self.epoch}")

    def train(self) -> dict[str, float]:
        self.asked.append("train")
        self.epoch += 1
        return {"fidelity": 1.0, **next(self._reports)}

    def save(self) -> dict[str, bytes]:
        config = json.dumps({"format": 1, "epoch": self.epoch, "config": self.run})
        return {"model.safetensors": b"", "config.json": config.encode(), "training.safetensors": b""}

    def restart_codes(self) -> bool:
        self.asked.append("restart")
        return self._codes


class RealGroup:
    """One worker, in this process."""

    def __init__(self) -> None:
        self.runs = runs.Runs(0, 1, torch.device("cpu"))

    def __getattr__(self, name: str) -> Any:
        def command(*arguments: Any) -> Any:
            status, answer = self.runs.obey(name, arguments)
            if status == runs.ERROR:
                raise RunError(answer)
            return answer

        return command


def actor_of(group: Any, run: dict[str, Any] = RUN, **config: Any) -> TrialActor:
    """A lane with this group, without Tune."""
    actor = object.__new__(TrialActor)
    actor._group = group
    actor.reset_config({"run": run, "checkpoint": None, **config})
    return actor


def dead(epochs: int, first: int = 1) -> list[dict[str, float]]:
    return [report(epoch, perplexity=1.0) for epoch in range(first, first + epochs)]


def two_stages(run: dict[str, Any] = RUN, **fidelity: Any) -> list[dict[str, Any]]:
    settings = SearchSettings.model_validate({"fidelity": {"resolution": [4, 8], "promote_after": [2]} | fidelity})
    return [asdict(stage) for stage in stages(run, settings, 4)]


@pytest.fixture
def data(monkeypatch) -> list[tuple[int, ...]]:
    """Random data of any size in memory; the shapes that were opened."""
    opened: list[tuple[int, ...]] = []

    def open_dataset(config: Any) -> Dataset:
        opened.append(config.sample_shape)
        rng = np.random.default_rng(0)
        rows = rng.integers(0, 255, (40, *config.sample_shape[2:], 3), np.uint8)
        train, test = (SampleSet([part], Window(2, 2), Scale(0, 255)) for part in (rows[:30], rows[30:]))
        pixels = rows[:30] / 255
        return Dataset(train, test, float(pixels.mean()), float(pixels.var()), {}, files=2)

    monkeypatch.setattr(runs, "open_dataset", open_dataset)
    runs._dataset.cache_clear()
    yield opened
    runs._dataset.cache_clear()


def test_a_trial_starts_once_and_then_trains():
    group = ScriptedGroup(report(1), report(2, math.nan))
    actor = actor_of(group)
    first, second = actor.step(), actor.step()
    assert group.asked == ["start", "train", "train"]
    assert first == {**report(1), SHOULD_CHECKPOINT: True}
    assert second[SHOULD_CHECKPOINT] is False


def test_an_error_of_the_run_is_the_result_and_the_lane_takes_the_next_trial(data):
    actor = actor_of(RealGroup(), {**RUN, "data": {**RUN["data"], "resolution": 0}})
    assert "resolution" in actor.step()["error"]
    actor.reset_config({"run": RUN, "checkpoint": None})
    assert actor.step()["epoch"] == 1


def test_each_stage_starts_from_the_state_of_the_one_before():
    group = ScriptedGroup(*[report(epoch) for epoch in range(1, 5)])
    actor = actor_of(group, stages=two_stages())
    results = [actor.step() for _ in range(4)]
    assert group.asked == ["start", "train", "train", "start from 2", "train", "train"]
    assert [result["fidelity"] for result in results] == [0.25, 0.25, 1.0, 1.0]
    assert group.run == RUN


@pytest.mark.parametrize(("epoch", "fidelity"), [(1, 0.25), (2, 1.0), (3, 1.0)])
@pytest.mark.parametrize("lost", [False, True])
def test_the_stage_after_a_checkpoint_is_that_of_its_epoch(tmp_path, epoch, fidelity, lost):
    """On resume of a search, and where a lane was lost."""
    before = actor_of(ScriptedGroup(*[report(each) for each in range(1, 5)]), stages=two_stages())
    for _ in range(epoch):
        before.step()
    before.save_checkpoint(str(tmp_path))
    group = ScriptedGroup(report(epoch + 1))
    actor = actor_of(group, stages=two_stages(), checkpoint=None if lost else str(tmp_path))
    if lost:
        actor.load_checkpoint(str(tmp_path))
    assert actor.step()["fidelity"] == fidelity
    assert group.asked == [f"start from {epoch}", "train"]


def test_promotion_keeps_what_was_learned_and_changes_the_data(data, tmp_path):
    group = RealGroup()
    actor = actor_of(group, stages=two_stages())
    results = [actor.step(), actor.step()]
    weights = {name: value.clone() for name, value in group.runs._training.model.named_parameters()}
    actor._enter_stage()
    promoted = group.runs._training
    assert promoted.model.input_shape == (3, 2, 8, 8)
    assert all(torch.equal(value, weights[name]) for name, value in promoted.model.named_parameters())
    assert promoted.optimizer.state_dict()["state"]
    results += [actor.step(), actor.step()]
    assert [result["epoch"] for result in results] == [1, 2, 3, 4]
    assert [result["fidelity"] for result in results] == [0.25, 0.25, 1.0, 1.0]
    assert [result["samples_seen"] for result in results] == [12, 24, 36, 48]
    assert data == [(3, 2, 4, 4), (3, 2, 8, 8)]

    actor.save_checkpoint(str(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == set(read(tmp_path))
    assert json.loads((tmp_path / "config.json").read_text())["config"] == RUN
    assert load_model(tmp_path).input_shape == (3, 2, 8, 8)


def test_a_rescue_is_made_when_it_is_due_and_told():
    group = ScriptedGroup(*dead(6))
    run = {**RUN, "training": {**RUN["training"], "max_epochs": 9}}
    actor = actor_of(group, run, collapse=RESTART.model_copy(update={"rescues": 2}).model_dump())
    told = [actor.step().get("rescue") for _ in range(6)]
    assert told == [None, "restart_codes", None, "restart_codes", None, None]
    assert group.asked == ["start", "train", "train", "restart", "train", "train", "restart", "train", "train"]


@pytest.mark.parametrize("collapse", [None, CollapseRule(after=1).model_dump()])
def test_without_rescues_nothing_is_done(collapse, tmp_path):
    group = ScriptedGroup(*dead(3))
    actor = actor_of(group, collapse=collapse)
    assert ["rescue" in actor.step() for _ in range(3)] == [False] * 3
    assert group.asked == ["start", "train", "train", "train"]
    actor.save_checkpoint(str(tmp_path))
    assert len(list(tmp_path.iterdir())) == 3


def test_after_the_last_epoch_nothing_is_rescued():
    group = ScriptedGroup(*[report(epoch) for epoch in range(1, 4)], *dead(1, first=4))
    actor = actor_of(group, collapse=RESTART.model_dump())
    assert ["rescue" in actor.step() for _ in range(4)] == [False] * 4


@pytest.mark.parametrize(
    ("action", "model"),
    [
        ("restart_codes", {"quantizer": {"type": "fsq"}}),
        ("restart_codes", {"quantizer": {"type": "lfq"}}),
        ("lower_beta", {"quantizer": {"type": "fsq"}}),
        ("lower_beta", {"codebook_beta": 0.0}),
    ],
)
def test_a_rescue_that_would_change_nothing_is_told_as_impossible(data, action, model):
    run = RunConfig.model_validate(run_with(**model)).to_dict()
    rule = CollapseRule(after=1, on_collapse=action, usage_below=1, perplexity_below=1e9)
    actor = actor_of(RealGroup(), run, collapse=rule.model_dump())
    assert actor.step()["rescue"] == IMPOSSIBLE
    assert "rescue" not in actor.step()


def make_equal(quantizer: torch.nn.Module, *_: Any) -> None:
    """Let a codebook collapse."""
    quantizer.codes.copy_(quantizer.codes[0].clone())


@pytest.mark.parametrize("lane_lost", [False, True])
def test_restarted_codes_come_alive(data, tmp_path, lane_lost):
    run = run_with(quantizer={"type": "ema", "restart_threshold": 0.0})
    group = RealGroup()
    actor = actor_of(group, run, collapse=RESTART.model_dump())
    actor._enter_stage()
    hook = group.runs._training.model.quantizer.register_forward_hook(make_equal)
    results = [actor.step(), actor.step()]
    hook.remove()
    assert results[-1]["codebook_usage"] == 1 / 16
    assert [result.get("rescue") for result in results] == [None, "restart_codes"]
    if lane_lost:
        actor.save_checkpoint(str(tmp_path))
        actor = actor_of(RealGroup(), run, collapse=RESTART.model_dump())
        actor.load_checkpoint(str(tmp_path))
    after = actor.step()
    assert after["codebook_usage"] > 0.3
    assert after["epoch"] == 3


def test_a_lowered_beta_holds_from_the_next_epoch_on_and_after_resume(data, tmp_path):
    rule = CollapseRule(after=1, on_collapse="lower_beta", usage_below=1, perplexity_below=1e9, rescues=2)
    run = run_with(codebook_beta=0.8)
    group = RealGroup()
    actor = actor_of(group, run, collapse=rule.model_dump())
    assert actor.step()["rescue"] == "lower_beta"
    assert group.runs._training.model.quantizer.codebook_beta == pytest.approx(0.2)
    actor.save_checkpoint(str(tmp_path))
    assert json.loads((tmp_path / "config.json").read_text())["config"]["model"]["codebook_beta"] == pytest.approx(0.2)

    group = RealGroup()
    actor = actor_of(group, run, collapse=rule.model_dump(), checkpoint=str(tmp_path))
    actor._enter_stage()
    assert group.runs._training.model.quantizer.codebook_beta == pytest.approx(0.2)
    told = [actor.step() for _ in range(2)]
    assert [result["epoch"] for result in told] == [2, 3]
    assert group.runs._training.model.quantizer.codebook_beta == pytest.approx(0.05)


def test_a_lowered_beta_holds_in_the_next_stage():
    rule = CollapseRule(after=2, on_collapse="lower_beta")
    group, run = ScriptedGroup(*dead(2), report(3)), run_with(codebook_beta=0.8)
    actor = actor_of(group, run, stages=two_stages(run), collapse=rule.model_dump())
    for _ in range(3):
        actor.step()
    assert group.asked == ["start", "train", "train", "start from 2", "start from 2", "train"]
    assert group.run == run_with(codebook_beta=0.2)


def test_a_lane_that_takes_over_knows_the_reports_and_rescues_before(tmp_path):
    rule = RESTART.model_dump()
    run = {**RUN, "training": {**RUN["training"], "max_epochs": 9}}
    before = actor_of(ScriptedGroup(*dead(1)), run, collapse=rule)
    before.step()
    before.save_checkpoint(str(tmp_path))
    middle = actor_of(ScriptedGroup(*dead(1, first=2)), run, collapse=rule, checkpoint=str(tmp_path))
    assert middle.step()["rescue"] == "restart_codes"
    middle.save_checkpoint(str(tmp_path))
    after = actor_of(ScriptedGroup(*dead(4, first=3)), run, collapse=rule, checkpoint=str(tmp_path))
    assert ["rescue" in after.step() for _ in range(4)] == [False] * 4


def test_a_new_trial_knows_nothing_of_the_one_before():
    group = ScriptedGroup(*dead(2), *dead(2))
    actor = actor_of(group, collapse=RESTART.model_dump())
    first = [actor.step().get("rescue") for _ in range(2)]
    actor.reset_config({"run": RUN, "checkpoint": None, "collapse": RESTART.model_dump()})
    assert [actor.step().get("rescue") for _ in range(2)] == first == [None, "restart_codes"]


def test_the_share_of_a_gpu_caps_its_memory(monkeypatch):
    from ndvq_tune.training import workers

    shares: list[float] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", lambda share, device: shares.append(share))
    monkeypatch.setattr(workers, "get_device", lambda: torch.device("cuda:0"))
    for gpus in (0.0, 0.25, 1.0, 2.0):
        workers._keep_to_share(gpus)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    workers._keep_to_share(0.5)
    assert shares == [0.25]
