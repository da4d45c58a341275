import pytest

from ndvq_tune.judgement.standing import Standing
from ndvq_tune.records import Role, StopReason, TrialRecord, TrialState
from ndvq_tune.search.engine.engine import Engine
from ndvq_tune.search.engine.finishing import seconds_to_end
from ndvq_tune.search.engine.study import Study
from ndvq_tune.search.engine.verdict import Decision
from tests.search.search_examples import report, space_of

SEARCH = {"trials": 3, "scheduler": {"grace_period": 1, "reduction_factor": 3}, "stop": {"plateau": None}}


class Driver:
    """A search without Ray, of trials whose loss stays as it is; checkpoints are noted as Tune's callback does."""

    def __init__(self, seconds_per_epoch: float = 1.0, **search) -> None:
        self.time = 0.0
        space = space_of(search={**SEARCH, **search})
        self.study = Study.in_memory(space, clock=lambda: self.time)
        self.engine = Engine(self.study, space)
        self.pace = seconds_per_epoch

    def train(self, record: TrialRecord, loss: float, epochs: int = 9) -> TrialRecord:
        """Train a trial until the engine stops it, or to this epoch."""
        for epoch in range(self.study.record(record.number).checkpoint_epoch + 1, epochs + 1):
            self.time += self.pace
            metrics = report(epoch, loss, training_seconds=self.pace * epoch)
            decision = self.engine.report(record.number, metrics)
            self.study.checkpoint(record.number, f"ray/{record.name}/{epoch}")
            self.study.best(record.number, f"ray/{record.name}/best")
            if decision is Decision.STOP:
                return self.engine.finish(record.number)
        return self.study.record(record.number)

    def search(self, *losses: float) -> list[TrialRecord]:
        """Trials one after the other, as long as there are some."""
        return [self.train(record, loss) for loss in losses if (record := self.engine.next_trial())]

    @property
    def standing(self) -> Standing:
        return Standing(self.study.to_record())


def test_what_is_recommended_and_was_stopped_goes_on_from_its_checkpoint_to_its_end():
    driver = Driver(until={"recon_loss": 0.35})
    first, second = driver.search(0.9, 0.35)
    assert (second.state, second.stop_reason) == (TrialState.PRUNED, StopReason.SEARCH_ENDED)
    finish = driver.engine.next_trial()
    assert (finish.role, finish.parent, finish.params) == (Role.FINISH, second.number, second.params)
    assert (finish.checkpoint, finish.checkpoint_epoch) == (second.checkpoint, 1)
    assert finish.config == second.config
    ended = driver.train(finish, 0.3)
    assert [one["epoch"] for one in ended.reports] == list(range(2, 10))
    assert ended.state is TrialState.COMPLETED
    assert driver.engine.next_trial() is None
    assert driver.standing.best.number == ended.number
    assert second.number not in {trial.number for trial in driver.standing.ranked}
    assert first.number in {trial.number for trial in driver.standing.ranked}


def test_nothing_follows_where_the_best_came_to_its_end():
    driver = Driver(trials=4)
    assert driver.search(0.9, 0.8, 0.7, 0.01)[-1].state is TrialState.COMPLETED
    assert driver.engine.next_trial() is None
    assert driver.engine.finished


def test_a_trial_that_gets_worse_on_its_way_to_the_end_is_offered_as_it_was():
    driver = Driver(until={"recon_loss": 0.35})
    _, second = driver.search(0.9, 0.35)
    driver.train(driver.engine.next_trial(), 9.0)
    assert driver.standing.best.number == second.number
    assert driver.engine.next_trial() is None  # once is enough
    assert driver.engine.finished


def test_only_divergence_stops_it():
    driver = Driver(until={"recon_loss": 0.35}, stop={"plateau": {"patience": 1}})
    driver.search(0.9, 0.35)
    finish = driver.engine.next_trial()
    decisions = [driver.engine.report(finish.number, report(epoch, 0.9, perplexity=1.0)) for epoch in (2, 3, 4)]
    assert decisions == [Decision.CONTINUE] * 3
    assert driver.engine.report(finish.number, report(5, float("nan"))) is Decision.STOP
    assert driver.engine.finish(finish.number).stop_reason is StopReason.DIVERGED


def test_it_can_be_left_alone():
    driver = Driver(until={"recon_loss": 0.35}, finish=None)
    driver.search(0.9, 0.35)
    assert driver.engine.next_trial() is None
    assert driver.engine.finished


def test_a_bound_of_the_user_is_kept():
    driver = Driver(trials=1, stop={"trial_time": 3, "plateau": None})
    (stopped,) = driver.search(0.9)
    assert stopped.stop_reason is StopReason.TRIAL_TIME
    assert driver.engine.next_trial() is None


def test_repetitions_are_of_the_trial_and_its_own_end_is_one_more_seed():
    driver = Driver(until={"recon_loss": 0.35}, confirm={"top": 1, "seeds": 2})
    _, second = driver.search(0.9, 0.35)
    finish = driver.train(driver.engine.next_trial(), 0.3)
    repetitions = []
    while record := driver.engine.next_trial():
        repetitions.append(driver.train(record, 0.4))
    assert [(one.role, one.parent) for one in repetitions] == [(Role.CONFIRM, second.number)] * 2
    assert [one.config.training.seed for one in repetitions] == [1, 2]
    (item,) = driver.standing.confirmed
    assert (item.trial.number, item.seeds) == (finish.number, 3)
    assert driver.standing.best.number == finish.number


def test_the_time_that_it_needs_is_kept_free_at_the_end_of_a_budget():
    """Of 40 seconds, the eight epochs that the best has left take 9.6 with the margin: nothing begins after 30.4."""
    driver = Driver(trials=100, time_budget=40)
    best = driver.train(driver.engine.next_trial(), 0.2, epochs=1)
    driver.study.finish(best.number, TrialState.PRUNED, StopReason.SCHEDULER)
    driver.engine.next_trial()  # on another lane
    driver.time = 30.0
    assert driver.engine.next_trial().role is Role.SEARCH
    driver.time = 31.0
    finish = driver.engine.next_trial()
    assert (finish.role, finish.parent) == (Role.FINISH, best.number)
    assert driver.engine.next_trial().role is Role.SEARCH  # a lane that is free is not kept waiting


def test_a_running_trial_gives_its_lane_to_it_once_there_is_no_more_time_for_both():
    driver = Driver(trials=100, time_budget=20, scheduler={"type": "none"})
    first = driver.engine.next_trial()
    second = driver.engine.next_trial()
    driver.train(second, 0.5, epochs=1)
    driver.train(first, 0.9, epochs=1)
    third = driver.engine.next_trial()
    driver.study.finish(second.number, TrialState.PRUNED, StopReason.SCHEDULER)
    driver.time = 13.0
    stopped = driver.train(first, 0.9)
    assert (stopped.stop_reason, stopped.metrics["epoch"]) == (StopReason.TIME_BUDGET, 2)
    finish = driver.engine.next_trial()
    assert (finish.role, finish.parent) == (Role.FINISH, second.number)
    assert driver.train(third, 0.9, epochs=1).state is TrialState.RUNNING  # nothing more waits: others go on


@pytest.mark.parametrize(("budget", "seconds"), [(1000.0, 1.2 * 2 * 8), (20.0, 10.0)])
def test_the_time_to_the_end_is_by_the_pace_of_the_trial_and_at_most_half_of_the_budget(budget, seconds):
    driver = Driver(seconds_per_epoch=2.0)
    trial = driver.train(driver.engine.next_trial(), 0.5, epochs=1)
    assert seconds_to_end(trial, budget) == pytest.approx(seconds)
