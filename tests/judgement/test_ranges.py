import math
import random
import statistics

import pytest

from ndvq_tune.distributions import Range
from ndvq_tune.judgement.ranges import around

UNIT = Range(0.0, 1.0)


def anything(value: float) -> bool:
    return True


def moved(old: Range, *best: float, valid=anything) -> tuple[Range, str]:
    return around(old, best, "the best 4 of 20 trials", valid)


def test_a_range_keeps_the_span_of_its_best_and_a_margin_for_what_was_not_seen() -> None:
    new, reason = moved(UNIT, 0.4, 0.5, 0.55, 0.6)
    # Four draws span 0.2; the ends of what they come from lie 0.2 / 3 further out.
    assert new.low == pytest.approx(0.4 - 0.2 / 3, abs=0.05)
    assert new.low <= 0.4 - 0.2 / 3
    assert new.high == pytest.approx(0.6 + 0.2 / 3, abs=0.05)
    assert new.high >= 0.6 + 0.2 / 3
    assert reason == "was 0 to 1: the best 4 of 20 trials lie between 0.4 and 0.6"


def test_a_logarithmic_range_is_narrowed_in_logarithms() -> None:
    new, _ = moved(Range(1e-4, 1e2, log=True), 1e-1, 1e-2, 1e-2, 1e-1)
    assert new.log
    assert new.low == pytest.approx(10 ** (-2 - 1 / 3), rel=0.1)  # a decade more on both sides, by 3
    assert new.high == pytest.approx(10 ** (-1 + 1 / 3), rel=0.1)
    assert new.low <= 10 ** (-2 - 1 / 3)
    assert new.high >= 10 ** (-1 + 1 / 3)


def test_the_ends_are_estimated_without_bias() -> None:
    """On average over many draws of the best from [0, 1], the new range is [0, 1]."""
    draw, wide = random.Random(0), Range(-1.0, 2.0)
    ranges = [around(wide, [draw.random() for _ in range(6)], "", anything)[0] for _ in range(2000)]
    assert wide not in ranges
    assert statistics.mean(new.low for new in ranges) == pytest.approx(0, abs=0.06)
    assert statistics.mean(new.high for new in ranges) == pytest.approx(1, abs=0.06)


def test_a_parameter_that_does_not_matter_mostly_keeps_its_range() -> None:
    draw = random.Random(1)
    widths = []
    for _ in range(1000):
        new, reason = around(UNIT, [draw.random() for _ in range(6)], "", lambda value: 0 <= value <= 1)
        widths.append(new.high - new.low)
        assert bool(reason) == (new != UNIT)
    assert sum(width == 1 for width in widths) > 500
    assert statistics.mean(widths) > 0.85


def test_equal_values_still_leave_a_range() -> None:
    new, _ = moved(UNIT, 0.5, 0.5, 0.5, 0.5)
    assert new.low < 0.46
    assert new.high > 0.54


@pytest.mark.parametrize("log", [False, True])
def test_where_the_best_crowd_at_the_upper_edge_the_range_moves_on(log: bool) -> None:
    old = Range(1e-4, 1e-2, log=log)
    new, reason = moved(old, 0.0099, 0.0095, 0.009, 0.0085)
    assert new.low > old.low
    assert new.high > old.high
    width = math.log(old.high / old.low) if log else old.high - old.low
    assert (math.log(new.high / old.high) if log else new.high - old.high) == pytest.approx(width / 4, rel=0.1)
    assert "widened to" in reason
    assert "upper edge, between 0.0085 and 0.0099" in reason


def test_where_the_best_crowd_at_the_lower_edge_the_range_moves_on() -> None:
    new, reason = moved(Range(0.05, 2.0, log=True), 0.055, 0.06, 0.07, 0.09)
    assert new.low == pytest.approx(0.05 * (0.05 / 2.0) ** 0.25, rel=0.1)
    assert 0.09 < new.high < 0.2
    assert "lower edge" in reason


def test_a_few_of_the_best_at_an_edge_do_not_move_it() -> None:
    assert moved(UNIT, 0.99, 0.98, 0.5, 0.6)[0].high == 1.0


def test_a_range_grows_only_as_far_as_values_are_valid() -> None:
    new, _ = moved(Range(0.8, 0.99), 0.985, 0.98, 0.975, 0.97, valid=lambda value: 0 < value < 1)
    assert 0.99 < new.high < 1


def test_an_edge_beyond_which_nothing_is_valid_stays_and_the_other_end_is_narrowed() -> None:
    new, reason = moved(Range(0.0, 0.2), 0.001, 0.002, 0.004, 0.0, valid=lambda value: value >= 0)
    assert new.low == 0
    assert new.high < 0.03
    assert reason == "was 0 to 0.2: the best 4 of 20 trials lie between 0 and 0.004"


def test_whole_numbers_stay_whole_and_keep_their_neighbours() -> None:
    new, _ = moved(Range(1, 12, integer=True), 4, 4, 5, 4)
    assert (new.low, new.high) == (3, 6)
    assert isinstance(new.low, int)
    assert isinstance(new.high, int)


def test_whole_numbers_on_a_logarithmic_range() -> None:
    new, _ = moved(Range(1, 1024, log=True, integer=True), 16, 32, 32, 64)
    assert (new.low, new.high) == (10, 102)  # 16 and 64 are two octaves apart, so 2/3 of an octave more: 10.08, 101.6


def test_whole_numbers_move_on_by_at_least_one() -> None:
    new, _ = moved(Range(1, 4, integer=True), 4, 4, 4, 4, valid=lambda value: float(value).is_integer())
    assert (new.low, new.high) == (3, 5)


@pytest.mark.parametrize("seed", range(20))
def test_the_best_are_always_inside_and_ends_are_short(seed: int) -> None:
    draw = random.Random(seed)
    low = 10 ** draw.uniform(-6, 1)
    old = Range(low, low * 10 ** draw.uniform(0.1, 4), log=draw.random() < 0.5)
    best = [draw.triangular(old.low, old.high, old.low) for _ in range(draw.randint(3, 9))]
    new, _ = around(old, best, "", lambda value: value > 0)
    assert new.low <= min(best)
    assert new.high >= max(best)
    for new_end, old_end in ((new.low, old.low), (new.high, old.high)):
        assert new_end == old_end or len(f"{new_end:.12g}".replace("-", "").lstrip("0.")) <= 8
