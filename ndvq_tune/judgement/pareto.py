"""The mathematics of several objectives: fronts, crowding, hypervolume and the knee.

A point has one cost for each objective, and less is always better. A cost that is NaN or infinite counts as worst.
"""

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

_Points = npt.NDArray[np.float64]
Costs = Sequence[Sequence[float]] | _Points


def dominates(a: Sequence[float], b: Sequence[float]) -> bool:
    """Whether a is no worse than b in any objective, and better in one."""
    first, second = _points([a, b])
    return bool((first <= second).all() and (first < second).any())


def front_ranks(costs: Costs) -> list[int]:
    """The front of each point: 0 where no other dominates it, 1 where only those of front 0 do, and so on.

    Non-dominated sorting as in NSGA-II (Deb et al., 2002), in O(n log n) for n points of one or two objectives, and in
    O(n^2) for more.
    """
    if not len(costs):
        return []
    points, index = _distinct(_points(costs))
    ranks = _sweep(points) if points.shape[1] <= 2 else _peel(points)
    return [ranks[place] for place in index.tolist()]


def crowding(costs: Costs) -> list[float]:
    """How far each point of one front is from its neighbours: the crowding distance of NSGA-II (Deb et al., 2002).

    It is the sum, over objectives, of the distance between the two neighbours as a share of the front's extent;
    infinite for the ends of each objective, 0 for a point with a cost that is not finite. Equal points have the
    distance that one of them would have alone, so that their order means nothing.
    """
    if not len(costs):
        return []
    points, index = _distinct(_points(costs))
    finite = np.isfinite(points).all(axis=1)
    distances = np.zeros(len(points))
    distances[finite] = _crowding(points[finite])
    return [float(distance) for distance in distances[index]]


def hypervolume(costs: Costs, reference: Sequence[float]) -> float:
    """Volume of all that lies between the points and the reference, in the product of the objectives' units.

    Exact, for any number of objectives (hypervolume by slicing objectives; While et al., 2006). A point that is not
    better than the reference in every objective adds nothing.
    """
    if not len(costs):
        return 0.0
    points, corner = _points(costs), np.asarray(reference, float)
    return _volume(points[(points < corner).all(axis=1)], corner)


def knee(costs: Costs) -> int:
    """Index of the knee of the front: its point with the lowest sum of objectives, each scaled to [0, 1] over it.

    With two objectives, the distance to the chord between the ends of the front grows as that sum falls; the sum is
    there for any number of objectives. Among equals, and so in a front of two, the first objective decides. Points
    that are not on the front, or not finite, are never the knee unless there are no others.

    Raises:
        ValueError: If there are no points.
    """
    if not len(costs):
        raise ValueError("no points given; a knee needs at least one")
    points, ranks = _points(costs), front_ranks(costs)
    front = [index for index, rank in enumerate(ranks) if rank == 0]
    front = [index for index in front if np.isfinite(points[index]).all()] or front
    lows, highs = points[front].min(axis=0), points[front].max(axis=0)
    varied = (lows < highs) & np.isfinite(highs)
    spans = highs[varied] - lows[varied]

    def key(index: int) -> tuple[float, list[float], int]:
        scaled = (points[index, varied] - lows[varied]) / spans
        return round(float(scaled.sum()), 9), points[index].tolist(), index

    return min(front, key=key)


def _points(costs: Costs) -> _Points:
    points = np.array(costs, float)
    points[~np.isfinite(points)] = np.inf
    return points


def _distinct(points: _Points) -> tuple[_Points, npt.NDArray[np.intp]]:
    """The points without repetitions, in lexicographic order, and where each of all points is among them."""
    distinct, index = np.unique(points, axis=0, return_inverse=True)
    return distinct, index.reshape(-1)


def _sweep(points: _Points) -> list[int]:
    """Fronts of distinct points of one or two objectives, in lexicographic order.

    No point is beaten by a later one. So a point is beaten by a front when the front's lowest last cost so far is no
    higher than its own; and from front to front, these lowest costs never fall.
    """
    ranks: list[int] = []
    lowest: list[float] = []
    for cost in points[:, -1].tolist():
        rank = bisect_right(lowest, cost)
        lowest[rank : rank + 1] = [cost]
        ranks.append(rank)
    return ranks


def _peel(points: _Points) -> list[int]:
    """Fronts of distinct points: what nothing beats is taken away, front by front."""
    beats = _dominance(points)
    beaten_by = beats.sum(axis=0, dtype=np.int32)
    ranks, rank = np.zeros(len(points), int), 0
    while (front := np.flatnonzero(beaten_by == 0)).size:
        ranks[front] = rank
        beaten_by -= beats[front].sum(axis=0, dtype=np.int32)
        beaten_by[front] = -1
        rank += 1
    return ranks.tolist()


def _dominance(points: _Points) -> npt.NDArray[np.bool_]:
    """Which of some distinct points (rows) dominates which (columns)."""
    beats = np.ones((len(points), len(points)), bool)
    no_worse = np.empty_like(beats)
    for column in points.T:
        # Small whole numbers compare several times as fast as floats.
        places = np.unique(column, return_inverse=True)[1].astype(np.min_scalar_type(len(points)))
        beats &= np.less_equal(places[:, None], places, out=no_worse)
    np.fill_diagonal(beats, False)
    return beats


def _crowding(points: _Points) -> _Points:
    """Crowding distances of distinct, finite points in lexicographic order, which decides among ties."""
    if len(points) <= 2:
        return np.full(len(points), np.inf)
    distances = np.zeros(len(points))
    for column in points.T:
        order = np.argsort(column, kind="stable")
        values = column[order]
        if (extent := values[-1] - values[0]) > 0:
            distances[order[1:-1]] += (values[2:] - values[:-2]) / extent
            distances[order[[0, -1]]] = np.inf
    return distances


def _volume(points: _Points, reference: _Points) -> float:
    """Hypervolume of points that are all better than the reference: slices along the last objective."""
    if not len(points):
        return 0.0
    points = points[np.argsort(points[:, -1])]
    heights = np.diff(points[:, -1], append=reference[-1])
    bases = points[:, :-1]
    if len(reference) == 1:
        return float(reference[0] - points[0, 0])
    if len(reference) == 2:
        return float(heights @ (reference[0] - np.minimum.accumulate(bases[:, 0])))
    volume = 0.0
    front = bases[:0]
    for base, height in zip(bases, heights, strict=True):
        front = _joined(front, base)
        if height > 0:
            volume += float(height) * _volume(front, reference[:-1])
    return volume


def _joined(front: _Points, point: _Points) -> _Points:
    """A front with one more point: without those that are no better, or as it was where the point is no better."""
    if (front <= point).all(axis=1).any():
        return front
    return np.vstack([front[~(point <= front).all(axis=1)], point])
