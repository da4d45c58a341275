"""An exact Gaussian process over learning curves (Rasmussen and Williams, 2006, algorithm 2.1 and equation 5.9).

A log loss is the sum of a curve that all trials have in common, of what the parameters do to its level and to its
course, of the same for the one trial whatever its parameters, and of noise.

In numpy with the gradient in closed form, not in BoTorch or GPyTorch: this kernel would be our own there as well, they
bring five packages, and their import takes longer than all the fits of a usual search.
"""

from collections.abc import Sequence
from functools import cached_property, lru_cache, partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, solve_triangular
from scipy.optimize import minimize
from scipy.spatial.distance import cdist

Array = NDArray[np.float64]

LEVEL, SLOPE, BEND = 4.0, 2.0, 0.25
"""Variances of the common curve: so wide that the data alone say where it runs."""
LENGTH_T = 0.5
DEVIATIONS = (0.3, 0.1, 0.03, 0.03, 0.03)
"""The prior's medians: what the parameters do to level and course, what is the trial's own of both, and noise."""
LENGTH = 1.0
"""That of each parameter's length, as a share of the root of how many there are (as in Hvarfner et al., 2024)."""
SPREAD = 0.5
"""The prior's deviation of each logarithm."""
LEAST = 0.015
"""The least deviation: two evaluations of one model differ by as much."""
FURTHEST = 4.0
"""How far a logarithm may be from its median: eight deviations, so that a long step of L-BFGS breaks nothing."""
STEPS = 50  # of L-BFGS, at most
MOST_ROWS = 500
"""More are not seen: a decision would take seconds."""
SIZES = (8, 12, 18, 27, 40, 60, 90, 135, 200, 300, 450)
"""Numbers of rows at which the process is fitted anew; fixed, so that a resumed search decides the same."""


class Row(NamedTuple):
    """A report of a trial, or a place where one is to be predicted.

    Attributes:
        point: The trial's parameters, each number in [0, 1].
        t: How far it had come: 0 after the first epoch, 1 after the last, evenly in the logarithm of epochs.
        trial: Its number; -1 for one that there is not yet.
        value: The log loss.
    """

    point: tuple[float, ...]
    t: float
    trial: int = -1
    value: float = 0.0


class Columns:
    """Rows as arrays.

    Args:
        rows: At least one.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        self.points, self.t, self.trials, self.values = (np.array(column) for column in zip(*rows, strict=True))

    @cached_property
    def course(self) -> Array:
        """How alike the times of any two rows are, which no fit changes."""
        return _course(self, self)


class Process:
    """The process after it has seen some rows.

    Args:
        rows: What was reported, at least one.
        logs: Logarithms of the length of each parameter, and of the five deviations.
    """

    def __init__(self, rows: Sequence[Row], logs: Array) -> None:
        self._seen, self._logs = Columns(rows), logs
        covariance, _ = _covariance(self._seen, self._seen, self._seen.course, logs)
        self._factor = np.linalg.cholesky(covariance + np.exp(2 * logs[-1]) * np.eye(len(rows)))
        self._weights = cho_solve((self._factor, True), self._seen.values)

    def predict(self, rows: Sequence[Row]) -> tuple[Array, Array]:
        """Mean and standard deviation of the log loss, without noise, of each of these places."""
        places = Columns(rows)
        shared, _ = _covariance(self._seen, places, _course(self._seen, places), self._logs)
        known = solve_triangular(self._factor, shared, lower=True)
        prior = LEVEL + SLOPE * places.t**2 + BEND + np.exp(2 * self._logs[-5:-1]).sum()
        return shared.T @ self._weights, np.sqrt(np.maximum(prior - (known**2).sum(0), 0.0))


@lru_cache(maxsize=8)
def process_of(rows: tuple[Row, ...]) -> Process:
    """The process of rows, fitted to the first ones of them: as many as the largest of ``SIZES`` allows."""
    return Process(seen_of(rows), logs_of(rows))


def logs_of(rows: tuple[Row, ...]) -> Array:
    """The logarithms that suit rows, see ``Process``: the prior's medians as long as there are too few to fit them."""
    size = max((size for size in SIZES if size <= len(rows)), default=0)
    return fitted(rows[:size]) if size else _medians(len(rows[0].point))


def seen_of(rows: Sequence[Row]) -> Sequence[Row]:
    """Of too many rows those of the trials that have come furthest, and of equals the best."""
    if len(rows) <= MOST_ROWS:
        return rows
    furthest: dict[int, tuple[float, float]] = {}
    for row in rows:
        furthest[row.trial] = min((-row.t, row.value), furthest.get(row.trial, (0.0, np.inf)))
    return sorted(rows, key=lambda row: furthest[row.trial])[:MOST_ROWS]


@lru_cache(maxsize=len(SIZES))
def fitted(rows: tuple[Row, ...]) -> Array:
    """The most probable logarithms; the search for them begins at the prior's medians."""
    start, seen = _medians(len(rows[0].point)), Columns(rows)
    least = np.maximum(start - FURTHEST, np.where(np.arange(len(start)) < len(start) - 5, -np.inf, np.log(LEAST)))
    bounds, options = np.column_stack([least, start + FURTHEST]), {"maxiter": STEPS}
    found = minimize(partial(improbability, seen), start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return np.asarray(found.x)


def improbability(seen: Columns, logs: Array) -> tuple[float, Array]:
    """The negative logarithm of how probable the logarithms are by rows and prior, up to a constant; its gradient.

    Args:
        seen: The rows.
        logs: As of ``Process``.
    """
    lengths, variances = np.exp(logs[:-5]), np.exp(2 * logs[-5:])
    covariance, parts = _covariance(seen, seen, seen.course, logs)
    parts.append(np.eye(len(seen.t)))  # that of the noise
    factor = np.linalg.cholesky(covariance + variances[-1] * parts[-1])
    inverse = cho_solve((factor, True), parts[-1])
    weights = inverse @ seen.values
    away = (logs - _medians(len(lengths))) / SPREAD
    value = seen.values @ weights / 2 + np.log(np.diag(factor)).sum() + away @ away / 2
    slope = (inverse - np.outer(weights, weights)) / 2  # of the value by each element of the covariance
    scaled = seen.points / lengths
    by_square = slope * _matern_slope(cdist(scaled, scaled)) * (variances[0] + variances[1] * seen.course)
    by_length = 2 * ((scaled**2).T @ by_square.sum(1) - np.einsum("ik,ij,jk->k", scaled, by_square, scaled))
    by_deviation = [2 * variance * (slope * part).sum() for variance, part in zip(variances, parts, strict=True)]
    return float(value), np.concatenate([by_length, by_deviation]) + away / SPREAD


def _covariance(a: Columns, b: Columns, course: Array, logs: Array) -> tuple[Array, list[Array]]:
    """The covariance without noise, and what the first four variances are multiplied with."""
    same = (a.trials[:, None] == b.trials) * 1.0
    near = _matern(cdist(a.points / np.exp(logs[:-5]), b.points / np.exp(logs[:-5])))
    parts = [near, near * course, same, same * course]
    common = LEVEL + SLOPE * np.outer(a.t, b.t) + BEND * course
    return common + sum(np.exp(2 * log) * part for log, part in zip(logs[-5:-1], parts, strict=True)), parts


def _course(a: Columns, b: Columns) -> Array:
    return _matern(np.abs(a.t[:, None] - b.t) / LENGTH_T)


def _matern(distances: Array) -> Array:
    """The Matern kernel with nu = 5/2."""
    root = np.sqrt(5) * distances
    return np.asarray((1 + root + root**2 / 3) * np.exp(-root))


def _matern_slope(distances: Array) -> Array:
    """Its slope by the logarithm of a length, over the squared distance along that."""
    root = np.sqrt(5) * distances
    return np.asarray(5 / 3 * (1 + root) * np.exp(-root))


def _medians(parameters: int) -> Array:
    """The prior's medians, as logarithms."""
    return np.log([LENGTH * np.sqrt(parameters)] * parameters + [*DEVIATIONS])
