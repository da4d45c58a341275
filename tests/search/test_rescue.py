import json
from typing import Any

import pytest
import torch

from ndvq_tune.search.engine.stopping import IMPOSSIBLE
from ndvq_tune.search.space.settings.stopping import CollapseRule
from tests.search.lane_examples import (
    RealGroup,
    ScriptedGroup,
    actor_of,
    dead,
    longer,
    open_in_memory,
    run_with,
    step,
    task,
    two_stages,
)
from tests.search.search_examples import report

RESTART = CollapseRule(after=2, on_collapse="restart_codes")


@pytest.fixture
def data(monkeypatch) -> list[tuple[int, ...]]:
    return open_in_memory(monkeypatch)


def make_equal(quantizer: torch.nn.Module, *_: Any) -> None:
    """Let a codebook collapse."""
    codes = quantizer.get_buffer("codes")
    codes.copy_(codes[0].clone())


def test_a_rescue_is_made_when_it_is_due_and_told():
    group = ScriptedGroup(*dead(6))
    actor = actor_of(group, run=longer(9), rescue=RESTART.model_copy(update={"rescues": 2}))
    told = [step(actor).rescue for _ in range(6)]
    assert told == [None, "restart_codes", None, "restart_codes", None, None]
    assert group.asked == ["start", "train", "train", "restart", "train", "train", "restart", "train", "train"]


def test_without_rescues_nothing_is_done(tmp_path):
    group = ScriptedGroup(*dead(3))
    actor = actor_of(group)
    assert [step(actor).rescue for _ in range(3)] == [None] * 3
    assert group.asked == ["start", "train", "train", "train"]
    actor.save_checkpoint(str(tmp_path))
    assert len(list(tmp_path.iterdir())) == 3


def test_after_the_last_epoch_nothing_is_rescued():
    group = ScriptedGroup(*[report(epoch) for epoch in range(1, 4)], *dead(1, first=4))
    actor = actor_of(group, rescue=RESTART)
    assert [step(actor).rescue for _ in range(4)] == [None] * 4


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
    rule = CollapseRule(after=1, on_collapse=action, usage_below=1, perplexity_below=1e9)
    actor = actor_of(RealGroup(), run=run_with(**model), rescue=rule)
    assert step(actor).rescue == IMPOSSIBLE
    assert step(actor).rescue is None


@pytest.mark.parametrize("lane_lost", [False, True])
def test_restarted_codes_come_alive(data, tmp_path, lane_lost):
    run = run_with(quantizer={"type": "ema", "restart_threshold": 0.0})
    group = RealGroup()
    actor = actor_of(group, run=run, rescue=RESTART)
    actor._enter_stage()
    hook = group.runs._training.model.quantizer.register_forward_hook(make_equal)
    results = [step(actor), step(actor)]
    hook.remove()
    assert results[-1].metrics["codebook_usage"] == 1 / 16
    assert [result.rescue for result in results] == [None, "restart_codes"]
    if lane_lost:
        actor.save_checkpoint(str(tmp_path))
        actor = actor_of(RealGroup(), run=run, rescue=RESTART)
        actor.load_checkpoint(str(tmp_path))
    after = step(actor).metrics
    assert after["codebook_usage"] > 0.3
    assert after["epoch"] == 3


def test_a_lowered_beta_holds_from_the_next_epoch_on_and_after_resume(data, tmp_path):
    rule = CollapseRule(after=1, on_collapse="lower_beta", usage_below=1, perplexity_below=1e9, rescues=2)
    run = run_with(codebook_beta=0.8)
    group = RealGroup()
    actor = actor_of(group, run=run, rescue=rule)
    assert step(actor).rescue == "lower_beta"
    assert group.runs._training.model.quantizer.codebook_beta == pytest.approx(0.2)
    actor.save_checkpoint(str(tmp_path))
    assert json.loads((tmp_path / "config.json").read_text())["config"]["model"]["codebook_beta"] == pytest.approx(0.2)

    group = RealGroup()
    actor = actor_of(group, run=run, rescue=rule, checkpoint=tmp_path)
    actor._enter_stage()
    assert group.runs._training.model.quantizer.codebook_beta == pytest.approx(0.2)
    told = [step(actor).metrics for _ in range(2)]
    assert [result["epoch"] for result in told] == [2, 3]
    assert group.runs._training.model.quantizer.codebook_beta == pytest.approx(0.05)


def test_a_lowered_beta_holds_in_the_next_stage():
    rule = CollapseRule(after=2, on_collapse="lower_beta")
    group, run = ScriptedGroup(*dead(2), report(3)), run_with(codebook_beta=0.8)
    actor = actor_of(group, *two_stages(run), rescue=rule)
    for _ in range(3):
        actor.step()
    assert group.asked == ["start", "train", "train", "start from 2", "start from 2", "train"]
    assert group.run == run_with(codebook_beta=0.2)


def test_a_lane_that_takes_over_knows_the_reports_and_rescues_before(tmp_path):
    again = {"run": longer(9), "rescue": RESTART}
    before = actor_of(ScriptedGroup(*dead(1)), **again)
    before.step()
    before.save_checkpoint(str(tmp_path))
    middle = actor_of(ScriptedGroup(*dead(1, first=2)), **again, checkpoint=tmp_path)
    assert step(middle).rescue == "restart_codes"
    middle.save_checkpoint(str(tmp_path))
    after = actor_of(ScriptedGroup(*dead(4, first=3)), **again, checkpoint=tmp_path)
    assert [step(after).rescue for _ in range(4)] == [None] * 4


def test_a_new_trial_knows_nothing_of_the_one_before():
    group = ScriptedGroup(*dead(2), *dead(2))
    actor = actor_of(group, rescue=RESTART)
    first = [step(actor).rescue for _ in range(2)]
    actor.reset_config(task(rescue=RESTART))
    assert [step(actor).rescue for _ in range(2)] == first == [None, "restart_codes"]
