"""How a range of numbers follows the best of its values. Pure functions."""

import math
from collections.abc import Callable, Sequence

from ndvq_tune.distributions import Range
from ndvq_tune.records import short_value

_LEAST_MARGIN = 0.05  # share of a range that is kept on each side of the best
_EDGE = 0.2  # share of a range that is its edge; the best crowd there if more than half of them are in it
_BEYOND = (0.25, 0.125, 0.0625, 0.03125)  # shares of a range that it may grow by; the first that gives a valid value
_WORTH = 0.8  # share of a range; one that would stay wider is left as it was


def around(old: Range, best: Sequence[float], words: str, valid: Callable[[float], bool]) -> tuple[Range, str]:
    """The range that the best values may well come from.

    The ends of a uniform distribution lie beyond the extremes of n draws by 1 / (n - 1) of what these span: the best
    unbiased estimate. So where a parameter does not matter, the range tends to stay. Where the best crowd at an edge
    it moves on beyond it. A logarithmic range is seen in logarithms.

    Args:
        old: The range, which is not empty.
        best: The best values, at least two.
        words: What they are called.
        valid: Whether the parameter may have a value.

    Returns:
        The range and why it is that; the old range and no reason where they are about equal.

    Example:
        >>> around(Range(0, 100), [40, 45, 50, 60], "the best 4", lambda value: True)
        (Range(low=33.0, high=67.0, log=False, integer=False), 'was 0 to 100: the best 4 lie between 40 and 60')
    """
    to = math.log if old.log else float
    low, high = to(old.low), to(old.high)
    width, values = high - low, sorted(map(to, best))
    margin = max((values[-1] - values[0]) / (len(values) - 1), _LEAST_MARGIN * width)
    new = Range(
        max(old.low, _rounded(values[0] - margin, old, math.floor)),
        min(old.high, _rounded(values[-1] + margin, old, math.ceil)),
        old.log,
        old.integer,
    )
    was = f"was {short_value(old.low)} to {short_value(old.high)}"
    where = f"between {short_value(min(best))} and {short_value(max(best))}"
    edges = [edge(old, value) for value in best]
    if edges.count(-1) > len(values) / 2:
        lower = beyond(old, -1, valid)
        if lower < old.low:
            reason = f"{was}, widened to {short_value(lower)}: most of {words} lie at the lower edge, {where}"
            return Range(lower, new.high, old.log, old.integer), reason
    if edges.count(1) > len(values) / 2:
        upper = beyond(old, 1, valid)
        if upper > old.high:
            reason = f"{was}, widened to {short_value(upper)}: most of {words} lie at the upper edge, {where}"
            return Range(new.low, upper, old.log, old.integer), reason
    if to(new.high) - to(new.low) > _WORTH * width:
        return old, ""
    return new, f"{was}: {words} lie {where}"


def edge(old: Range, value: float) -> int:
    """At which edge of a range a value lies, in the outer fifth: -1 for the lower, 1 for the upper, 0 for neither."""
    to = math.log if old.log else float
    place = (to(value) - to(old.low)) / (to(old.high) - to(old.low))
    return -1 if place < _EDGE else 1 if place > 1 - _EDGE else 0


def beyond(old: Range, side: int, valid: Callable[[float], bool]) -> float:
    """A valid value some way beyond an edge of a range; the edge itself where there is none.

    Args:
        old: The range, which is not empty.
        side: -1 for the lower edge, 1 for the upper.
        valid: Whether the parameter may have a value.
    """
    to, direction = math.log if old.log else float, math.ceil if side > 0 else math.floor
    end, width = old.high if side > 0 else old.low, to(old.high) - to(old.low)
    candidates = [_rounded(to(end) + side * share * width, old, direction) for share in _BEYOND]
    return next((value for value in candidates if valid(value)), end)


def _rounded(value: float, old: Range, direction: Callable[[float], int]) -> float:
    """A number that people would write, at most a little beyond a value on the range's scale."""
    number = math.exp(value) if old.log else value
    if old.integer:
        return direction(round(number, 9))
    digits = math.log10(number) if old.log else math.log10(old.high - old.low) - 0.5
    step = 10.0 ** (math.floor(digits) - 1)
    return float(f"{direction(round(number / step, 9)) * step:.12g}")
