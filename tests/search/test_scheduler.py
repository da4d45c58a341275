import math
from types import SimpleNamespace

import pytest
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from ndvq_tune.metrics import METRICS
from ndvq_tune.records import StopReason, TrialState
from ndvq_tune.search.scheduler import EarlyStopping, own_metrics
from ndvq_tune.search.study import Study
from tests.search.search_examples import begin, report, space_of

CONTINUE, STOP = TrialScheduler.CONTINUE, TrialScheduler.STOP
SPACE = space_of(
    search={
        "scheduler": {"grace_period": 1, "reduction_factor": 3},
        "stop": {"collapse": {"after": 3}, "plateau": None},
    }
)  # rungs after the epochs 1, 3 and 9


class Session:
    """A driver's part of a search: what Tune would call, without Tune."""

    def __init__(self, study: Study, space=SPACE) -> None:
        self.study = study
        self.scheduler = EarlyStopping(study, space.search, space.max_epochs)
        for record in study.records:
            self.scheduler.on_trial_add(None, self.trial(record.number))

    @staticmethod
    def trial(number: int) -> SimpleNamespace:
        return SimpleNamespace(trial_id=f"trial-{number:04d}")

    def start(self) -> int:
        number = begin(self.study).number
        self.scheduler.on_trial_add(None, self.trial(number))
        return number

    def report(self, number: int, **result) -> str:
        """Tune's result: a report among much else."""
        extra = {"trial_id": f"trial-{number:04d}", "training_iteration": 1, "time_total_s": 3.0, "done": False}
        return self.scheduler.on_trial_result(None, self.trial(number), extra | result)

    def run(self, *losses: float, **metrics: float) -> tuple[int, list[str]]:
        """A trial with these losses; it ends as the scheduler says."""
        number, decisions = self.start(), []
        for epoch, loss in enumerate(losses, start=1):
            decisions.append(self.report(number, **report(epoch, loss, **metrics)))
            if decisions[-1] == STOP:
                self.study.finish(number, *self.scheduler.verdict(number))
                break
        return number, decisions


@pytest.fixture
def session(open_study) -> Session:
    return Session(open_study(SPACE))


def test_a_good_trial_goes_on_to_its_last_epoch(session):
    number, decisions = session.run(*[0.5] * 12)
    assert decisions == [CONTINUE] * 8 + [STOP]
    assert session.scheduler.verdict(number) == (TrialState.COMPLETED, None, None)
    assert [old["epoch"] for old in session.study.record(number).reports] == list(range(1, 10))


def test_every_report_is_in_the_study_with_its_metrics_alone(session, open_study):
    number = session.start()
    session.report(number, **report(1, 0.25))
    (kept,) = open_study(SPACE).record(number).reports
    assert set(kept) == {"epoch", "seconds", *METRICS}
    assert kept["recon_loss"] == 0.25


def test_own_metrics_are_floats_and_what_is_not_reported_is_left_out():
    assert own_metrics({"epoch": 2, "psnr": 3, "done": True, "config": {}}) == {"epoch": 2.0, "psnr": 3.0}


def test_an_error_fails_the_trial_whatever_it_had_reported(session):
    number = session.start()
    assert session.report(number, error="RuntimeError: out of memory") == STOP
    assert session.scheduler.verdict(number) == (TrialState.FAILED, None, "RuntimeError: out of memory")
    assert session.study.record(number).reports == ()


@pytest.mark.parametrize(
    ("metrics", "epochs", "reason"),
    [({"train_recon_loss": math.nan}, 1, StopReason.DIVERGED), ({"perplexity": 1.0}, 3, StopReason.COLLAPSE)],
)
def test_a_rule_prunes_with_its_reason(session, metrics, epochs, reason):
    number, decisions = session.run(*[0.5] * 9, **metrics)
    assert decisions == [CONTINUE] * (epochs - 1) + [STOP]
    assert session.scheduler.verdict(number) == (TrialState.PRUNED, reason, None)


def test_a_rule_comes_before_the_last_epoch_and_that_before_asha(session):
    last = {"epoch": 9, "recon_loss": 0.5}
    collapsed, completed = session.start(), session.start()
    for number, metrics in ((collapsed, {"perplexity": 1.0}), (completed, {})):
        session.report(number, **report(1, 0.5))
        session.report(number, **report(2, 0.5))
        assert session.report(number, **(report(**last) | metrics)) == STOP
    assert session.scheduler.verdict(collapsed)[:2] == (TrialState.PRUNED, StopReason.COLLAPSE)
    assert session.scheduler.verdict(completed)[:2] == (TrialState.COMPLETED, None)


def test_asha_prunes_at_a_rung_what_is_not_among_the_best_third(session):
    """At the first rung, after trials with 0.3, 0.4 and 0.5, the best third ends at 0.3667."""
    for loss in (0.5, 0.4, 0.3):
        assert session.run(loss)[1] == [CONTINUE]
    number, decisions = session.run(0.37)
    assert decisions == [STOP]
    assert session.scheduler.verdict(number) == (TrialState.PRUNED, StopReason.SCHEDULER, None)
    assert session.run(0.34, 0.34)[1] == [CONTINUE, CONTINUE]


@pytest.mark.parametrize("scheduler", [{"type": "none"}, {"grace_period": 9}, {"grace_period": 20}])
def test_without_asha_only_rules_stop(open_study, scheduler):
    space = space_of(search={"scheduler": scheduler})
    session = Session(open_study(space), space)
    session.run(*[0.1] * 9)
    assert session.run(*[0.9] * 9)[1] == [CONTINUE] * 8 + [STOP]


def rungs(session: Session) -> list:
    return [(milestone, dict(recorded)) for milestone, recorded in session.scheduler._asha._brackets[0]._rungs]


HISTORIES = {
    "running": lambda session: session.run(0.5, 0.4),
    "pruned by asha": lambda session: (session.run(0.3), session.run(0.9)),
    "completed": lambda session: session.run(*[0.5] * 9),
    "diverged": lambda session: session.run(0.6, 0.5, math.inf),
    "diverged at once": lambda session: session.run(math.nan),
    "collapsed": lambda session: session.run(0.6, 0.5, 0.01, perplexity=1.0),
}


@pytest.mark.parametrize("history", HISTORIES)
def test_a_resumed_search_has_the_same_rungs(session, open_study, history):
    HISTORIES[history](session)
    assert rungs(Session(open_study(SPACE))) == rungs(session)


@pytest.mark.parametrize("history", [history for history in HISTORIES if history != "running"])
@pytest.mark.parametrize("resumed", [False, True])
def test_a_resumed_search_decides_as_one_that_never_stopped(session, open_study, history, resumed):
    """The next trial, as good as those before it at the first rung, is the first that reaches the second."""
    HISTORIES[history](session)
    decisions = (Session(open_study(SPACE)) if resumed else session).run(0.2, 0.2, 0.4, 0.4)[1]
    assert decisions == [CONTINUE] * 4


def test_a_short_run_that_completed_leaves_no_trace_on_a_rung_that_it_was_not_judged_at(open_study):
    space = space_of(training={"max_epochs": {"choice": [3, 9]}}, search={"stop": {"collapse": None, "plateau": None}})
    session = Session(open_study(space), space)
    for _ in range(6):
        session.run(*[0.5] * 9)
    assert {len(record.reports) for record in session.study.records} == {3, 9}
    assert rungs(Session(open_study(space), space)) == rungs(session)


def test_a_trial_whose_lane_was_lost_comes_back_to_the_rungs_once(session):
    number = session.start()
    session.report(number, **report(1, 0.5))
    before = rungs(session)
    session.scheduler.on_trial_error(None, session.trial(number))
    session.scheduler.on_trial_add(None, session.trial(number))
    assert rungs(session) == before
    assert session.report(number, **report(2, 0.5)) == CONTINUE


def ended_but_not_told(study: Study, *, saved: bool, **metrics: float) -> int:
    """A trial whose driver was killed after its last report."""
    number = begin(study).number
    for epoch in (1, 2, 3):
        study.report(number, report(epoch, **metrics))
    if saved:
        study.checkpoint(number, "checkpoint")
    return number


def test_settle_ends_what_had_ended_when_the_driver_was_killed(open_study):
    study = open_study(SPACE)
    collapsed = ended_but_not_told(study, saved=True, perplexity=1.0)
    healthy = ended_but_not_told(study, saved=True)
    unsaved = ended_but_not_told(study, saved=False, perplexity=1.0)
    fresh = begin(study).number
    resumed = open_study(SPACE)
    Session(resumed).scheduler.settle()
    assert resumed.record(collapsed).state is TrialState.PRUNED
    assert resumed.record(collapsed).stop_reason is StopReason.COLLAPSE
    assert [resumed.record(number).state for number in (healthy, unsaved, fresh)] == [TrialState.RUNNING] * 3
    assert open_study(SPACE).records == resumed.records


def test_settle_completes_what_had_all_its_epochs(open_study):
    space = space_of(training={"max_epochs": 3})
    study = open_study(space)
    number = ended_but_not_told(study, saved=True)
    Session(study, space).scheduler.settle()
    assert study.record(number).state is TrialState.COMPLETED


def test_tune_hears_of_failures_after_the_step(session):
    """Within it, Tune would end the lane for them."""
    told = []
    trial = SimpleNamespace(trial_id=f"trial-{session.start():04d}", handle_error=told.append)
    controller = SimpleNamespace(_set_trial_status=lambda trial, status: told.append((trial.trial_id, status)))
    session.scheduler.on_trial_result(controller, trial, {"error": "it broke"})
    assert told == []
    session.scheduler.mark_failed()
    session.scheduler.mark_failed()
    assert str(told[0]) == "it broke"
    assert told[1:] == [("trial-0000", Trial.ERROR)]
