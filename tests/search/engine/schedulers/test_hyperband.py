from collections import Counter

import pytest

from ndvq_tune.search.engine.schedulers import stops_of
from ndvq_tune.search.engine.schedulers.hyperband import bracket_of
from tests.search.engine.schedulers.scheduler_examples import cut, settings_of, trial

SEARCH = settings_of(scheduler={"type": "hyperband", "grace_period": 1, "reduction_factor": 3, "brackets": 3})
FIRST, SECOND, THIRD = (3, 4, 6, 7), (2, 5, 11, 14), (8, 17, 26, 35)  # numbers of trials


def test_trials_go_to_brackets_in_turn_and_most_of_them_to_the_first():
    assert [bracket_of(number, 3, 3) for number in range(9)] == [0, 0, 1, 0, 0, 1, 0, 0, 2]
    assert Counter(bracket_of(number, 3, 3) for number in range(270)) == {0: 180, 1: 60, 2: 30}
    assert Counter(bracket_of(number, 2, 4) for number in range(800)) == {0: 400, 1: 200, 2: 100, 3: 100}
    assert {bracket_of(number, 3, 1) for number in range(30)} == {0}


@pytest.mark.parametrize(("numbers", "rungs"), [(FIRST, [1, 3, 9]), (SECOND, [3, 9]), (THIRD, [9])])
def test_each_bracket_has_a_longer_grace_period(numbers, rungs):
    others = [trial(number, *[0.1] * 20) for number in numbers[1:]]
    stops, record = stops_of(SEARCH, 20), trial(numbers[0], *[0.9] * 20)
    assert [epoch for epoch in range(1, 21) if stops(cut(record, epoch), others)] == rungs


def test_trials_compare_within_their_bracket():
    stops = stops_of(SEARCH, 20)
    others = [trial(number, *[0.1] * 9) for number in (*SECOND, *THIRD)]
    assert not stops(trial(FIRST[0], *[0.9] * 9), others)


def test_a_bracket_that_would_begin_to_compare_at_the_end_does_not_exist():
    """With 9 epochs, the third bracket would compare after 9: its trials go to the second."""
    stops = stops_of(SEARCH, 9)
    others = [trial(number, *[0.1] * 9) for number in SECOND]
    assert stops(trial(THIRD[0], *[0.9] * 3), others)


def test_without_any_bracket_nothing_ends():
    stops = stops_of(SEARCH, 1)
    assert not stops(trial(0, 0.9), [trial(number, 0.1) for number in range(1, 9)])


def test_brackets_of_other_units_do_not_depend_on_epochs():
    search = settings_of(scheduler=SEARCH.scheduler.model_dump() | {"grace_period": 100}, fidelity={"unit": "samples"})
    stops = stops_of(search, 1)
    others = [trial(number, 0.1, samples_seen=900) for number in THIRD[1:]]
    assert not stops(trial(THIRD[0], 0.9, samples_seen=899), others)
    assert stops(trial(THIRD[0], 0.9, samples_seen=900), others)
