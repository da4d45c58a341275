import math
from pathlib import Path
from types import SimpleNamespace

import pytest
from ray import tune
from ray.tune.experiment import Trial
from ray.tune.registry import register_trainable

from ndvq_tune.records import Role, StopReason, TrialState
from ndvq_tune.search.engine.engine import Engine
from ndvq_tune.search.engine.study import Study
from ndvq_tune.search.resources.lanes import plan_lanes
from ndvq_tune.search.space import SearchSpace
from ndvq_tune.search.stages import Stage
from ndvq_tune.search.tune.messages import LaneTask
from ndvq_tune.search.tune.searcher import EngineSearch, final_result
from tests.search.search_examples import begin, report, space_of

FOLDER = Path("results").absolute()
TRIALS = 6


@pytest.fixture(scope="module", autouse=True)
def _lane() -> None:
    register_trainable("lane", type("Lane", (tune.Trainable,), {}))


def searcher(study: Study, lanes: int = 2, space: SearchSpace | None = None, folder: Path = FOLDER) -> EngineSearch:
    space = space or space_of()
    plan = plan_lanes([{"CPU": 8.0}], TRIALS, space.search.resources.model_copy(update={"lanes": lanes}), "storage")
    search = EngineSearch(Engine(study, space), study, space, plan, folder)
    spec = {"run": "lane", "checkpoint_config": tune.CheckpointConfig(num_to_keep=1), "max_failures": 3}
    search.add_configurations([SimpleNamespace(spec=spec, storage=SimpleNamespace(current_checkpoint_index=-1))])
    return search


def handed_out(search: EngineSearch) -> list[str]:
    trials = []
    while trial := search.next_trial():
        trials.append(trial.trial_id)
    return trials


def test_a_new_search_hands_out_a_trial_a_lane(open_study):
    study = open_study()
    search = searcher(study, lanes=3)
    assert handed_out(search) == ["trial-0000", "trial-0001", "trial-0002"]
    assert search.next_trial() is None
    assert len(study.records) == 3
    assert not search.is_finished()
    assert search.total_samples == TRIALS


@pytest.mark.parametrize("lanes", [1, 2, 4])
def test_never_more_trials_than_lanes_and_all_of_them_in_the_end(open_study, lanes):
    study = open_study()
    search = searcher(study, lanes)
    running, done = [], []
    while running := [*running, *handed_out(search)]:
        assert len(running) <= lanes
        search._engine.report(len(done), report(9))
        done.append(running.pop(0))
        search.on_trial_complete(done[-1])
    assert done == [f"trial-{number:04d}" for number in range(TRIALS)]
    assert search.next_trial() is None
    assert search.is_finished()
    assert {record.state for record in study.records} == {TrialState.COMPLETED}


def earlier_session(study: Study) -> None:
    """Trials 0 and 1 are running, 2 completed, 3 pruned and 4 failed."""
    for number in range(5):
        begin(study)
        if number < 4:
            study.report(number, report(1, 0.1 * number))
    study.checkpoint(1, "ray/trial-0001/checkpoint_000000")
    study.finish(2, TrialState.COMPLETED)
    study.finish(3, TrialState.PRUNED, StopReason.PLATEAU)
    study.finish(4, TrialState.FAILED, error="it broke")


@pytest.mark.parametrize("lanes", [1, 2, 3])
def test_a_resumed_search_hands_out_what_had_ended_first(open_study, lanes):
    """Even if there are fewer lanes now: Tune's table is whole before anything runs."""
    earlier_session(open_study())
    handed = handed_out(searcher(open_study(), lanes))
    assert handed == ["trial-0002", "trial-0003", "trial-0004", "trial-0000", "trial-0001", "trial-0005"][: 3 + lanes]


def test_tune_gets_each_trial_as_the_study_knows_it(open_study):
    earlier_session(open_study())
    study = open_study()
    search = searcher(study, lanes=3)
    trials = {trial.trial_id: trial for trial in iter(search.next_trial, None)}
    assert {name: trial.status for name, trial in trials.items()} == {
        "trial-0000": Trial.PENDING,
        "trial-0001": Trial.PENDING,
        "trial-0002": Trial.TERMINATED,
        "trial-0003": Trial.TERMINATED,
        "trial-0004": Trial.ERROR,
        "trial-0005": Trial.PENDING,
    }
    assert LaneTask.of(trials["trial-0001"].config) == LaneTask(
        search._plan.group,
        (Stage(0, study.record(1).config),),
        rescue=None,
        checkpoint=FOLDER / "ray/trial-0001/checkpoint_000000",
    )
    assert LaneTask.of(trials["trial-0000"].config).checkpoint is None
    assert trials["trial-0000"].evaluated_params == study.record(0).params
    assert trials["trial-0003"].last_result["stop_reason"] == "plateau"
    assert trials["trial-0003"].last_result["recon_loss"] == pytest.approx(0.3)
    trials["trial-0005"].create_placement_group_factory()
    assert trials["trial-0005"].placement_group_factory.bundles == search._plan.bundles
    assert str(trials["trial-0005"]) == "trial-0005"


def test_no_checkpoint_takes_the_place_of_one_of_an_earlier_session(open_study):
    """A driver that is killed while the new one is copied would leave half of each."""
    study = open_study()
    for number, folder in enumerate(("checkpoint_000011", "inherited")):
        running = study.begin(study.propose())
        study.report(running.number, report(1))
        study.checkpoint(running.number, f"ray/trial-{number:04d}/{folder}")
    trials = {trial.trial_id: trial for trial in iter(searcher(open_study(), lanes=3).next_trial, None)}
    assert [trials[f"trial-{number:04d}"].storage.current_checkpoint_index for number in range(3)] == [11, -1, -1]


def test_a_search_that_is_done_hands_out_its_trials_and_no_new_one(open_study):
    study = open_study()
    for number in range(TRIALS):
        begin(study)
        study.finish(number, TrialState.FAILED, error="it broke")
    search = searcher(open_study())
    assert not search.is_finished()  # Tune has yet to hear of them
    assert len(handed_out(search)) == TRIALS
    assert search.is_finished()


def test_a_trial_ends_as_the_engine_decided(open_study):
    study = open_study()
    search = searcher(study)
    search.next_trial()
    search._engine.report(0, report(1, math.nan))
    search.on_trial_complete("trial-0000", {"recon_loss": 1.0})
    assert (study.record(0).state, study.record(0).stop_reason) == (TrialState.PRUNED, StopReason.DIVERGED)


def test_a_trial_that_fails_frees_its_place(open_study):
    study = open_study()
    search = searcher(study, lanes=1)
    search.next_trial()
    assert search.next_trial() is None
    search._engine.fail(0, "its process was lost")
    search.on_trial_complete("trial-0000", error=True)
    assert study.record(0).state is TrialState.FAILED
    assert search.next_trial().trial_id == "trial-0001"


def test_final_results_say_how_it_ended(open_study):
    study = open_study()
    begin(study)
    study.report(0, report(4, 0.25))
    record = study.finish(0, TrialState.PRUNED, StopReason.SCHEDULER)
    result = final_result(record)
    assert (result["trial_id"], result["state"], result["stop_reason"]) == ("trial-0000", "pruned", "scheduler")
    assert (result["epoch"], result["recon_loss"]) == (4, 0.25)


def test_an_heir_begins_with_a_checkpoint_of_its_own(open_study, tmp_path):
    """The other trial goes on, and its checkpoint is replaced."""
    space = space_of()
    study = open_study(space)
    parent = begin(study)
    study.report(parent.number, report(4))
    checkpoint = tmp_path / "ray" / "trial-0000" / "checkpoint_000003"
    checkpoint.mkdir(parents=True)
    (checkpoint / "model.safetensors").write_bytes(b"weights")
    study.checkpoint(parent.number, "ray/trial-0000/checkpoint_000003")
    study.begin(study.propose(parent.params), role=Role.EXPLOIT, parent=study.record(parent.number))
    search = searcher(study, lanes=3, folder=tmp_path)
    heir = {trial.trial_id: trial for trial in iter(search.next_trial, None)}["trial-0001"]
    own = tmp_path / "ray" / "trial-0001" / "inherited"
    assert LaneTask.of(heir.config).checkpoint == own
    assert (own / "model.safetensors").read_bytes() == b"weights"
    kept = open_study(space).record(1)
    assert (kept.checkpoint, kept.checkpoint_epoch, kept.parent) == ("ray/trial-0001/inherited", 4, 0)


@pytest.mark.parametrize(("action", "told"), [("stop", False), ("restart_codes", True)])
def test_a_lane_is_told_to_rescue_where_the_space_says_so_but_no_repetition(open_study, action, told):
    space = space_of(search={"stop": {"collapse": {"on_collapse": action}}})
    study = open_study(space)
    first = begin(study)
    study.begin(study.propose(first.params), role=Role.CONFIRM, parent=first)
    search = searcher(study, lanes=2, space=space)
    rules = [LaneTask.of(trial.config).rescue for trial in iter(search.next_trial, None)]
    assert rules == [space.search.stop.collapse if told else None, None]
