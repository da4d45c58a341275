import math
from fractions import Fraction

import numpy as np
import pytest

from ndvq_tune.search.engine.schedulers import stops_of
from tests.search.engine.schedulers.scheduler_examples import TWO_OBJECTIVES, cut, epochs_of, settings_of, trial

ASHA = {"type": "asha", "grace_period": 1, "reduction_factor": 3}
SEARCH = settings_of(scheduler=ASHA)  # rungs after the epochs 1, 3 and, where there are more, 9


def test_the_first_at_a_rung_goes_on():
    assert not stops_of(SEARCH, 9)(trial(0, 0.9), [])


def test_a_trial_goes_on_if_fewer_than_its_share_are_better():
    """Of four, a third is more than one but less than two: the second best goes on, the third does not."""
    stops = stops_of(SEARCH, 9)
    others = [trial(number, loss) for number, loss in enumerate((0.5, 0.3, 0.4))]
    assert not stops(trial(3, 0.35), others)
    assert stops(trial(3, 0.45), others)


def test_the_second_at_a_rung_goes_on_only_if_it_is_as_good():
    stops = stops_of(SEARCH, 9)
    assert stops(trial(1, 0.6), [trial(0, 0.5)])
    assert not stops(trial(1, 0.5), [trial(0, 0.5)])


def test_a_trial_is_judged_at_rungs_alone():
    stops = stops_of(SEARCH, 27)
    others = [trial(number, *[0.1] * 27) for number in range(5)]
    record = trial(9, *[0.9] * 27)
    assert [epoch for epoch in range(1, 28) if stops(cut(record, epoch), others)] == [1, 3, 9]


@pytest.mark.parametrize(("max_epochs", "last"), [(9, 3), (10, 9), (3, 1), (4, 3)])
def test_there_is_no_rung_at_the_end(max_epochs, last):
    others = [trial(number, *[0.1] * max_epochs) for number in range(5)]
    stops, record = stops_of(SEARCH, max_epochs), trial(9, *[0.9] * max_epochs)
    assert max(epoch for epoch in range(1, max_epochs + 1) if stops(cut(record, epoch), others)) == last


@pytest.mark.parametrize("grace_period", [9, 20])
def test_without_a_rung_nothing_ends(grace_period):
    stops = stops_of(settings_of(scheduler=ASHA | {"grace_period": grace_period}), 9)
    others = [trial(number, *[0.1] * 9) for number in range(5)]
    assert epochs_of(stops, [*others, trial(9, *[0.9] * 9)]) == [9] * 6


def test_a_value_at_a_rung_is_that_of_its_own_epoch_however_far_the_trial_has_come():
    stops = stops_of(SEARCH, 9)
    others = [trial(0, 0.5, 0.01, 0.01), trial(1, 0.6, 0.01, 0.01)]
    assert not stops(trial(2, 0.4), others)
    assert stops(trial(2, 0.55), others)


def test_who_never_came_to_a_rung_does_not_count_there():
    others = [trial(number, 0.1, 0.1) for number in range(5)]
    assert not stops_of(SEARCH, 9)(trial(9, 0.1, 0.1, 0.9), others)


def test_a_trial_without_a_finite_loss_is_the_worst_but_counts():
    stops = stops_of(SEARCH, 9)
    assert stops(trial(1, math.nan), [trial(0, 0.9)])
    assert not stops(trial(3, 0.5), [trial(0, 0.4), trial(1, math.nan), trial(2, math.inf)])


@pytest.mark.parametrize("unit", ["samples", "seconds"])
def test_rungs_in_other_units_are_those_that_the_last_report_is_the_first_to_pass(unit):
    """Rungs at 100, 300, 900 ... without an end, whatever the epochs."""
    name = {"samples": "samples_seen", "seconds": "training_seconds"}[unit]
    search = settings_of(scheduler=ASHA | {"grace_period": 100}, fidelity={"unit": unit})
    far = [90.0, 110.0, 290.0, 1000.0, 2000.0, 2700.0]
    others = [trial(number, *[0.1] * 6, **{name: far}) for number in range(5)]
    stops, record = stops_of(search, 3), trial(9, *[0.9] * 6, **{name: far})
    assert [epoch for epoch in range(1, 7) if stops(cut(record, epoch), others)] == [2, 4, 6]


def test_a_report_that_passes_two_rungs_is_judged_at_both():
    """The others have ended before 300 samples, or have been no better there."""
    search = settings_of(scheduler=ASHA | {"grace_period": 100}, fidelity={"unit": "samples"})
    stops = stops_of(search, 9)
    ended = [trial(number, 0.1, samples_seen=100) for number in range(3)]
    late = [trial(number, 0.9, 0.1, samples_seen=[100, 300]) for number in range(3, 6)]
    assert stops(trial(9, 0.5, samples_seen=300), ended)
    assert stops(trial(9, 0.5, samples_seen=300), late)
    assert not stops(trial(9, 0.5, samples_seen=299), late)


def test_only_samples_of_equal_size_compare():
    stops = stops_of(SEARCH, 9)
    small = [trial(number, 0.1, fidelity=0.25) for number in range(5)]
    assert not stops(trial(9, 0.9, fidelity=1.0), small)
    assert stops(trial(9, 0.9, fidelity=0.25), small)


def test_several_objectives_keep_the_front_and_drop_what_is_behind_it():
    stops = stops_of(settings_of(scheduler=ASHA, objectives=TWO_OBJECTIVES), 9)
    front = [trial(number, loss, bits_per_element=1 - loss) for number, loss in enumerate((0.1, 0.5, 0.9))]
    assert not stops(trial(9, 0.05, bits_per_element=0.99), front)
    assert not stops(trial(9, 0.99, bits_per_element=0.01), front)
    assert stops(trial(9, 0.6, bits_per_element=0.6), front)


def test_what_breaks_a_constraint_gives_way():
    search = settings_of(scheduler=ASHA, constraints=[{"metric": "codebook_usage", "at_least": 0.1}])
    stops = stops_of(search, 9)
    others = [trial(0, 0.9, codebook_usage=0.5), trial(1, 0.1, codebook_usage=0.0)]
    assert stops(trial(2, 0.1, codebook_usage=0.05), others)
    assert not stops(trial(2, 0.8, codebook_usage=0.2), others)


def expected_epochs(curves, rungs, factor):
    """Successive halving as a table of rungs that remembers, with exact shares."""
    recorded = {rung: [] for rung in rungs}
    epochs = []
    for curve in curves:
        for epoch, loss in enumerate(curve, start=1):
            if epoch in recorded:
                recorded[epoch].append(loss)
                better = sum(other < loss for other in recorded[epoch])
                if Fraction(better, len(recorded[epoch])) >= Fraction(1, factor):
                    break
        epochs.append(epoch)
    return epochs


@pytest.mark.parametrize(("grace_period", "factor", "rungs"), [(1, 3, (1, 3)), (2, 2, (2, 4, 8)), (1, 4, (1, 4))])
def test_a_search_goes_as_with_a_table_of_rungs_and_no_memory_is_needed(grace_period, factor, rungs):
    random = np.random.default_rng(factor)
    curves = random.normal(size=(80, 1)) + random.normal(size=(80, 9)) / 4
    scheduler = {"type": "asha", "grace_period": grace_period, "reduction_factor": factor}
    search = settings_of(scheduler=scheduler)
    trials = [trial(number, *curve) for number, curve in enumerate(curves.tolist())]
    expected = expected_epochs(curves.tolist(), rungs, factor)
    assert epochs_of(stops_of(search, 9), trials) == expected
    assert epochs_of(lambda record, others: stops_of(search, 9)(record, others), trials) == expected
    assert {*rungs, 9} == set(expected)
