import json
from typing import Any

import pytest
import torch

from ndvq_tune.config import RunConfig
from ndvq_tune.search.engine.stopping import IMPOSSIBLE
from ndvq_tune.search.space.settings.stopping import CollapseRule
from tests.search.lane_examples import (
    RUN,
    RealGroup,
    ScriptedGroup,
    actor_of,
    dead,
    open_in_memory,
    run_with,
    two_stages,
)
from tests.search.search_examples import report

RESTART = CollapseRule(after=2, on_collapse="restart_codes")


@pytest.fixture
def data(monkeypatch) -> list[tuple[int, ...]]:
    return open_in_memory(monkeypatch)


def make_equal(quantizer: torch.nn.Module, *_: Any) -> None:
    """Let a codebook collapse."""
    quantizer.codes.copy_(quantizer.codes[0].clone())


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
