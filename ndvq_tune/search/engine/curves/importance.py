"""Which parameters mattered, by the model of learning curves: so trials that were stopped early count as well."""

import random as randomness
from collections.abc import Sequence
from typing import Any

import numpy as np

from ndvq_tune.metrics import METRICS
from ndvq_tune.records import Importance, TrialRecord
from ndvq_tune.search.engine.curves.decisions import Decisions, one_thread
from ndvq_tune.search.engine.curves.process import Array, Process, Row, logs_of, seen_of
from ndvq_tune.search.engine.curves.proposal import Known
from ndvq_tune.search.engine.drawing import Drawing
from ndvq_tune.search.space import SearchSpace

POINTS = 400
PARTS = 5  # of the trials, each left out once, for the interval
FEWEST = 10  # trials: of fewer nothing is said
BINS = 8  # of a range


def importances(space: SearchSpace, records: Sequence[TrialRecord], known: Known) -> tuple[Importance, ...]:
    """The share of the differences in final loss that each parameter explains by itself (Sobol', 1993: first order).

    The loss is what the model expects of random points that are allowed, as a logarithm. With a second objective that
    is known before training, what that alone foretells of it is taken out first, so that these are shares at an equal
    rate. A conditional parameter is judged where it counts. Intervals are of the jackknife over fifths of the trials.

    Args:
        space: The space.
        records: The trials.
        known: What is known of a point before it is trained; None for one that is ruled out.

    Returns:
        The largest share first; nothing where fewer than 10 trials can teach the model, no objective is learned, or
        trials begin with smaller samples, whose losses are of another task.
    """
    if all(METRICS[name].constant for name in space.search.goals.metrics) or space.search.fidelity.stages > 1:
        return ()
    curves = Decisions(space).curves
    rows = curves.rows([record for record in records if record.role.searches])
    if len({row.trial for row in rows}) < FEWEST:
        return ()
    random, drawing = randomness.Random(space.search.seed), Drawing(space)
    drawn = [(point, known(point)) for point in (drawing.anywhere(random) for _ in range(POINTS))]
    allowed = [(point, metrics) for point, metrics in drawn if metrics is not None]
    if len(allowed) < FEWEST:
        return ()
    points = [point for point, _ in allowed]
    level = np.log(np.abs([curves.bits(metrics) or 1.0 for _, metrics in allowed]))  # all 0 without such an objective
    with one_thread():
        whole, *parts = [_at_equal(losses, level) for losses in _losses(rows, [curves.last(point) for point in points])]
    found = []
    for parameter in space.searched:
        column = [point.get(parameter.key) for point in points]
        share, left_out = _share(column, whole), np.array([_share(column, part) for part in parts])
        margin = 2 * float(np.sqrt((PARTS - 1) / PARTS * ((left_out - left_out.mean()) ** 2).sum()))
        found.append(Importance(parameter.key, share, max(0.0, share - margin), min(1.0, share + margin)))
    return tuple(sorted(found, key=lambda importance: -importance.share))


def _losses(rows: tuple[Row, ...], places: Sequence[Row]) -> list[Array]:
    """What the model expects at places, after all rows, and after those without each part of the trials."""
    seen, logs = seen_of(rows), logs_of(rows)
    without = ([row for row in seen if row.trial % PARTS != part] for part in range(PARTS))
    return [Process(some, logs).predict(places)[0] for some in (seen, *without)]


def _at_equal(losses: Array, level: Array) -> Array:
    """Losses less what a parabola over the level foretells of them; a line or their mean, where levels are too few."""
    degree = min(2, len(set(level.tolist())) - 1)
    return np.asarray(losses - np.polyval(np.polyfit(level, losses, degree), level))


def _share(column: Sequence[Any], losses: Array) -> float:
    """The variance between the groups of a parameter's values over all of it, less what chance would give (omega^2)."""
    there = [value is not None for value in column]
    values, losses = [value for value in column if value is not None], losses[there]
    groups = _groups(values)
    count, kinds = len(losses), len(set(groups))
    total = float(((losses - losses.mean()) ** 2).sum())
    if kinds < 2 or count <= kinds or total == 0:
        return 0.0
    within = sum(float(losses[groups == group].var() * (groups == group).sum()) for group in set(groups))
    noise = within / (count - kinds)
    return max(0.0, (total - within - (kinds - 1) * noise) / (total + noise))


def _groups(values: Sequence[Any]) -> Any:
    """A group a value; of a number of many values, of about as many each."""
    names = np.array([repr(value) for value in values])
    if len(set(names)) <= BINS or not all(isinstance(value, int | float) for value in values):
        return names
    return np.argsort(np.argsort(values)) * BINS // len(values)
