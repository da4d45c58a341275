import json
import math

import optuna
import pytest
from optuna.trial import TrialState as OptunaState

from ndvq_tune.records import Stay, StopReason, TrialState
from ndvq_tune.search.engine import study as study_module
from ndvq_tune.search.folder import JOURNAL
from tests.search.search_examples import TWO_OBJECTIVES, begin, report, space_of


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return 1e9 + self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(study_module, "time", clock)
    return clock


@pytest.mark.parametrize("search", [{}, TWO_OBJECTIVES], ids=["one objective", "two objectives"])
def test_everything_comes_back_from_the_journal(open_study, search, tmp_path):
    study = open_study(space_of(search=search))
    for number in range(5):
        assert begin(study).number == number
    for epoch in (1, 2):
        for number in (0, 1, 2):
            study.report(number, report(epoch, 0.5 / epoch))
    (tmp_path / "ray/trial-0000/checkpoint_000001").mkdir(parents=True)
    study.checkpoint(0, "ray/trial-0000/checkpoint_000001")
    study.best(0, "ray/trial-0000/checkpoint_000001")
    study.finish(0, TrialState.COMPLETED)
    study.finish(1, TrialState.PRUNED, StopReason.SCHEDULER)
    study.finish(2, TrialState.FAILED, error="RuntimeError: ä\nTraceback")
    study.report(3, report(1, math.nan, train_recon_loss=math.inf))
    study.finish(3, TrialState.PRUNED, StopReason.DIVERGED)

    reopened = open_study(space_of(search=search))
    assert repr(reopened.records) == repr(study.records)  # as text, because NaN equals nothing
    assert reopened.search_id == study.search_id
    assert [record.state.value for record in reopened.records] == ["completed", "pruned", "failed", "pruned", "running"]
    assert reopened.record(0).checkpoint_epoch == 2
    assert reopened.record(2).error == "RuntimeError: ä\nTraceback"


def test_a_reopened_study_goes_on_with_its_running_trials(open_study):
    first = open_study()
    begin(first)
    first.report(0, report(1))
    second = open_study()
    second.report(0, report(2))
    second.finish(0, TrialState.COMPLETED)
    assert begin(second).number == 1
    assert [len(record.reports) for record in open_study().records] == [2, 0]


def test_the_lanes_of_a_trial_are_noted_with_the_time_of_its_reports(open_study, clock):
    study = open_study()
    begin(study)
    clock.now += 2
    study.enter(0, "a")
    clock.now += 3
    study.report(0, report(1))
    study.leave(0)
    clock.now += 10
    study.enter(0, "b")
    clock.now += 1
    study.finish(0, TrialState.PRUNED, StopReason.SCHEDULER)
    assert study.record(0).stays == (Stay("a", 2, 5), Stay("b", 15, 16))
    assert study.record(0).reports[0]["seconds"] == 5
    assert open_study().record(0) == study.record(0)


def test_a_trial_that_ends_where_it_is_paused_has_left_its_lane_before(open_study, clock, tmp_path):
    study = open_study()
    begin(study)
    study.enter(0, "a")
    study.leave(0)
    journal = tmp_path / JOURNAL
    before = journal.read_bytes()
    clock.now += 10
    study.leave(0)
    assert journal.read_bytes() == before
    assert study.finish(0, TrialState.PRUNED, StopReason.SCHEDULER).stays == (Stay("a", 0, 0),)


@pytest.mark.parametrize("search", [{}, TWO_OBJECTIVES], ids=["one objective", "two objectives"])
def test_optuna_learns_how_each_trial_ended(open_study, read_back, search):
    study = open_study(space_of(search=search))
    for number in range(3):
        begin(study)
        for epoch, loss in enumerate((0.8, 0.4, 0.6), start=1):
            study.report(number, report(epoch, loss))
    study.finish(0, TrialState.COMPLETED)
    study.finish(1, TrialState.PRUNED, StopReason.PLATEAU)
    study.finish(2, TrialState.FAILED, error="it broke")
    completed, pruned, failed = read_back()
    assert [trial.state for trial in (completed, pruned, failed)] == [
        OptunaState.COMPLETE, OptunaState.PRUNED, OptunaState.FAIL,
    ]  # fmt: skip
    assert completed.values == ([0.6, 0.5] if search else [0.6])
    assert pruned.intermediate_values == {1: 0.8, 2: 0.4, 3: 0.6}
    assert pruned.user_attrs["stop_reason"] == "plateau"
    assert failed.user_attrs["error"] == "it broke"


@pytest.mark.parametrize("search", [{}, TWO_OBJECTIVES], ids=["one objective", "two objectives"])
def test_tpe_goes_on_after_trials_of_every_ending(open_study, read_back, search):
    study = open_study(space_of(search={**search, "sampler": {"startup_trials": 2}}))
    for number in range(10):
        begin(study)
        if number % 4 == 3:
            study.finish(number, TrialState.FAILED, error="no report")
            continue
        study.report(number, report(1, math.nan if number % 4 == 2 else 0.1 * number))
        pruned = number % 4 > 0
        study.finish(
            number, TrialState.PRUNED if pruned else TrialState.COMPLETED, StopReason.PLATEAU if pruned else None
        )
    assert len(study.records) == 10
    assert all(trial.state.is_finished() for trial in read_back())


def test_tpe_learns_from_pruned_trials_alone(open_study):
    """With several objectives Optuna refuses intermediate values; then nothing would be learned from those."""
    study = open_study(space_of(search={**TWO_OBJECTIVES, "sampler": {"startup_trials": 10}}))
    for number in range(60):
        chosen = begin(study).params
        study.report(number, report(1, abs(math.log(chosen["model.codebook_beta"]) - math.log(0.1))))
        study.finish(number, TrialState.PRUNED, StopReason.SCHEDULER)
    betas = [record.params["model.codebook_beta"] for record in study.records]
    near = [0.07 < beta < 0.14 for beta in betas]
    assert sum(near[30:]) > 2 * 30 * math.log(2) / math.log(40)  # twice as often as blind draws would


def test_constraints_reach_optuna_positive_where_broken(open_study, read_back):
    study = open_study(space_of(search=TWO_OBJECTIVES))
    for number, usage in enumerate((0.75, 0.04)):
        begin(study)
        study.report(number, report(1, codebook_usage=usage, bits_per_element=0.25 if number else 0.7))
        study.finish(number, TrialState.COMPLETED)
    good, bad = read_back()
    assert good.constraints == pytest.approx({"codebook_usage": -6.5, "bits_per_element": 0.4})
    assert bad.constraints == pytest.approx({"codebook_usage": 0.6, "bits_per_element": -0.5})


@pytest.mark.parametrize("search", [{}, TWO_OBJECTIVES], ids=["one objective", "two objectives"])
@pytest.mark.parametrize("state", [TrialState.COMPLETED, TrialState.PRUNED, TrialState.FAILED])
def test_nan_leaves_no_trial_running(open_study, read_back, search, state):
    study = open_study(space_of(search=search))
    begin(study)
    study.report(0, report(1, math.nan, codebook_usage=math.nan, bits_per_element=math.nan))
    study.finish(0, state, error="NaN" if state is TrialState.FAILED else None)
    assert read_back()[0].state.is_finished()
    assert study.record(0).state.final
    assert open_study(space_of(search=search)).record(0).state is study.record(0).state
    begin(study)


def test_a_torn_last_line_is_dropped_and_work_goes_on(open_study, tmp_path):
    study = open_study()
    begin(study)
    study.report(0, report(1))
    whole = (tmp_path / JOURNAL).read_bytes()
    study.report(0, report(2))
    longer = (tmp_path / JOURNAL).read_bytes()
    (tmp_path / JOURNAL).write_bytes(longer[: len(whole) + 25])

    reopened = open_study()
    assert (tmp_path / JOURNAL).read_bytes()[: len(whole)] == whole
    assert [old["epoch"] for old in reopened.record(0).reports] == [1]
    reopened.report(0, report(2, 0.25))
    assert [old["recon_loss"] for old in open_study().record(0).reports] == [0.5, 0.25]
    assert all(json.loads(line) for line in (tmp_path / JOURNAL).read_text().splitlines())


def test_a_journal_torn_at_any_line_opens_again(open_study, tmp_path):
    study = open_study()
    begin(study)
    study.report(0, report(1))
    study.finish(0, TrialState.COMPLETED)
    lines = (tmp_path / JOURNAL).read_bytes().splitlines(keepends=True)
    for count in range(len(lines)):
        folder = tmp_path / str(count)
        folder.mkdir()
        (folder / JOURNAL).write_bytes(b"".join(lines[:count]) + lines[count][:-1])
        reopened = open_study(folder=folder)
        assert len(reopened.records) <= 1
        number = begin(reopened).number
        assert open_study(folder=folder).record(number).state is TrialState.RUNNING


def test_a_trial_that_was_asked_but_never_noted_does_not_count(open_study, read_back, monkeypatch):
    class Killed(BaseException):
        pass

    def killed(*_):
        raise Killed

    study = open_study()
    begin(study)
    with monkeypatch.context() as patch:
        patch.setattr(study_module, "suggest", killed)
        with pytest.raises(Killed):
            begin(study)
    reopened = open_study()
    assert [record.number for record in reopened.records] == [0]
    assert [trial.state for trial in read_back()] == [OptunaState.RUNNING, OptunaState.FAIL]
    assert begin(reopened).number == 1
    assert [record.name for record in open_study().records] == ["trial-0000", "trial-0001"]


def test_rejected_points_take_no_numbers(open_study):
    study = open_study()
    study.reject(study.propose(), {"memory": 1.0}, ["memory"])
    begin(study)
    study.reject(study.propose(), {"memory": 1.0}, ["memory"])
    begin(study)
    reopened = open_study()
    assert [record.number for record in reopened.records] == [0, 1]
    assert begin(reopened).number == 2


def test_a_journal_of_before_with_holes_keeps_its_numbers(open_study):
    """Release 0.1 numbered trials as Optuna does, which counts rejected points."""
    study = open_study()
    study.reject(study.propose(), {"memory": 1.0}, ["memory"])
    draft = study.propose()
    for name, value in {"params": dict(draft.params), "config": draft.config.to_dict(), "started": 1.0}.items():
        draft.trial.set_user_attr(name, value)
    reopened = open_study()
    assert [record.number for record in reopened.records] == [1]
    assert begin(reopened).number == 2
    assert reopened.report(1, report(1)).metrics["epoch"] == 1


def test_a_report_for_the_same_epoch_replaces_it(open_study, read_back):
    study = open_study()
    begin(study)
    for epoch, loss in ((1, 0.9), (2, 0.8), (2, 0.7), (3, 0.6)):
        study.report(0, report(epoch, loss))
    for records in (study.records, open_study().records):
        assert [(old["epoch"], old["recon_loss"]) for old in records[0].reports] == [(1, 0.9), (2, 0.7), (3, 0.6)]
    assert read_back()[0].intermediate_values == {1: 0.9, 2: 0.7, 3: 0.6}


def test_going_back_two_epochs_forgets_what_came_after(open_study):
    """A trial whose last two checkpoints are lost goes on from the one before."""
    study = open_study()
    begin(study)
    for epoch in (1, 2, 3, 2):
        study.report(0, report(epoch))
    study.finish(0, TrialState.PRUNED, StopReason.SCHEDULER)
    assert [old["epoch"] for old in study.record(0).reports] == [1, 2]
    assert open_study().records == study.records


def test_going_back_before_the_best_epoch_forgets_it(open_study):
    study = open_study()
    begin(study)
    for epoch in (1, 2):
        study.report(0, report(epoch, 1 / epoch))
    study.checkpoint(0, "last")
    study.best(0, "best")
    assert study.record(0).result["epoch"] == 2
    study.report(0, report(2, 0.75))
    assert (study.record(0).best_checkpoint, study.record(0).best_epoch) == (None, 0)


def test_seconds_add_up_over_sessions(open_study, clock):
    study = open_study()
    begin(study)
    clock.now += 10
    assert study.report(0, report(1)).metrics["seconds"] == 10
    clock.now += 5
    study.close()
    clock.now += 500  # between sessions
    second = open_study()
    clock.now += 2
    assert second.seconds == 17
    assert second.to_record({}).wall_seconds == 17
    assert second.report(0, report(2)).metrics["seconds"] == 17
    clock.now += 500  # killed later, without a close: the last report is the last that is known
    assert open_study().seconds == 17


def test_a_study_without_trials_leaves_no_journal(open_study, tmp_path):
    open_study().close()
    assert list(tmp_path.iterdir()) == []
    with_trial = open_study()
    begin(with_trial)
    with_trial.close()
    assert (tmp_path / JOURNAL).exists()


def searched(study, count: int) -> list[dict]:
    """Configurations in order, with results that follow from them."""
    for _ in range(count):
        record = begin(study)
        study.report(record.number, report(1, record.params["model.codebook_beta"]))
        study.finish(record.number, TrialState.COMPLETED)
    return [dict(record.params) for record in study.records]


def test_the_same_seed_searches_the_same_and_another_seed_elsewhere(open_study, tmp_path):
    sequences = []
    for session, seed in enumerate((1, 1, 2)):
        folder = tmp_path / str(session)
        folder.mkdir()
        space = space_of(search={"seed": seed, "sampler": {"startup_trials": 3}})
        sequences.append(searched(open_study(space, folder), 6))
    assert sequences[0] == sequences[1]
    assert sequences[0] != sequences[2]


def test_a_resumed_search_does_not_draw_its_first_points_again(open_study):
    first = searched(open_study(), 3)
    assert not [params for params in searched(open_study(), 3)[3:] if params in first]


def test_the_whole_search_as_a_record(open_study):
    study = open_study(space_of(search={**TWO_OBJECTIVES, "seed": 3}))
    begin(study)
    record = study.to_record({"train/a.mp4": "broken"})
    assert record.name == "small"
    assert record.trials == study.records
    assert record.goals == space_of(search=TWO_OBJECTIVES).search.goals
    assert record.seed == 3
    assert record.skipped_files == {"train/a.mp4": "broken"}


def test_a_metric_to_maximise_is_maximised(open_study, tmp_path):
    begin(open_study(space_of(search={"objectives": [{"metric": "psnr", "mode": "max"}]})))
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(tmp_path / JOURNAL)))
    loaded = optuna.load_study(study_name="small", storage=storage)
    assert [direction.name for direction in loaded.directions] == ["MAXIMIZE"]
