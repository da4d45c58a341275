import math

import pytest

from ndvq_tune.records import StopReason
from ndvq_tune.search.settings.stopping import CollapseRule, PlateauRule, StopSettings
from ndvq_tune.search.stopping import collapsed, diverged, plateaued, stop_reason
from tests.search.search_examples import report


def curve(*losses: float) -> list[dict[str, float]]:
    return [report(epoch, loss) for epoch, loss in enumerate(losses, start=1)]


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
    dead = [report(epoch, perplexity=1.0) for epoch in (1, 2, 3)]
    assert [collapsed(dead[:epochs], rule) for epochs in (1, 2, 3)] == [False, False, True]
    assert not collapsed([*dead[:2], report(3)], rule)


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


def test_reasons_come_in_their_order():
    flat = [report(epoch, 1.0, perplexity=1.0) for epoch in range(1, 6)]
    rules = StopSettings(collapse=CollapseRule(after=1), plateau=PlateauRule(patience=1))
    assert stop_reason([*flat, report(6, math.nan, perplexity=1.0)], rules) is StopReason.DIVERGED
    assert stop_reason(flat, rules) is StopReason.COLLAPSE
    assert stop_reason(flat, StopSettings(collapse=None, plateau=rules.plateau)) is StopReason.PLATEAU
    assert stop_reason(flat, StopSettings(collapse=None, plateau=None)) is None
