"""A smooth stand-in for training: models of a recorded table, which know a curve for every configuration of the space.

The curves of log loss are reduced to their principal components, and a regressor learns how these depend on the
parameters, another one what a training costs (surrogate benchmarks; Eggensperger et al., 2015). Two kinds of
regressors, so that no strategy wins by sharing the assumptions of one.
"""

import warnings
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.optimize import minimize
from sklearn.compose import TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from benchmarks.replay.encoding import Params, bits_of, point
from benchmarks.replay.table import Curve
from ndvq_tune.search.space import SearchSpace

COMPONENTS = 4  # they leave 0.8% of the final loss unexplained on the video table, 2% of all losses
COST_COMPONENTS = 2
STEPS = 20  # of a kernel's fit; with more, beds take longer to make and predict no better
TREES = 100
Model = Callable[[int], Any]


def gaussian_process(dimensions: int) -> Any:
    """A Gaussian process an output, with a length scale a coordinate."""
    kernel = ConstantKernel() * Matern(np.ones(dimensions), (0.1, 100), nu=2.5) + WhiteKernel(0.1, (1e-4, 1))
    return MultiOutputRegressor(GaussianProcessRegressor(kernel, optimizer=_fitted_kernel, normalize_y=True))


def _fitted_kernel(objective: Any, start: Any, bounds: Any) -> tuple[Any, float]:
    found = minimize(objective, start, jac=True, bounds=bounds, method="L-BFGS-B", options={"maxiter": STEPS})
    return found.x, found.fun


class _Trees(ExtraTreesRegressor):  # type: ignore[misc]  # scikit-learn has no types
    """Asked of few points at a time, where to start scikit-learn's threads takes most of the time."""

    def predict(self, X: Any) -> Any:  # noqa: N803
        """The mean of all trees."""
        points = np.asarray(X, dtype=np.float32)
        return np.mean([tree.predict(points, check_input=False) for tree in self.estimators_], axis=0)


def extra_trees(dimensions: int) -> Any:
    """Extremely randomised trees (Geurts et al., 2006), of any number of coordinates."""
    return _Trees(TREES, random_state=0)


MODELS: Mapping[str, Model] = {"gp": gaussian_process, "et": extra_trees}


class Surrogate:
    """Gives the curve that a configuration would have.

    Args:
        space: The space of all configurations.
        curves: The recorded ones, all of the same length.
        model: Makes a regressor for points of so many dimensions.
        noise: Standard deviation of the logarithm of the loss between trainings that differ in their seed alone.
    """

    def __init__(self, space: SearchSpace, curves: Sequence[Curve], model: Model, noise: float) -> None:
        self._space, self._curves, self._noise = space, curves, noise
        self._points = self._encoded([curve.params for curve in curves])
        self._losses = self._fitted(model, COMPONENTS, [curve.losses for curve in curves])
        self._epochs = self._fitted(model, COST_COMPONENTS, [np.diff(curve.seconds, prepend=0) for curve in curves])

    def __call__(self, params: Params) -> Curve:
        """What its training would report: the noise is the same whenever a configuration is asked for."""
        (curve,) = self.expected([params])
        generator = np.random.default_rng(zlib.crc32(repr(sorted(params.items())).encode()))
        return curve.with_noise(float(np.exp(self._noise * generator.standard_normal())))

    def expected(self, many: Sequence[Params]) -> list[Curve]:
        """Curves without noise. What is neither loss, rate nor time is that of the nearest recorded curve."""
        points = self._encoded(many)
        losses, seconds = self._losses.predict(points), self._epochs.predict(points).cumsum(axis=1)
        nearest = [self._curves[int(np.abs(self._points - one).sum(axis=1).argmin())] for one in points]
        return [_curve(*parts) for parts in zip(many, nearest, losses.tolist(), seconds.tolist(), strict=True)]

    def _fitted(self, model: Model, components: int, values: Sequence[Any]) -> Any:
        """A model of the logarithm of values over time."""
        logs = FunctionTransformer(np.log, np.exp, check_inverse=False)
        transformer = make_pipeline(logs, PCA(components, whiten=True, svd_solver="full"))
        regressor = model(self._points.shape[1])
        fitted = TransformedTargetRegressor(regressor, transformer=transformer, check_inverse=False)
        with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):  # of what hardly counts
            return fitted.fit(self._points, np.array(values))

    def _encoded(self, many: Sequence[Params]) -> Any:
        return np.array([point(self._space, params) for params in many])


def _curve(params: Params, nearest: Curve, losses: Sequence[float], seconds: Sequence[float]) -> Curve:
    reports = [
        {**report, "recon_loss": loss, "bits_per_element": bits_of(params)}
        for report, loss in zip(nearest.reports, losses, strict=True)
    ]
    return replace(nearest, params=params, seconds=tuple(seconds), reports=tuple(reports))
