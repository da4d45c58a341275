import pytest

from ndvq_tune.goals import Constraint, Goals, Objective
from ndvq_tune.search.engine.curves.promotion import merits, promoted
from tests.search.engine.curves.curve_examples import curve, params_of

LOSS, BITS = Objective("recon_loss", "min"), Objective("bits_per_element", "min")
RUNGS = (1, 3)


def at(*epochs: int):
    return [curve(number, params_of(), come) for number, come in enumerate(epochs)]


def merit(*losses: float) -> dict:
    return {number: (0.0, loss) for number, loss in enumerate(losses)}


def test_one_objective_is_merit_enough():
    records, losses = at(1, 1), {0: -1.0, 1: -2.0}
    assert merits(records, losses, None, Goals((LOSS,))) == {0: (0.0, -1.0), 1: (0.0, -2.0)}


def test_on_a_front_trials_are_in_the_order_in_which_they_widen_it():
    bits, losses = {0: 0.1, 1: 0.1, 2: 0.2, 3: 0.4}, {0: -1.0, 1: -1.5, 2: -1.2, 3: -2.5}
    found = merits(at(1, 1, 1, 1), losses, bits, Goals((LOSS, BITS)))
    assert sorted(found, key=lambda number: found[number]) == [1, 3, 2, 0]


def test_what_keeps_the_constraints_comes_first():
    goals = Goals((LOSS, BITS), (Constraint("codebook_usage", "at_least", 0.5),))
    records = [curve(0, params_of(), 1), curve(1, params_of(), 1, codebook_usage=0.4)]
    found = merits(records, {0: -1.0, 1: -3.0}, {0: 0.1, 1: 0.1}, goals)
    assert found[0] < found[1]
    assert [far for far, _ in found.values()] == pytest.approx([0, 0.2])


@pytest.mark.parametrize(
    ("count", "number"), [(1, None), (2, None), (3, 2), (5, 2)], ids=["one", "two", "three", "five"]
)
def test_the_best_third_goes_on(count, number):
    records, losses = at(*[1] * count), (-1.0, -2.0, -3.0, -0.5, -0.6)[:count]
    paused = {record.number for record in records}
    assert promoted(paused, records, merit(*losses), RUNGS, 3) == number


def test_who_has_gone_on_keeps_its_place():
    records, losses = at(3, 1, 1, 1, 1, 1), merit(-3.0, -1.0, -2.0, -0.5, -0.6, -0.7)
    assert promoted({1, 2, 3, 4, 5}, records, losses, RUNGS, 3) == 2
    assert promoted({1, 2, 3, 4}, records[:5], losses, RUNGS, 3) is None


def test_the_top_rung_comes_first():
    records = at(3, 3, 3, *[1] * 6)
    losses = merit(-1.0, -1.1, -1.2, -5.0, *[0.0] * 5)
    assert promoted(set(range(9)), records, losses, RUNGS, 3) == 2
    assert promoted({*range(9)} - {2}, records, losses, RUNGS, 3) == 3


def test_what_failed_counts_among_those_that_came_there():
    records = at(1, 1, 1)
    assert promoted({0}, records, {0: (0.0, -1.0)}, RUNGS, 3) == 0


def test_at_the_end_the_share_is_rounded_up():
    records = at(3, 1)
    assert promoted({0, 1}, records, merit(-1.0, -2.0), RUNGS, 3) is None
    assert promoted({0, 1}, records, merit(-1.0, -2.0), RUNGS, 3, last=True) == 0
    assert promoted({1}, records, merit(-1.0, -2.0), RUNGS, 3, last=True) == 1
    assert promoted({1}, records, merit(-2.0, -1.0), RUNGS, 3, last=True) is None
