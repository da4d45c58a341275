"""Which recorded curve stands in for a configuration that was never trained.

Among curves of the same rate the nearest one is taken, among all where none of that rate was recorded. A difference in
a parameter counts as much as that matters on the table (permutation importance in a random forest; Breiman, 2001).
"""

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor
from sklearn.inspection import permutation_importance

from benchmarks.replay.encoding import RATE, Params, bits_of, is_named, position
from benchmarks.replay.table import Curve
from ndvq_tune.search.space import SearchSpace

ABSENT = 1.0  # difference between a value and none: as much as between the ends of a range
LEAST_WEIGHT = 0.01  # of the largest: a configuration that was recorded is always nearest to itself
OTHER_RATE = 2.0  # further than any two of the same rate are apart
TELL_APART = 1e-6
TINY = 1e-9  # where nothing matters at all
Array = NDArray[np.float64]


class Lookup:
    """Finds the curve for a configuration.

    Args:
        space: The space of all configurations.
        curves: The recorded ones.
    """

    def __init__(self, space: SearchSpace, curves: Sequence[Curve]) -> None:
        self._searched = {p.key: p.distribution for p in space.searched if p.key not in RATE}
        self._named = np.array([is_named(distribution) for distribution in self._searched.values()])
        self.weights = _importances(self._searched, curves)
        self._curves = curves
        self._points = np.array([_point(self._searched, curve.params) for curve in curves])
        self._rates = np.array([_rate(curve.params) for curve in curves])

    def __call__(self, params: Params) -> Curve:
        """The nearest curve; the first recorded one of equals.

        A configuration that was not recorded has losses higher by up to ``TELL_APART``. Otherwise all configurations
        that one curve stands in for would be equal, and a rule that stops the worse ones would stop none of them.
        """
        distances = self._distances(params)
        nearest = int(np.argmin(distances))
        return self._curves[nearest] if distances[nearest] == 0 else _stand_in(self._curves[nearest], params)

    def _distances(self, params: Params) -> Array:
        ours, theirs = np.array(_point(self._searched, params)), self._points
        difference = np.where(self._named, ours != theirs, np.abs(ours - theirs))
        absent = np.isnan(ours), np.isnan(theirs)
        difference = np.where(absent[0] ^ absent[1], ABSENT, np.where(absent[0] & absent[1], 0, difference))
        return np.asarray(difference @ self._weights + OTHER_RATE * (self._rates != _rate(params)))

    @property
    def _weights(self) -> Array:
        return np.array(list(self.weights.values()))


def _stand_in(curve: Curve, params: Params) -> Curve:
    reports = tuple({**report, "bits_per_element": bits_of(params)} for report in curve.reports)
    apart = TELL_APART * zlib.crc32(repr(sorted(params.items())).encode()) / 2**32
    return replace(curve, reports=reports).with_noise(1 + apart)


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
        position(distribution, params[key]) if key in params else math.nan for key, distribution in searched.items()
    ]


def _rate(params: Params) -> str:
    return repr([params.get(key) for key in RATE])
