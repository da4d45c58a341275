import math

import numpy as np
import pytest

from ndvq_tune.search.engine.schedulers import stops_of
from tests.search.engine.schedulers.scheduler_examples import TWO_OBJECTIVES, cut, settings_of, trial

MEDIAN = {"type": "median", "grace_period": 2, "min_trials": 3}
SEARCH = settings_of(scheduler=MEDIAN)
OTHERS = [trial(0, 0.8, 0.4, 0.0), trial(1, 0.9, 0.7, 0.0), trial(2, 1.0, 0.2, 0.0)]  # 0.6, 0.8, 0.6 after two epochs


@pytest.mark.parametrize(("losses", "ends"), [((0.9, 0.61), True), ((0.59, 0.9), False), ((0.9, 0.6), False)])
def test_a_trial_ends_when_its_best_is_worse_than_the_median_of_averages_so_far(losses, ends):
    assert stops_of(SEARCH, 9)(trial(9, *losses), OTHERS) is ends


def test_the_rule_is_that_of_the_paper_at_every_epoch():
    random = np.random.default_rng(0)
    curves, own = random.random((7, 9)), random.random(9) + 0.1
    others = [trial(number, *curve) for number, curve in enumerate(curves.tolist())]
    stops, record = stops_of(SEARCH, 10), trial(9, *own.tolist())
    for epoch in range(2, 10):
        expected = own[:epoch].min() > np.median(curves[:, :epoch].mean(axis=1))
        assert stops(cut(record, epoch), others) == expected


def test_more_can_be_better():
    search = settings_of(scheduler=MEDIAN, objectives=[{"metric": "psnr", "mode": "max"}])
    others = [trial(number, 0.5, 0.5, psnr=[20.0, 30.0]) for number in range(3)]
    assert stops_of(search, 9)(trial(9, 0.5, 0.5, psnr=[24.0, 20.0]), others)
    assert not stops_of(search, 9)(trial(9, 0.5, 0.5, psnr=[26.0, 20.0]), others)


def test_no_trial_ends_within_the_grace_period():
    stops = stops_of(SEARCH, 9)
    assert not stops(trial(9, 9.0), OTHERS)
    assert stops(trial(9, 9.0, 9.0), OTHERS)


def test_it_takes_so_many_others_that_have_come_as_far():
    stops, record = stops_of(SEARCH, 9), trial(9, 9.0, 9.0)
    assert not stops(record, OTHERS[:2])
    assert not stops(record, [*OTHERS[:2], trial(3, 0.1), trial(4)])
    assert stops(record, [*OTHERS[:2], trial(3, 0.1, 0.1)])


def test_a_trial_without_a_finite_loss_is_worst_on_either_side():
    stops = stops_of(SEARCH, 9)
    assert stops(trial(9, math.nan, math.nan), OTHERS)
    assert not stops(trial(9, 0.9, 0.9), [trial(0, 0.5, math.nan), trial(1, 0.5, math.inf), OTHERS[0]])


def test_seconds_of_training_can_count():
    """After 60 seconds the others had 0.6 on average, whatever their epochs."""
    search = settings_of(scheduler=MEDIAN | {"grace_period": 50}, fidelity={"unit": "seconds"})
    stops = stops_of(search, 9)
    others = [trial(number, 0.8, 0.4, 0.0, training_seconds=[20.0, 60.0, 61.0]) for number in range(3)]
    assert stops(trial(9, 0.7, training_seconds=60.0), others)
    assert not stops(trial(9, 0.5, training_seconds=60.0), others)
    assert not stops(trial(9, 0.9, training_seconds=49.0), others)
    assert not stops(trial(9, 0.9, training_seconds=62.0), others)


def test_only_samples_of_equal_size_compare():
    stops, small = stops_of(SEARCH, 9), [0.25, 0.25, 1.0]
    others = [trial(number, 0.1, 0.1, 0.5, fidelity=small) for number in range(3)]
    assert not stops(trial(9, 0.9, 0.9, 0.4, fidelity=small), others)
    assert stops(trial(9, 0.2, 0.2, 0.6, fidelity=small), others)
    assert not stops(trial(9, 0.9, 0.9, fidelity=1.0), others[:2])


def test_of_several_objectives_the_first_decides():
    search = settings_of(scheduler=MEDIAN, objectives=TWO_OBJECTIVES)
    others = [trial(number, 0.5, 0.5, bits_per_element=1.0) for number in range(3)]
    assert stops_of(search, 9)(trial(9, 0.6, 0.6, bits_per_element=0.1), others)
