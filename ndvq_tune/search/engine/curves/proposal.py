"""What to try next."""

import random as randomness
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ndvq_tune.search.engine.curves.forecast import Forecast
from ndvq_tune.search.engine.curves.improvement import below, beyond_front
from ndvq_tune.search.engine.curves.promotion import Merit
from ndvq_tune.search.engine.drawing import Drawing

DRAWS, NEAR = 200, 100  # candidates drawn from the whole space, and near the best trials
BEST = 5

Params = Mapping[str, Any]
Known = Callable[[Params], Mapping[str, float] | None]
"""What is known of a point before it is trained; None for one that is ruled out or was tried."""


def proposed(
    forecast: Forecast,
    merits: Mapping[int, Merit],
    drawing: Drawing,
    known: Known,
    believed: Callable[[Params], float],
    random: randomness.Random,
) -> list[Params]:
    """Candidates in order of how much they are expected to improve on what was found, over the root of what they cost.

    What the user believes weighs this.

    Args:
        forecast: What the model expects.
        merits: How good its trials are; those that break a constraint found nothing, unless all do.
        drawing: Draws candidates.
        known: What is known of a candidate.
        believed: The logarithm of the weight that a candidate has beforehand.
        random: Where chance comes from.

    Returns:
        The points that are not ruled out, best first; none if no trial is sound.
    """
    curves, trials = forecast.curves, forecast.records
    best = sorted(trials, key=lambda record: (merits[record.number], record.number))[:BEST]
    if not best:
        return []
    candidates = [drawing.anywhere(random) for _ in range(DRAWS)]
    candidates += [drawing.near(random.choice(best).params, random) for _ in range(NEAR)]
    allowed = [(point, metrics) for point in candidates if (metrics := known(point)) is not None]
    if not allowed:
        return []
    points = [point for point, _ in allowed]
    mean, deviation = forecast.of(points)
    kept = [record for record in trials if not merits[record.number][0]] or trials
    losses = np.exp([forecast.losses[record.number] for record in kept])
    if curves.known:
        bits = np.array([curves.bits(metrics) for _, metrics in allowed])
        found = zip([curves.bits(record.metrics) for record in kept], losses.tolist(), strict=True)
        gain = beyond_front(mean, deviation, bits, list(found))
    else:
        gain = below(mean, deviation, losses.min())
    gain = gain * np.exp([believed(point) for point in points])
    order = np.argsort(-gain / np.sqrt(forecast.seconds(points)), kind="stable")
    return [points[index] for index in order]
