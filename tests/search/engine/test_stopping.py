import math

import pytest

from ndvq_tune.records import Rescue, StopReason
from ndvq_tune.search.engine.stopping import IMPOSSIBLE, collapsed, diverged, needs_rescue, plateaued, stop_reason
from ndvq_tune.search.space.settings.stopping import CollapseRule, CostRule, PlateauRule, StopSettings
from tests.search.search_examples import report

NEW = ("samples_seen", "training_seconds", "fidelity")


def curve(*losses: float) -> list[dict[str, float]]:
    return [report(epoch, loss) for epoch, loss in enumerate(losses, start=1)]


def dead(epochs: int) -> list[dict[str, float]]:
    return [report(epoch, perplexity=1.0) for epoch in range(1, epochs + 1)]


def perplexities(*values: float) -> list[dict[str, float]]:
    return [report(epoch, perplexity=value) for epoch, value in enumerate(values, start=1)]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["recon_loss", "train_recon_loss"])
def test_a_loss_that_is_no_number_is_divergence(name, value):
    assert diverged([report(1), report(2, **{name: value})])
    assert not diverged([report(1, **{name: value}), report(2)])


def test_divergence_is_always_looked_for():
    never = StopSettings(collapse=None, plateau=None)
    assert stop_reason(curve(1.0, math.nan), never) is StopReason.DIVERGED
    assert stop_reason(curve(1.0, 1e30), never) is None


@pytest.mark.parametrize(
    ("usage", "perplexity", "dead"), [(0.019, 5, True), (0.02, 2, False), (0.5, 1.9, True), (0.5, 50, False)]
)
def test_a_codebook_is_dead_by_usage_or_by_perplexity(usage, perplexity, dead):
    rule = CollapseRule(usage_below=0.02, perplexity_below=2, after=1)
    assert collapsed([report(codebook_usage=usage, perplexity=perplexity)], rule) is dead


def test_a_codebook_gets_its_epochs_to_come_alive():
    rule = CollapseRule(after=3)
    assert [collapsed(dead(epochs), rule) for epochs in (1, 2, 3)] == [False, False, True]
    assert not collapsed([*dead(2), report(3)], rule)


def test_a_codebook_on_its_way_up_gets_one_more_epoch_each_time():
    rule = CollapseRule(perplexity_below=2, after=2)
    assert not collapsed(perplexities(1.0, 1.2), rule)
    assert not collapsed(perplexities(1.0, 1.2, 1.4), rule)
    assert collapsed(perplexities(1.0, 1.2, 1.3), rule)  # by 8% only
    assert collapsed(perplexities(1.0, 1.2, 1.1), rule)
    assert not collapsed([report(1, codebook_usage=0.004), report(2, codebook_usage=0.008)], rule)
    assert collapsed([report(1, codebook_usage=0.008), report(2, codebook_usage=0.008)], rule)


def test_after_a_rescue_the_epochs_are_counted_anew():
    rule = CollapseRule(after=2, on_collapse="restart_codes")
    rescues = [Rescue(3, "restart_codes")]
    assert [collapsed(dead(epochs), rule, rescues) for epochs in (3, 4, 5)] == [False, False, True]


@pytest.mark.parametrize("action", ["restart_codes", "lower_beta"])
def test_a_collapse_stops_only_when_no_rescue_is_left(action):
    rule = CollapseRule(after=2, on_collapse=action, rescues=2)
    settings = StopSettings(collapse=rule, plateau=None)
    rescues: list[Rescue] = []
    for epochs, due in ((1, False), (2, True), (3, False), (4, True), (5, False)):
        assert needs_rescue(dead(epochs), rule, rescues) is due
        assert stop_reason(dead(epochs), settings, rescues) is None
        rescues += [Rescue(epochs, action)] if due else []
    assert not needs_rescue(dead(6), rule, rescues)
    assert stop_reason(dead(6), settings, rescues) is StopReason.COLLAPSE


def test_nothing_is_rescued_that_is_to_be_stopped_or_has_diverged():
    rule = CollapseRule(after=1, on_collapse="restart_codes")
    assert needs_rescue(dead(1), rule)
    assert not needs_rescue(dead(1), CollapseRule(after=1))
    assert not needs_rescue([report(1, math.nan, perplexity=1.0)], rule)


def test_a_rescue_that_was_impossible_stops_the_trial_at_once():
    rule = CollapseRule(after=2, on_collapse="restart_codes", rescues=3)
    rescues = [Rescue(2, IMPOSSIBLE)]
    assert stop_reason(dead(2), StopSettings(collapse=rule), rescues) is StopReason.COLLAPSE
    assert not needs_rescue(dead(2), rule, rescues)


@pytest.mark.parametrize(
    ("losses", "ended"),
    [
        ((1.0, 1.0), False),  # no epochs before the last two to compare with
        ((1.0, 1.0, 1.0), True),
        ((1.0, 0.95, 0.91), True),  # 9% in two epochs
        ((1.0, 0.95, 0.90), False),  # just the 10% that count
        ((1.0, 0.5, 0.52, 0.51), True),
        ((1.0, 0.5, 0.52, 0.4), False),
        ((0.4, 1.0, 0.5, 0.39), True),  # better than what is near, not than the best
    ],
)
def test_a_plateau_is_too_little_progress_of_the_best_loss(losses, ended):
    assert plateaued(curve(*losses), PlateauRule(patience=2, min_delta=0.1)) is ended


def test_a_plateau_is_looked_for_among_reports_of_one_fidelity():
    rule = PlateauRule(patience=2, min_delta=0.1)
    small = [report(epoch, 0.1, fidelity=0.25) for epoch in range(1, 4)]
    full = [report(epoch, 0.5) for epoch in range(4, 7)]
    assert plateaued(small, rule)
    assert [plateaued([*small, *full[:epochs]], rule) for epochs in (1, 2, 3)] == [False, False, True]


def test_a_plateau_is_looked_for_after_the_last_rescue():
    rule = PlateauRule(patience=2, min_delta=0.1)
    rescues = [Rescue(1, "restart_codes"), Rescue(3, "restart_codes"), Rescue(4, IMPOSSIBLE)]
    flat = curve(*[0.5] * 6)
    assert [plateaued(flat[:epochs], rule, rescues) for epochs in (3, 4, 5, 6)] == [False, False, False, True]


def test_time_and_cost_end_a_trial_when_they_are_reached():
    time = StopSettings(trial_time="10m", plateau=None)
    cost = StopSettings(cost=CostRule(at_most=0.5, per_hour=3.0), plateau=None)  # 10 minutes as well
    for settings, reason in ((time, StopReason.TRIAL_TIME), (cost, StopReason.COST)):
        assert stop_reason([report(1, training_seconds=599.0)], settings) is None
        assert stop_reason([report(1, training_seconds=600.0)], settings) is reason


def test_reports_of_older_searches_have_no_time_and_full_samples():
    old = [{key: value for key, value in each.items() if key not in NEW} for each in curve(*[0.5] * 3)]
    settings = StopSettings(trial_time=1, cost=CostRule(at_most=1, per_hour=1), plateau=PlateauRule(patience=3))
    assert stop_reason(old, settings) is None
    assert plateaued(old, PlateauRule(patience=2))


def test_reasons_come_in_their_order():
    flat = [report(epoch, 1.0, perplexity=1.0) for epoch in range(1, 6)]
    rules = StopSettings(collapse=CollapseRule(after=1), plateau=PlateauRule(patience=1))
    assert stop_reason([*flat, report(6, math.nan, perplexity=1.0)], rules) is StopReason.DIVERGED
    assert stop_reason(flat, rules) is StopReason.COLLAPSE
    timed = StopSettings(collapse=None, plateau=rules.plateau, trial_time=1)
    assert stop_reason(flat, timed) is StopReason.PLATEAU
    costly = StopSettings(collapse=None, plateau=None, trial_time=1, cost=CostRule(at_most=1e-6, per_hour=1))
    assert stop_reason(flat, costly) is StopReason.TRIAL_TIME
    assert stop_reason(flat, StopSettings(collapse=None, plateau=None)) is None
