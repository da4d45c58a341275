import json
import math
import shutil

import pytest
import torch
from ray.tune.result import SHOULD_CHECKPOINT

from ndvq_tune.search.tune.messages import LaneReport
from ndvq_tune.training.checkpoint import load_model
from ndvq_tune.training.files import read
from tests.search.lane_examples import (
    RUN,
    RealGroup,
    ScriptedGroup,
    actor_of,
    open_in_memory,
    step,
    task,
    two_stages,
)
from tests.search.search_examples import report


@pytest.fixture
def data(monkeypatch) -> list[tuple[int, ...]]:
    return open_in_memory(monkeypatch)


def test_a_trial_starts_once_and_then_trains():
    group = ScriptedGroup(report(1), report(2, math.nan))
    actor = actor_of(group)
    first, second = actor.step(), actor.step()
    assert group.asked == ["start", "train", "train"]
    assert LaneReport.of(first) == LaneReport(report(1))
    assert (first[SHOULD_CHECKPOINT], second[SHOULD_CHECKPOINT]) == (True, False)


def test_an_error_of_the_run_is_the_result_and_the_lane_takes_the_next_trial(data):
    impossible = RUN.model_copy(update={"data": RUN.data.model_copy(update={"resolution": 0})})
    actor = actor_of(RealGroup(), run=impossible)
    failed = step(actor)
    assert "Error: " in failed.error
    assert failed.metrics == {}
    actor.reset_config(task())
    assert step(actor).metrics["epoch"] == 1


def test_each_stage_starts_from_the_state_of_the_one_before():
    group = ScriptedGroup(*[report(epoch) for epoch in range(1, 5)])
    actor = actor_of(group, *two_stages())
    results = [step(actor).metrics for _ in range(4)]
    assert group.asked == ["start", "train", "train", "start from 2", "train", "train"]
    assert [result["fidelity"] for result in results] == [0.25, 0.25, 1.0, 1.0]
    assert group.run == RUN


@pytest.mark.parametrize(("epoch", "fidelity"), [(1, 0.25), (2, 1.0), (3, 1.0)])
@pytest.mark.parametrize("lost", [False, True])
def test_the_stage_after_a_checkpoint_is_that_of_its_epoch(tmp_path, epoch, fidelity, lost):
    """On resume of a search, and where a lane was lost."""
    before = actor_of(ScriptedGroup(*[report(each) for each in range(1, 5)]), *two_stages())
    for _ in range(epoch):
        before.step()
    before.save_checkpoint(str(tmp_path))
    group = ScriptedGroup(report(epoch + 1))
    actor = actor_of(group, *two_stages(), checkpoint=None if lost else tmp_path)
    if lost:
        actor.load_checkpoint(str(tmp_path))
    assert step(actor).metrics["fidelity"] == fidelity
    assert group.asked == [f"start from {epoch}", "train"]


@pytest.mark.parametrize("paused", [False, True], ids=["lost", "paused"])
def test_a_trial_of_an_earlier_session_goes_on_from_what_this_one_saved(tmp_path, paused):
    """Tune has deleted by then what the session began with."""
    first, later = tmp_path / "first", tmp_path / "later"
    before = actor_of(ScriptedGroup(*[report(each) for each in range(1, 4)]))
    for folder in (first, later):
        before.step()
        before.save_checkpoint(str(folder))
    shutil.rmtree(first)
    group = ScriptedGroup(report(3))
    actor = actor_of(group) if paused else actor_of(group, checkpoint=first)
    if paused:
        assert actor.reset_config(task(checkpoint=first))
    actor.load_checkpoint(str(later))
    assert step(actor).metrics["epoch"] == 3
    assert group.asked == ["start from 2", "train"]


def test_promotion_keeps_what_was_learned_and_changes_the_data(data, tmp_path):
    group = RealGroup()
    actor = actor_of(group, *two_stages())
    results = [step(actor).metrics, step(actor).metrics]
    weights = {name: value.clone() for name, value in group.runs._training.model.named_parameters()}
    actor._enter_stage()
    promoted = group.runs._training
    assert promoted.model.input_shape == (3, 2, 8, 8)
    assert all(torch.equal(value, weights[name]) for name, value in promoted.model.named_parameters())
    assert promoted.optimizers[0].state
    results += [step(actor).metrics, step(actor).metrics]
    assert [result["epoch"] for result in results] == [1, 2, 3, 4]
    assert [result["fidelity"] for result in results] == [0.25, 0.25, 1.0, 1.0]
    assert [result["samples_seen"] for result in results] == [12, 24, 36, 48]
    assert data == [(3, 2, 4, 4), (3, 2, 8, 8)]

    actor.save_checkpoint(str(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == set(read(tmp_path))
    assert json.loads((tmp_path / "config.json").read_text())["config"] == RUN.to_dict()
    assert load_model(tmp_path).input_shape == (3, 2, 8, 8)
