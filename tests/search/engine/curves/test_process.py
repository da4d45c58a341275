import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, DotProduct, Kernel, Matern, WhiteKernel

from ndvq_tune.search.engine.curves import process as module
from ndvq_tune.search.engine.curves.process import (
    BEND,
    DEVIATIONS,
    LEAST,
    LENGTH_T,
    LEVEL,
    SIZES,
    SLOPE,
    Columns,
    Process,
    Row,
    fitted,
    improbability,
    process_of,
    seen_of,
)

LOGS = np.log([0.4, 0.9, 0.5, 0.3, 0.2, 0.1, 0.05])  # two lengths, then the deviations of level, course, ..., noise


class On(Kernel):  # type: ignore[misc]
    """A kernel of scikit-learn's on some columns."""

    def __init__(self, kernel, columns):
        self.kernel, self.columns = kernel, columns

    def __call__(self, x, y=None, eval_gradient=False):
        return self.kernel(x[:, self.columns], None if y is None else y[:, self.columns])

    def diag(self, x):
        return self.kernel.diag(x[:, self.columns])

    def is_stationary(self):
        return False


def rows_of(count: int, seed: int = 0, trials: int = 4) -> tuple[Row, ...]:
    """Reports at random places, several of each trial."""
    random = np.random.default_rng(seed)
    points = random.random((trials, 2))
    numbers = random.integers(trials, size=count)
    return tuple(Row(tuple(points[n].tolist()), random.random(), int(n), random.normal(-1, 0.5)) for n in numbers)


def table(rows) -> np.ndarray:
    return np.array([(*row.point, row.t, row.trial) for row in rows])


def reference(logs) -> Kernel:
    """The kernel as the docstring of the module has it, out of scikit-learn's parts."""
    a, b, c, d, noise = (ConstantKernel(variance) for variance in np.exp(2 * logs[2:]))
    course = On(Matern(LENGTH_T, nu=2.5), [2])
    points = On(Matern(np.exp(logs[:2]), nu=2.5), [0, 1])
    same = On(Matern(1e-3, nu=2.5), [3])  # whole numbers a thousand lengths apart have nothing to do with each other
    line = ConstantKernel(SLOPE) * On(DotProduct(sigma_0=0.0), [2])
    common = ConstantKernel(LEVEL) + line + ConstantKernel(BEND) * course
    return common + points * (a + b * course) + same * (c + d * course) + noise * WhiteKernel(1.0)


def test_predictions_are_those_of_scikit_learns_process_with_the_same_kernel():
    seen, asked = rows_of(12), rows_of(9, seed=1)
    known = [Row(seen[0].point, 1.0, seen[0].trial)]
    places = [*(row._replace(trial=-1) for row in asked), *known]
    model = GaussianProcessRegressor(reference(LOGS), optimizer=None, alpha=0.0)
    model.fit(table(seen), [row.value for row in seen])
    mean, covariance = model.predict(table(places), return_cov=True)
    without_noise = np.sqrt(np.diag(covariance) - np.exp(2 * LOGS[-1]))
    found = Process(seen, LOGS).predict(places)
    np.testing.assert_allclose(found[0], mean, rtol=1e-6)
    np.testing.assert_allclose(found[1], without_noise, rtol=1e-5)


def test_improbability_is_the_density_of_the_values_and_of_the_prior():
    rows, prior = rows_of(10), np.log([np.sqrt(2)] * 2 + [*DEVIATIONS])

    def expected(logs):
        values = multivariate_normal(np.zeros(10), reference(logs)(table(rows))).logpdf([row.value for row in rows])
        return -values - multivariate_normal(prior, 0.5**2 * np.eye(7)).logpdf(logs)

    found = improbability(Columns(rows), LOGS + 0.1)[0] - improbability(Columns(rows), LOGS)[0]
    assert found == pytest.approx(expected(LOGS + 0.1) - expected(LOGS), rel=1e-8)


def test_the_gradient_is_that_of_finite_differences():
    seen, step = Columns(rows_of(15)), 1e-5
    differences = [
        (improbability(seen, LOGS + side)[0] - improbability(seen, LOGS - side)[0]) / (2 * step)
        for side in step * np.eye(len(LOGS))
    ]
    np.testing.assert_allclose(improbability(seen, LOGS)[1], differences, rtol=1e-6)


def test_a_fit_is_where_the_density_is_highest():
    rows = rows_of(40)
    value, gradient = improbability(Columns(rows), found := fitted(rows))
    inside = found > np.log(LEAST) + 1e-9
    assert np.abs(gradient[inside]).max() < 0.01
    assert all(improbability(Columns(rows), found + side)[0] > value for side in 0.2 * np.eye(len(found)))


def test_losses_of_any_size_are_fitted():
    rows = tuple(row._replace(value=row.value * 1e3) for row in rows_of(20))
    assert np.isfinite(process_of(rows).predict(rows)).all()


def test_a_fit_finds_the_parameter_that_matters():
    random = np.random.default_rng(0)
    points = random.random((60, 3))
    rows = tuple(Row(tuple(p), 0.5, n, float(np.sin(6 * p[1]))) for n, p in enumerate(points.tolist()))
    lengths = np.exp(fitted(rows)[:3])
    assert lengths[1] < lengths[[0, 2]].min() / 2
    mean, _ = process_of(rows).predict([Row((0.5, x, 0.5), 0.5) for x in (0.2, 0.5, 0.8)])
    np.testing.assert_allclose(mean, np.sin([1.2, 3.0, 4.8]), atol=0.1)


def test_the_process_is_fitted_again_only_where_a_size_is_reached():
    rows = rows_of(SIZES[1])
    before = [process_of(rows[:count])._logs for count in range(SIZES[0], SIZES[1])]
    assert all((logs == before[0]).all() for logs in before)
    assert (process_of(rows)._logs != before[0]).any()
    assert (process_of(rows[: SIZES[0] - 1])._logs == np.log([np.sqrt(2)] * 2 + [*DEVIATIONS])).all()


def test_of_too_many_rows_those_are_seen_that_came_furthest_and_are_best_by_what_all_have_fitted(monkeypatch):
    monkeypatch.setattr(module, "MOST_ROWS", 4)
    rows = (*(Row((0.1 * n,), 0.0, n, value) for n, value in enumerate((3.0, 1.0, 2.0))), Row((0.5,), 0.0, 3, 9.0))
    assert seen_of(rows) == rows
    longer = (*rows, Row((0.5,), 0.5, 3, 8.0))
    assert [(row.trial, row.t) for row in seen_of(longer)] == [(3, 0.0), (3, 0.5), (1, 0.0), (2, 0.0)]
    many = rows_of(SIZES[1] - 1)
    process_of.cache_clear()
    assert (process_of(many)._logs == fitted(many[: SIZES[0]])).all()
    assert len(process_of(many)._seen.t) == 4
