import math

import pytest

from ndvq_tune.errors import ConfigError
from ndvq_tune.metrics import METRICS
from ndvq_tune.records import Rescue, Role, StopReason, TrialState
from ndvq_tune.search.engine.engine import Engine
from ndvq_tune.search.engine.proposals import Check, NoPreflight
from ndvq_tune.search.engine.study import Study
from ndvq_tune.search.engine.verdict import Decision, Verdict
from tests.search.search_examples import begin, report, space_of

CONTINUE, STOP, PAUSE = Decision.CONTINUE, Decision.STOP, Decision.PAUSE
RULES = {
    "scheduler": {"grace_period": 1, "reduction_factor": 3},
    "stop": {"collapse": {"after": 3}, "plateau": None},
}
SPACE = space_of(search=RULES)  # rungs after the epochs 1 and 3; a trial has 9


class Session:
    """A driver's part of a search, without Ray."""

    def __init__(self, study: Study, space=SPACE, **options) -> None:
        self.study = study
        self.engine = Engine(study, space, **options)

    def run(self, *losses: float, **metrics: float) -> tuple[int, list[Decision]]:
        """A trial with these losses; it ends when the engine says so."""
        number, decisions = self.engine.next_trial().number, []
        for epoch, loss in enumerate(losses, start=1):
            decisions.append(self.engine.report(number, report(epoch, loss, **metrics)))
            if decisions[-1] is STOP:
                self.engine.finish(number)
                break
        return number, decisions

    def run_all(self, loss: float = 0.5, most: int = 100) -> list[int]:
        """Trials one after the other until there are no more."""
        numbers = []
        while (record := self.engine.next_trial()) and len(numbers) < most:
            numbers.append(record.number)
            epoch = record.checkpoint_epoch
            while self.engine.report(record.number, report(epoch := epoch + 1, loss)) is CONTINUE:
                pass
            self.engine.finish(record.number)
        return numbers


@pytest.fixture
def session(open_study) -> Session:
    return Session(open_study(SPACE))


def test_a_good_trial_goes_on_to_its_last_epoch(session):
    number, decisions = session.run(*[0.5] * 12)
    assert decisions == [CONTINUE] * 8 + [STOP]
    assert session.engine.verdict(number) == Verdict(TrialState.COMPLETED)
    assert [old["epoch"] for old in session.study.record(number).reports] == list(range(1, 10))
    assert session.study.record(number).state is TrialState.COMPLETED


def test_every_report_is_in_the_study_with_its_metrics(session, open_study):
    number = session.engine.next_trial().number
    session.engine.report(number, report(1, 0.25) | dict.fromkeys(METRICS, 0.25))
    (kept,) = open_study(SPACE).record(number).reports
    assert set(kept) == {"epoch", "seconds", *METRICS}
    assert kept["recon_loss"] == 0.25


def test_an_error_fails_the_trial_whatever_it_had_reported(session):
    number = session.engine.next_trial().number
    session.engine.report(number, report(1))
    session.engine.fail(number, "RuntimeError: out of memory")
    record = session.engine.finish(number)
    assert (record.state, record.error) == (TrialState.FAILED, "RuntimeError: out of memory")


@pytest.mark.parametrize(
    ("metrics", "epochs", "reason"),
    [({"train_recon_loss": math.nan}, 1, StopReason.DIVERGED), ({"perplexity": 1.0}, 3, StopReason.COLLAPSE)],
)
def test_a_rule_prunes_with_its_reason(session, metrics, epochs, reason):
    number, decisions = session.run(*[0.5] * 9, **metrics)
    assert decisions == [CONTINUE] * (epochs - 1) + [STOP]
    assert session.engine.verdict(number) == Verdict(TrialState.PRUNED, reason)


def test_a_rule_comes_before_the_last_epoch_and_that_before_the_scheduler(session):
    last = {"epoch": 9, "recon_loss": 0.5}
    collapsed, completed = session.engine.next_trial().number, session.engine.next_trial().number
    for number, metrics in ((collapsed, {"perplexity": 1.0}), (completed, {})):
        session.engine.report(number, report(1, 0.5))
        session.engine.report(number, report(2, 0.5))
        assert session.engine.report(number, report(**last) | metrics) is STOP
    assert session.engine.verdict(collapsed) == Verdict(TrialState.PRUNED, StopReason.COLLAPSE)
    assert session.engine.verdict(completed) == Verdict(TrialState.COMPLETED)


def test_asha_prunes_at_a_rung_what_is_not_among_the_best_third(session):
    for loss in (0.5, 0.4, 0.3):
        session.run(loss)
    number, decisions = session.run(0.45)
    assert decisions == [STOP]
    assert session.engine.verdict(number) == Verdict(TrialState.PRUNED, StopReason.SCHEDULER)
    assert session.run(0.2, 0.2)[1] == [CONTINUE, CONTINUE]


@pytest.mark.parametrize("scheduler", [{"type": "none"}, {"grace_period": 9}, {"grace_period": 20}])
def test_without_rungs_only_rules_stop(open_study, scheduler):
    space = space_of(search={"scheduler": scheduler})
    session = Session(open_study(space), space)
    session.run(*[0.1] * 9)
    assert session.run(*[0.9] * 9)[1] == [CONTINUE] * 8 + [STOP]


HISTORIES = {
    "running": lambda session: session.run(0.5, 0.4),
    "pruned by asha": lambda session: (session.run(0.3), session.run(0.9)),
    "completed": lambda session: session.run(*[0.5] * 9),
    "diverged": lambda session: session.run(0.6, 0.5, math.inf),
    "collapsed": lambda session: session.run(0.6, 0.5, 0.01, perplexity=1.0),
}


@pytest.mark.parametrize("history", HISTORIES)
@pytest.mark.parametrize("losses", [(0.2, 0.2, 0.2, 0.2), (0.55, 0.55, 0.55), (0.4, 0.4, 0.6)])
def test_a_resumed_search_decides_as_one_that_never_stopped(tmp_path, open_study, history, losses):
    decided = []
    for resumed in (False, True):
        folder = tmp_path / str(resumed)
        folder.mkdir()
        session = Session(open_study(SPACE, folder))
        HISTORIES[history](session)
        if resumed:
            session = Session(open_study(SPACE, folder))
            for record in session.study.records:  # what had not ended comes first, and has a lane again
                assert record.state.final or session.engine.next_trial().number == record.number
        decided.append(session.run(*losses)[1])
    assert decided[0] == decided[1]


def ended_but_not_told(study: Study, *, saved: bool, **metrics: float) -> int:
    """A trial whose driver was killed after its last report."""
    number = begin(study).number
    for epoch in (1, 2, 3):
        study.report(number, report(epoch, **metrics))
    if saved:
        study.checkpoint(number, "checkpoint")
    return number


def test_what_had_ended_when_the_driver_was_killed_ends_when_the_search_goes_on(open_study):
    study = open_study(SPACE)
    collapsed = ended_but_not_told(study, saved=True, perplexity=1.0)
    healthy = ended_but_not_told(study, saved=True)
    unsaved = ended_but_not_told(study, saved=False, perplexity=1.0)
    fresh = begin(study).number
    resumed = open_study(SPACE)
    engine = Engine(resumed, SPACE)
    assert resumed.record(collapsed).stop_reason is StopReason.COLLAPSE
    assert [resumed.record(number).state for number in (healthy, unsaved, fresh)] == [TrialState.RUNNING] * 3
    assert [engine.next_trial().number for _ in range(3)] == [healthy, unsaved, fresh]
    assert engine.next_trial().number == 4


def test_the_search_is_finished_when_its_last_trial_is(open_study):
    space = space_of(search={"trials": 2})
    engine = Engine(open_study(space), space)
    first, second = engine.next_trial().number, engine.next_trial().number
    assert engine.next_trial() is None
    assert engine.busy == 2
    for number in (first, second):
        assert not engine.finished
        engine.fail(number, "it broke")
        engine.finish(number)
    assert engine.next_trial() is None
    assert engine.finished


class BitsAtMost(NoPreflight):
    """A pre-flight that knows a rate without building a model: log2 of the codes."""

    def __init__(self, bound: float) -> None:
        self.bound = bound

    def check(self, config) -> Check:
        violation = math.log2(config.model.n_codes) - self.bound
        return Check({"bits": violation}, ("bits",) if violation > 0 else ())


def test_what_is_ruled_out_beforehand_is_no_trial_but_optuna_learns_of_it(open_study, read_back):
    space = space_of(search={"trials": 5})
    session = Session(open_study(space), space, preflight=BitsAtMost(4))
    assert len(session.run_all()) == 5
    assert {record.params["model.n_codes"] for record in session.study.records} == {16}
    asked = read_back()
    rejected = [trial for trial in asked if trial.params["model.n_codes"] > 16]
    assert len(rejected) == session.study.rejected["bits"] == len(asked) - 5 > 0
    assert all(trial.constraints["bits"] == math.log2(trial.params["model.n_codes"]) - 4 for trial in asked)
    assert all(trial.state.name == "FAIL" and not trial.intermediate_values for trial in rejected)
    resumed = open_study(space)
    assert resumed.rejected == session.study.rejected
    assert len(resumed.records) == 5


def test_no_configuration_is_trained_twice_and_a_space_that_is_used_up_ends_the_search(open_study):
    model = {
        "downsample": [2, 2, 2],
        "attention": {"type": "none", "n_head": 1},
        "codebook_beta": {"choice": [0.1, 1.0]},
    }
    space = space_of(model=model, search={"trials": 10})
    session = Session(open_study(space), space)
    assert len(session.run_all()) == 6
    points = [
        (record.params["model.n_codes"], record.params["model.codebook_beta"]) for record in session.study.records
    ]
    assert sorted(points) == [(codes, beta) for codes in (16, 32, 64) for beta in (0.1, 1.0)]
    assert session.study.rejected["repeated"] > 0
    assert session.engine.finished
    assert session.engine.expected == 6


def test_points_of_an_earlier_search_are_not_tried_again(open_study):
    """Of a grid of six points three are known: the other three are left, also after a resume."""
    choices = {"codebook_beta": 0.25, "attention": {"type": "none"}, "downsample": {"choice": [[1, 2, 2], [2, 2, 2]]}}
    space = space_of(model=choices, search={"sampler": {"type": "grid"}})
    first = Session(Study.in_memory(space), space)
    first.run_all()
    study = open_study(space)
    for number in (0, 2, 4):
        study.import_(first.study.record(number))
    session = Session(study, space)
    session.run(*[0.5] * 9)
    resumed = Session(open_study(space), space)
    resumed.run_all()
    tried = [record.params for record in resumed.study.records]
    untried = [first.study.record(number).params for number in (1, 3, 5)]
    assert sorted(tried, key=str) == sorted(untried, key=str)


FIRST = {"model.n_codes": 64, "model.downsample": [2, 4, 4]}


@pytest.mark.parametrize("sampler", ["tpe", "grid", "curves"])
def test_points_to_try_first_come_before_all_others_and_once_whatever_is_resumed(open_study, sampler):
    space = space_of(
        model={"codebook_beta": 0.25}, search={"first": [FIRST, {"model.n_codes": 16}], "sampler": {"type": sampler}}
    )
    Session(open_study(space), space).run(*[0.5] * 9)
    resumed = Session(open_study(space), space)
    resumed.run_all()
    tried = [record.params for record in resumed.study.records]
    assert FIRST.items() <= tried[0].items()
    assert "model.attention.type" in tried[0]
    assert tried[1]["model.n_codes"] == 16
    assert len(tried) == 6
    assert len({str(params) for params in tried}) == 6


def test_a_point_to_try_first_that_is_ruled_out_gives_way_to_the_next(open_study):
    space = space_of(search={"first": [FIRST, {"model.n_codes": 16, "model.codebook_beta": 0.5}]})
    session = Session(open_study(space), space, preflight=BitsAtMost(5))
    session.run(*[0.5] * 9)
    assert session.study.record(0).params["model.codebook_beta"] == 0.5  # a rejected point takes no number


def test_a_share_of_the_trials_is_drawn_at_random_whatever_was_learned():
    """TPE with nothing but random draws is random search; the same seed gives the same trials."""
    points = {}
    for name, fraction in (("tpe", 0.0), ("tpe", 0.999999), ("random", 0.999999)):
        sampler = {"type": name, "startup_trials": 4, "random_fraction": fraction}
        space = space_of(search={"trials": 12, "sampler": sampler})
        session = Session(Study.in_memory(space), space)
        session.run_all()
        points[name, fraction] = [dict(record.params) for record in session.study.records]
    assert points["tpe", 0.999999] == points["random", 0.999999]
    assert points["tpe", 0.0][:4] == points["random", 0.999999][:4]
    assert points["tpe", 0.0][4:] != points["random", 0.999999][4:]


@pytest.mark.parametrize(("name", "startup"), [("tpe", 8), ("curves", 16)])
def test_a_sampler_begins_to_learn_after_its_startup_trials(name, startup):
    points = {}
    for sampler, given in ((name, {}), ("random", {"startup_trials": 20})):
        space = space_of(search={"trials": 20, "sampler": {"type": sampler, "random_fraction": 0, **given}})
        session = Session(Study.in_memory(space), space)
        session.run_all()
        points[sampler] = [dict(record.params) for record in session.study.records]
    assert points[name][:startup] == points["random"][:startup]
    assert points[name][startup] != points["random"][startup]


def test_a_space_in_which_nothing_is_allowed_is_an_error():
    with pytest.raises(ConfigError, match="300 by bits"):
        Engine(Study.in_memory(space_of()), space_of(), BitsAtMost(0)).next_trial()


def test_a_search_ends_when_its_target_is_reached(open_study):
    space = space_of(search={**RULES, "until": {"recon_loss": 0.2}, "scheduler": {"type": "none"}})
    session = Session(open_study(space), space)
    running = session.engine.next_trial().number
    session.engine.report(running, report(1, 0.7))
    session.run(0.5, 0.3, 0.19)
    assert session.engine.ended_by == "until"
    assert session.engine.next_trial() is None
    assert session.engine.report(running, report(2, 0.6)) is STOP
    assert session.engine.finish(running).stop_reason is StopReason.SEARCH_ENDED
    assert session.engine.next_trial() is None
    assert session.engine.finished
    assert Engine(open_study(space), space).ended_by == "until"


def test_a_search_ends_when_its_front_no_longer_moves(open_study):
    space = space_of(search={**RULES, "stall": 3, "trials": 50, "scheduler": {"type": "none"}})
    session = Session(open_study(space), space)
    for loss in (0.5, 0.4, 0.45, 0.3, 0.5, 0.5):
        session.run(*[loss] * 9)
        assert session.engine.ended_by is None
    session.run(*[0.6] * 9)
    assert session.engine.ended_by == "stall"
    assert session.engine.next_trial() is None


def test_a_rescue_is_kept_with_the_trial(session, open_study):
    number = session.engine.next_trial().number
    for epoch in (1, 2, 3):
        rescue = "restart_codes" if epoch == 2 else None
        session.engine.report(number, report(epoch), rescue=rescue)
    assert session.study.record(number).rescues == (Rescue(2, "restart_codes"),)
    assert open_study(SPACE).record(number).rescues == (Rescue(2, "restart_codes"),)


CONFIRM = {"trials": 5, "confirm": {"top": 2, "seeds": 3}, "scheduler": {"type": "none"}, "stop": {"plateau": None}}


def with_checkpoint(study: Study, number: int) -> None:
    study.checkpoint(number, f"ray/trial-{number:04d}/checkpoint")


def test_the_best_are_repeated_in_full_with_other_seeds_at_the_end(open_study):
    space = space_of(search=CONFIRM)
    session = Session(open_study(space), space)
    for loss in (0.5, 0.2, 0.4, 0.3, 0.6):
        number = session.engine.next_trial().number
        for epoch in range(1, 10):
            session.engine.report(number, report(epoch, loss))
            with_checkpoint(session.study, number)
        session.engine.finish(number)
    assert session.engine.expected == 11
    repeated = session.run_all(0.25)
    records = [session.study.record(number) for number in repeated]
    assert [(record.parent, record.config.training.seed) for record in records] == [
        (1, 1), (3, 1), (1, 2), (3, 2), (1, 3), (3, 3),
    ]  # fmt: skip
    assert all(record.role is Role.CONFIRM and record.state is TrialState.COMPLETED for record in records)
    assert all(record.params == session.study.record(record.parent).params for record in records)
    assert session.engine.finished
    assert Engine(open_study(space), space).next_trial() is None


def test_repetitions_take_all_lanes_once_the_search_itself_is_over():
    space = space_of(search={**CONFIRM, "trials": 2})
    session = Session(Study.in_memory(space), space)
    first, second = (session.engine.next_trial().number for _ in range(2))
    for number in (first, second):
        for epoch in range(1, 10):
            session.engine.report(number, report(epoch))
            with_checkpoint(session.study, number)
    session.engine.finish(first)
    assert session.engine.next_trial() is None  # the other may be among the best yet
    session.engine.finish(second)
    repeated = [session.engine.next_trial() for _ in range(6)]
    assert [record.role for record in repeated] == [Role.CONFIRM] * 6
    assert session.engine.next_trial() is None
    assert not session.engine.finished


def test_a_repetition_is_stopped_by_divergence_alone(open_study):
    space = space_of(search={**CONFIRM, "trials": 1, "scheduler": {"grace_period": 1}})
    session = Session(open_study(space), space)
    number = session.engine.next_trial().number
    session.engine.report(number, report(1, 0.5))
    with_checkpoint(session.study, number)
    session.engine.report(number, report(9, 0.4))
    session.engine.finish(number)
    decisions = session.run(*[0.9] * 9, perplexity=1.0)[1]
    assert decisions == [CONTINUE] * 8 + [STOP]
    assert session.run(0.9, math.nan)[1] == [CONTINUE, STOP]


POPULATION = {
    "trials": 4,
    "scheduler": {"type": "pbt", "interval": 3, "quantile": 0.25},
    "stop": {"collapse": None, "plateau": None},
}


def train_population(session: Session, losses: dict[int, float], sessions: int = 10_000) -> list[tuple[int, int]]:
    """Train on one lane, as Tune would; who reported which epoch, in order."""
    order: list[tuple[int, int]] = []
    while len(order) < sessions:
        record = session.engine.next_trial()
        number = record.number if record else session.engine.next_paused()
        if number is None:
            break
        if record is None:
            session.engine.resume(number)
        record = session.study.record(number)
        epoch = int(record.metrics.get("epoch", record.checkpoint_epoch))
        decision = CONTINUE
        while decision is CONTINUE:
            epoch += 1
            order.append((number, epoch))
            session.study.record(number)
            decision = session.engine.report(number, report(epoch, losses.get(number, 0.1)))
            with_checkpoint(session.study, number)
        if decision is STOP:
            session.engine.finish(number)
    return order


def test_a_population_advances_together_and_its_worst_go_on_from_its_best(open_study):
    space = space_of(search=POPULATION)
    session = Session(open_study(space), space)
    order = train_population(session, {0: 0.2, 1: 0.4, 2: 0.3, 3: 0.9})
    assert [number for number, epoch in order if epoch == 3] == [0, 1, 2, 3]
    assert [epoch for _, epoch in order[:12]] == [1, 2, 3] * 4
    records = session.study.records
    exploited, heirs = records[3], [record for record in records if record.role is Role.EXPLOIT]
    assert (exploited.state, exploited.stop_reason) == (TrialState.PRUNED, StopReason.EXPLOITED)
    assert exploited.metrics["epoch"] == 3
    assert heirs[0].parent == 0
    assert min(epoch for number, epoch in order if number == heirs[0].number) == 4
    assert heirs[0].params["model.n_codes"] == records[0].params["model.n_codes"]
    assert heirs[0].params["model.codebook_beta"] != records[0].params["model.codebook_beta"]
    alive = [record for record in records if record.state is TrialState.COMPLETED]
    assert len(alive) == 4
    assert len(heirs) == len(records) - 4
    assert session.engine.finished


def test_a_population_goes_on_after_its_driver_was_killed(open_study):
    space = space_of(search=POPULATION)
    losses = {0: 0.2, 1: 0.4, 2: 0.3, 3: 0.9}
    train_population(Session(open_study(space), space), losses, sessions=12)  # member 3 has ended, without an heir
    session = Session(open_study(space), space)
    order = train_population(session, losses)
    assert min(epoch for _, epoch in order) == 4
    assert sum(record.state is TrialState.COMPLETED for record in session.study.records) == 4


PROMOTION = {
    "trials": 9,
    "sampler": {"type": "curves", "startup_trials": 4},
    "scheduler": {"type": "promote", "grace_period": 1, "reduction_factor": 3},
    "stop": {"collapse": None, "plateau": None},
}
PROMOTED = space_of(search=PROMOTION)  # rungs after the epochs 1 and 3; a trial has 9
LOSSES = dict(enumerate((0.5, 0.3, 0.6, 0.4, 0.2, 0.55, 0.35, 0.45, 0.25)))


def train_by_promotion(session: Session, sessions: int = 10_000) -> list[tuple[int, int]]:
    """As ``train_population``; what waits without a chance ends, too."""
    order = train_population(session, LOSSES, sessions)
    for number in sorted(session.engine.ending):
        session.engine.finish(number)
    return order


def test_the_last_of_a_time_budget_is_for_trials_that_promotion_lets_go_on(open_study):
    """Of a hundred trials five have begun when 85 of 100 seconds are over: no other begins, and the best goes on."""
    space = space_of(search={**PROMOTION, "trials": 100, "time_budget": 100})
    time = [0.0]
    study = Study.in_memory(space, lambda: time[0])
    time[0] = 500.0  # of an earlier session: the budget is this one's
    session = Session(study, space)
    for number in range(4):
        assert session.engine.next_trial().number == number
        assert session.engine.report(number, report(1, LOSSES[number])) is PAUSE
    time[0] += 84.9
    assert session.engine.next_trial() is None
    assert session.engine.next_paused() == 1
    session.engine.resume(1)
    assert session.engine.next_trial().number == 4
    time[0] += 0.1
    assert session.engine.report(4, report(1, LOSSES[4])) is CONTINUE
    decisions = [session.engine.report(4, report(epoch, LOSSES[4])) for epoch in range(2, 10)]
    assert decisions == [CONTINUE] * 7 + [STOP]
    session.engine.finish(4)
    assert session.engine.report(1, report(2, LOSSES[1])) is CONTINUE
    assert session.engine.next_trial() is None
    assert session.engine.report(1, report(3, LOSSES[1])) is PAUSE
    assert session.engine.next_trial() is None
    assert session.engine.ending == {0, 1, 2, 3}


def test_promotion_trains_the_best_to_the_end_and_the_rest_as_far_as_they_deserve(open_study):
    session = Session(open_study(PROMOTED), PROMOTED)
    order = train_by_promotion(session)
    assert order[:4] == [(0, 1), (1, 1), (2, 1), (3, 1)]  # the startup trials come first, whatever they report
    epochs = {record.number: record.metrics["epoch"] for record in session.study.records}
    assert set(epochs.values()) == {1, 3, 9}
    best = min(epochs, key=LOSSES.__getitem__)
    assert epochs[best] == 9
    assert session.study.record(best).state is TrialState.COMPLETED
    waited = [record for record in session.study.records if record.metrics["epoch"] < 9]
    assert {(record.state, record.stop_reason) for record in waited} == {(TrialState.PRUNED, StopReason.SCHEDULER)}
    assert session.engine.next_trial() is None
    assert session.engine.finished


def test_who_would_go_on_at_once_is_not_paused(open_study):
    session = Session(open_study(PROMOTED), PROMOTED)
    train_population(session, LOSSES, sessions=4)
    number = session.engine.next_paused()
    assert (session.engine.next_trial(), number) == (None, 1)
    session.engine.resume(number)
    assert session.engine.report(number, report(2, 0.2)) is CONTINUE
    assert session.engine.report(number, report(3, 0.2)) is PAUSE  # alone at the rung: one third of one is none
    new = session.engine.next_trial().number
    assert session.engine.report(new, report(1, 0.9)) is PAUSE
    new = session.engine.next_trial().number
    assert session.engine.report(new, report(1, 0.01)) is CONTINUE


def test_a_trial_that_is_paused_has_left_its_lane(open_study):
    session = Session(open_study(PROMOTED), PROMOTED)
    number = session.engine.next_trial().number
    session.study.enter(number, "a")
    assert session.engine.report(number, report(1, 0.5)) is PAUSE
    (stay,) = session.study.record(number).stays
    assert stay.ended >= session.study.record(number).metrics["seconds"]


def test_what_was_between_rungs_when_the_driver_was_killed_goes_on_first_and_what_was_paused_waits(open_study):
    session = Session(open_study(PROMOTED), PROMOTED)
    train_population(session, LOSSES, sessions=4)
    session.engine.resume(1)
    session.engine.report(1, report(2, 0.2))
    with_checkpoint(session.study, 1)
    engine = Engine(open_study(PROMOTED), PROMOTED)
    assert engine.next_trial().number == 1
    assert engine.next_trial().number == 4  # a new one: of the other three, none is among the best third


def test_a_paused_trial_without_a_checkpoint_of_its_rung_goes_on_from_the_one_before(open_study):
    session = Session(open_study(PROMOTED), PROMOTED)
    train_population(session, LOSSES, sessions=3)
    number = session.engine.next_trial().number
    assert session.engine.report(number, report(1, 0.9)) is PAUSE
    engine = Engine(open_study(PROMOTED), PROMOTED)
    assert engine.next_trial().number == number


@pytest.mark.parametrize("cut", [3, 5, 8, 12, 17, 22])
def test_promotion_goes_on_after_a_stop_as_if_there_was_none(tmp_path, open_study, cut):
    orders = []
    for resumed in (False, True):
        folder = tmp_path / str(resumed)
        folder.mkdir()
        session = Session(open_study(PROMOTED, folder), PROMOTED)
        order = train_population(session, LOSSES, cut) if resumed else []
        if resumed:
            for record in session.study.records:  # as Tune has written them
                (folder / str(record.checkpoint)).mkdir(parents=True, exist_ok=True)
            session = Session(open_study(PROMOTED, folder), PROMOTED)
        orders.append(order + train_by_promotion(session))
        assert all(record.state.final for record in session.study.records)
    assert orders[0] == orders[1]


def test_when_the_search_ends_early_what_is_paused_ends_with_it(open_study):
    space = space_of(search={**PROMOTION, "until": {"recon_loss": 0.25}, "finish": None})
    session = Session(open_study(space), space)
    train_by_promotion(session)
    assert session.engine.ended_by == "until"
    reasons = {record.stop_reason for record in session.study.records}
    assert reasons == {StopReason.SEARCH_ENDED}
    assert session.engine.next_trial() is None
    assert session.engine.finished


def test_repetitions_follow_when_nothing_waits_any_more(open_study):
    space = space_of(search={**PROMOTION, "confirm": {"top": 1, "seeds": 1}})
    session = Session(open_study(space), space)
    train_by_promotion(session)
    order = train_by_promotion(session)
    (repetition,) = (record for record in session.study.records if record.role is Role.CONFIRM)
    assert order == [(repetition.number, epoch) for epoch in range(1, 10)]
    assert repetition.state is TrialState.COMPLETED
    assert session.engine.finished


def test_a_search_whose_trials_all_fail_alike_ends_and_tries_again_when_it_goes_on(open_study):
    space = space_of(search={"trials": 20})
    for begun in (5, 10):
        session = Session(open_study(space), space)
        while record := session.engine.next_trial():
            session.engine.fail(record.number, "OSError: no space left on device")
            session.engine.finish(record.number)
        assert session.engine.finished
        assert session.engine.ended_by == "errors"
        assert len(session.study.records) == begun


def test_a_repetition_that_was_stopped_after_the_epoch_of_a_rung_goes_on_under_promotion(open_study, tmp_path):
    """Only trials that promotion compares wait at rungs; what follows the search would have waited for ever."""
    space = space_of(search={**PROMOTION, "confirm": {"top": 1, "seeds": 1}})
    session = Session(open_study(space), space)
    train_by_promotion(session)
    repetition = session.engine.next_trial()
    assert repetition.role is Role.CONFIRM
    for epoch in (1, 2, 3):
        session.engine.report(repetition.number, report(epoch))
        session.study.checkpoint(repetition.number, "ray/last")
    for record in session.study.records:  # as Tune has written them
        (tmp_path / str(record.checkpoint)).mkdir(parents=True, exist_ok=True)
    resumed = Session(open_study(space), space)
    assert resumed.engine.next_trial().number == repetition.number
