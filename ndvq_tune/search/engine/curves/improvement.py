"""How much trials improve what a search has found, or are expected to, in closed form."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Array = NDArray[np.float64]

NOTHING = 1e-6  # of the largest area that there can be
MARGIN = 1.1  # of the end of the front over the highest bits, so that the loss there counts


def below(mean: Array, deviation: Array, bound: Array | float) -> Array:
    """``E[(bound - loss)+]`` where the logarithm of the loss is normally distributed: the price of a put option.

    Args:
        mean: Of the log loss.
        deviation: Of the log loss.
        bound: The loss to fall below, above 0.
    """
    deviation = np.maximum(deviation, 1e-9)
    reach = (np.log(bound) - mean) / deviation
    return np.asarray(bound * ndtr(reach) - np.exp(mean + deviation**2 / 2) * ndtr(reach - deviation))


def beyond_front(mean: Array, deviation: Array, bits: Array, found: Sequence[tuple[float, float]]) -> Array:
    """The area that a point is expected to add to what a front of bits and losses dominates.

    It is the sum over intervals of bits: how much of the interval lies at the point's bits or above, times how far the
    point is expected to fall below the lowest loss that was found there.

    Args:
        mean: Of each point's log loss.
        deviation: Of each point's log loss.
        bits: Of each point.
        found: Bits and loss of what was found, at least one; the highest loss stands where there are fewer bits.
    """
    steps = _lowest(found)
    starts = np.array([min(bits.min(), min(steps)), *steps])
    ends = np.array([*steps, MARGIN * max(bits.max(), max(steps))])
    bounds = np.array([max(loss for _, loss in found), *steps.values()])
    widths = np.maximum(ends - np.maximum(starts, bits[:, None]), 0.0)
    return np.asarray((widths * below(mean[:, None], deviation[:, None], bounds)).sum(1))


def widening(losses: Array, bits: Array) -> list[int]:
    """Points in the order in which they widen a front: each adds more than any later one to the area so far.

    So near-copies of a point come far behind it, and a point that costs many bits is not judged by those of few (the
    greedy choice for the largest hypervolume; Guerreiro et al., 2016). Those that add nothing come last, by how far
    they are from the lowest loss of no more bits.

    Args:
        losses: The log loss of each point.
        bits: Of each point.
    """
    order: list[int] = []
    worst = float(np.exp(losses.max()))
    front, nothing = [(float(bits.min()), worst)], NOTHING * worst * np.abs(bits).max()
    while (gains := beyond_front(losses, np.zeros(len(losses)), bits, front)).max() > nothing:
        order.append(int(gains.argmax()))
        front.append((float(bits[order[-1]]), float(np.exp(losses[order[-1]]))))
    rest = set(range(len(losses))).difference(order)
    behind = {index: losses[index] - losses[bits <= bits[index]].min() for index in rest}
    return order + sorted(rest, key=lambda index: (behind[index], index))


def _lowest(found: Sequence[tuple[float, float]]) -> Mapping[float, float]:
    """The bits at which the lowest loss falls, in order, and that loss from there on."""
    steps: dict[float, float] = {}
    for bits, loss in sorted(found):
        if not steps or loss < min(steps.values()):
            steps.setdefault(bits, loss)
    return steps
