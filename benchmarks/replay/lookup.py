"""Which recorded curve stands in for a configuration that was never trained.

The rate must agree exactly; among curves of the same rate the nearest one is taken. A difference in a parameter counts
as much as the parameter matters on the table (permutation importance in a random forest; Breiman, 2001).
"""

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn.ensemble import RandomForestRegressor
from sklearn.inspection import permutation_importance

from benchmarks.replay.table import Curve
from ndvq_tune.search.space import SearchSpace
from ndvq_tune.search.space.distributions import Choice, Range

RATE = ("model.n_codes", "model.downsample")
ABSENT = 1.0  # difference between a value and none: as much as between the ends of a range
LEAST_WEIGHT = 0.01  # of the largest: a configuration that was recorded is always nearest to itself
TELL_APART = 1e-6
TINY = 1e-9  # where nothing matters at all
Params = Mapping[str, Any]
Array = NDArray[np.float64]


@dataclass(frozen=True)
class StandIn:
    """How well the nearest other curve stands in for each recorded one.

    Attributes:
        rank_correlation: Spearman's, of both final losses, over the whole table.
        within_rate: The same among curves of one rate, the mean over rates: without what the rate alone explains.
        loss_error: Median relative error of the final loss.
        cost_error: Mean relative error of a training's cost.
    """

    rank_correlation: float
    within_rate: float
    loss_error: float
    cost_error: float


class Lookup:
    """Finds the curve for a configuration.

    Args:
        space: The space of all configurations.
        curves: The recorded ones.
    """

    def __init__(self, space: SearchSpace, curves: Sequence[Curve]) -> None:
        self._searched = {p.key: p.distribution for p in space.searched if p.key not in RATE}
        self._named = np.array([_is_named(distribution) for distribution in self._searched.values()])
        self.weights = _importances(self._searched, curves)
        self._weights = np.array(list(self.weights.values()))
        self._groups: dict[str, list[Curve]] = {}
        for curve in curves:
            self._groups.setdefault(_rate(curve.params), []).append(curve)
        self._points = {
            rate: np.array([_point(self._searched, curve.params) for curve in group])
            for rate, group in self._groups.items()
        }
        self._found: dict[str, Curve] = {}

    def __call__(self, params: Params) -> Curve:
        """The nearest curve of the same rate; the first recorded one of equals.

        A configuration that was not recorded has losses higher by up to ``TELL_APART``. Otherwise all configurations
        that one curve stands in for would be equal, and a rule that stops the worse ones would stop none of them.

        Raises:
            KeyError: If no configuration of that rate was recorded.
        """
        key = repr(sorted(params.items()))
        if key not in self._found:
            rate = _rate(params)
            distances = self._distances(rate, params)
            nearest = int(np.argmin(distances))
            curve = self._groups[rate][nearest]
            self._found[key] = curve if distances[nearest] == 0 else _told_apart(curve, key)
        return self._found[key]

    def stand_in(self) -> StandIn:
        """Leave each curve out, and look it up among the others."""
        groups = {rate: group for rate, group in self._groups.items() if len(group) > 2}
        pairs = [[(curve, self._nearest_other(rate, curve)) for curve in group] for rate, group in groups.items()]
        everywhere = [pair for group in pairs for pair in group]
        return StandIn(
            rank_correlation=_rank_correlation(everywhere),
            within_rate=float(np.mean([_rank_correlation(group) for group in pairs])),
            loss_error=float(np.median([abs(other.final / curve.final - 1) for curve, other in everywhere])),
            cost_error=float(np.mean([abs(other.seconds[-1] / curve.seconds[-1] - 1) for curve, other in everywhere])),
        )

    def _nearest_other(self, rate: str, curve: Curve) -> Curve:
        distances = self._distances(rate, curve.params)
        distances[self._groups[rate].index(curve)] = math.inf
        return self._groups[rate][int(np.argmin(distances))]

    def _distances(self, rate: str, params: Params) -> Array:
        ours, theirs = np.array(_point(self._searched, params)), self._points[rate]
        difference = np.where(self._named, ours != theirs, np.abs(ours - theirs))
        absent = np.isnan(ours), np.isnan(theirs)
        difference = np.where(absent[0] ^ absent[1], ABSENT, np.where(absent[0] & absent[1], 0, difference))
        return np.asarray(difference @ self._weights)


def _told_apart(curve: Curve, key: str) -> Curve:
    factor = 1 + TELL_APART * zlib.crc32(key.encode()) / 2**32
    reports = tuple({**report, "recon_loss": factor * report["recon_loss"]} for report in curve.reports)
    return replace(curve, reports=reports)


def _importances(searched: Mapping[str, Any], curves: Sequence[Curve]) -> dict[str, float]:
    """How much worse a forest predicts the final loss without knowing a parameter; together 1.

    The loss is in logarithms and relative to the mean of its rate, which hides everything else otherwise.
    """
    points = np.nan_to_num([_point(searched, curve.params) for curve in curves], nan=-1)
    losses = pd.Series([math.log(curve.final) for curve in curves])
    relative = losses - losses.groupby([_rate(curve.params) for curve in curves]).transform("mean")
    forest = RandomForestRegressor(100, min_samples_leaf=2, max_features=0.5, random_state=0).fit(points, relative)
    found = permutation_importance(forest, points, relative, n_repeats=5, random_state=0).importances_mean
    weights = np.maximum(found, max(LEAST_WEIGHT * found.max(), TINY))
    return dict(zip(searched, (weights / weights.sum()).tolist(), strict=True))


def _point(searched: Mapping[str, Any], params: Params) -> list[float]:
    """A number for each parameter's value, NaN where it has none."""
    return [
        _position(distribution, params[key]) if key in params else math.nan for key, distribution in searched.items()
    ]


def _position(distribution: Choice | Range, value: Any) -> float:
    """Where a value lies between the ends, from 0 to 1; choices of numbers lie one step apart, other choices too."""
    if isinstance(distribution, Choice):
        values = distribution.values if _is_named(distribution) else sorted(distribution.values)
        return list(values).index(value) / max(1, len(values) - 1)
    scale = math.log if distribution.log else float
    low, high = scale(distribution.low), scale(distribution.high)
    return (scale(value) - low) / (high - low)


def _is_named(distribution: Any) -> bool:
    """Whether its values have no order, so that any two of them differ equally."""
    return isinstance(distribution, Choice) and not all(isinstance(value, int | float) for value in distribution.values)


def _rate(params: Params) -> str:
    return repr([params[key] for key in RATE])


def _rank_correlation(pairs: Sequence[tuple[Curve, Curve]]) -> float:
    return float(spearmanr([curve.final for curve, _ in pairs], [other.final for _, other in pairs]).statistic)
