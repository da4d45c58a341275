import math
from dataclasses import replace

import numpy as np
import pytest

from ndvq_tune.records import StopReason, TrialState
from ndvq_tune.search.engine.curves.features import Features
from ndvq_tune.search.engine.curves.forecast import Curves, Forecast
from tests.search.engine.curves.curve_examples import SMALL, bits_of, curve, loss_at, params_of
from tests.search.search_examples import TWO_OBJECTIVES, space_of

CURVES = Curves(SMALL, [1, 3, 9])
BETAS = (0.06, 0.1, 0.2, 0.4, 0.7, 1.2, 1.9)


def some(epochs: int = 3):
    return [curve(number, params_of(beta), epochs) for number, beta in enumerate(BETAS)]


def test_the_model_sees_the_rungs_alone_in_the_order_of_their_reports():
    records = [curve(1, params_of(0.1), 3), curve(0, params_of(0.2), 5)]
    rows = CURVES.rows(records)
    assert [(row.trial, row.t) for row in rows] == [(0, 0), (0, 0.5), (1, 0), (1, 0.5)]
    assert [row.value for row in rows] == pytest.approx(
        [math.log(loss_at(params_of(0.2), e)) for e in (1, 3)] + [math.log(loss_at(params_of(0.1), e)) for e in (1, 3)]
    )
    assert rows[0].point == Features(SMALL)(params_of(0.2))


def test_reports_of_other_searches_come_first_and_such_without_the_loss_are_left_out():
    other = curve(-2, params_of(0.4), 3)
    partly = replace(other, number=-3, reports=({"epoch": 1, "seconds": 1.0}, other.reports[2]))
    rows = CURVES.rows([curve(0, params_of(0.2), 1), partly, other])
    assert [(row.trial, row.t) for row in rows] == [(-2, 0), (-3, 0.5), (-2, 0.5), (0, 0)]


def test_a_trial_that_diverged_ends_with_the_highest_loss():
    diverged = curve(7, params_of(0.5), 2, recon_loss=math.nan)
    diverged = replace(diverged, state=TrialState.PRUNED, stop_reason=StopReason.DIVERGED)
    records = [*some(), diverged]
    rows = CURVES.rows(records)
    highest = max(row.value for row in rows if row.trial != 7)
    assert [row.value for row in rows if row.trial == 7] == [highest] * 2
    assert 7 not in Forecast(CURVES, records).losses


@pytest.mark.parametrize(
    ("metric", "mode", "value", "expected"),
    [
        ("recon_loss", "min", 0.25, math.log(0.25)),
        ("psnr", "max", 20.0, math.log(0.01)),
        ("ssim", "max", 0.75, math.log(0.25)),
        ("codebook_usage", "max", 0.5, -math.log(0.5)),
        ("recon_loss", "min", math.nan, math.inf),
    ],
)
def test_each_metric_has_a_logarithm_of_which_less_is_better(metric, mode, value, expected):
    space = space_of(search={"objectives": [{"metric": metric, "mode": mode}]})
    assert Curves(space, [1]).log_loss({metric: value}) == pytest.approx(expected)


def test_what_is_known_before_training_is_an_objective_of_its_own():
    curves = Curves(space_of(search=TWO_OBJECTIVES), [1])
    assert (curves.learned.metric, curves.known.metric) == ("recon_loss", "bits_per_element")
    assert curves.bits({"bits_per_element": 0.25}) == 0.25
    assert CURVES.bits({"bits_per_element": 0.25}) == 0


def test_it_foresees_what_trials_and_new_points_come_to():
    records = [*some(9)[::2], *some(3)[1::2]]
    forecast = Forecast(CURVES, records)
    waiting = records[-1]
    assert forecast.losses[waiting.number] == pytest.approx(math.log(loss_at(waiting.params, 9)), abs=0.05)
    points = [params_of(beta) for beta in (0.15, 0.3, 0.9)]
    mean, deviation = forecast.of(points)
    np.testing.assert_allclose(mean, [math.log(loss_at(params, 9)) for params in points], atol=0.15)
    assert (deviation < 0.3).all()
    other = params_of(0.3, codes=64, downsample=(2, 4, 4))
    assert bits_of(other) != bits_of(points[1])
    assert forecast.of([other])[1] > 1.3 * deviation[1]


def test_epochs_take_as_long_as_those_of_alike_trials():
    fast, slow = (8, 4, 4), (1, 4, 4)  # ten samples a second for each of the first
    space = space_of(model={"downsample": {"choice": [[1, 4, 4], [2, 4, 4], [4, 4, 4], [8, 4, 4]]}})
    shapes = [(2**k, 4, 4) for k in range(4)]
    records = [curve(n, params_of(beta, downsample=shapes[n % 4]), 1, space) for n, beta in enumerate(BETAS + BETAS)]
    seconds = Forecast(Curves(space, [1]), records).seconds([params_of(downsample=d) for d in (fast, slow)])
    assert seconds[1] / seconds[0] == pytest.approx(8, rel=0.15)
