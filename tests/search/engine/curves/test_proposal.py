import math
import random

import numpy as np
import pytest

from ndvq_tune.search.engine.curves.forecast import Curves, Forecast
from ndvq_tune.search.engine.curves.improvement import below, beyond_front
from ndvq_tune.search.engine.curves.promotion import merits
from ndvq_tune.search.engine.curves.proposal import proposed
from ndvq_tune.search.engine.drawing import Drawing
from tests.search.engine.curves.curve_examples import BEST_BETA, SMALL, bits_of, curve, params_of
from tests.search.search_examples import space_of

BETAS = (0.06, 0.1, 0.2, 0.4, 0.7, 1.2, 1.9)
FRONT = space_of(search={"objectives": [{"metric": m, "mode": "min"} for m in ("recon_loss", "bits_per_element")]})


def known(params):
    return {"bits_per_element": bits_of(params)}


def nothing(params):
    return 0.0


def choose(space, records, known=known, seed=0, believed=nothing):
    forecast = Forecast(Curves(space, [1, 3, 9]), records)
    bits = {record.number: record.metrics["bits_per_element"] for record in records} if space is FRONT else None
    found = merits(forecast.records, forecast.losses, bits, space.search.goals)
    return proposed(forecast, found, Drawing(space), known, believed, random.Random(seed)), forecast


def few(space, codes=(32,), epochs=9):
    return [
        curve(number, params_of(beta, codes[number % len(codes)]), epochs, space) for number, beta in enumerate(BETAS)
    ]


@pytest.mark.parametrize("space", [SMALL, FRONT], ids=["loss", "front"])
def test_of_all_candidates_the_one_that_promises_most_for_its_cost(space):
    records, asked = few(space, codes=(16, 64)), []

    def noted(params):
        asked.append(params)
        return known(params)

    points, forecast = choose(space, records, noted)
    mean, deviation = forecast.of(asked)
    losses = [math.exp(forecast.losses[record.number]) for record in records]
    if space is FRONT:
        found = [(record.metrics["bits_per_element"], loss) for record, loss in zip(records, losses, strict=True)]
        gain = beyond_front(mean, deviation, np.array([bits_of(params) for params in asked]), found)
    else:
        gain = below(mean, deviation, min(losses))
    worth = gain / forecast.seconds(asked) ** 0.5
    assert points == [asked[index] for index in np.argsort(-worth, kind="stable")]
    assert len(asked) == 300


def test_what_is_ruled_out_is_not_proposed():
    points, _ = choose(SMALL, few(SMALL), lambda params: known(params) if params["model.n_codes"] == 16 else None)
    assert {point["model.n_codes"] for point in points} == {16}
    assert choose(SMALL, few(SMALL), lambda params: None)[0] == []


def test_what_is_believed_of_a_point_multiplies_what_it_promises():
    def believed(params):
        return math.log(0.1) if params["model.n_codes"] == 16 else 0.0

    records = few(SMALL, codes=(16, 64))
    points, forecast = choose(SMALL, records, believed=believed)
    bound = min(math.exp(forecast.losses[record.number]) for record in records)
    weights = np.array([0.1 if point["model.n_codes"] == 16 else 1.0 for point in points])
    mean, deviation = forecast.of(points)
    worth = weights * below(mean, deviation, bound) / forecast.seconds(points) ** 0.5
    assert worth.tolist() == sorted(worth, reverse=True)
    assert points != choose(SMALL, records)[0]


def test_it_looks_where_losses_are_low():
    betas = [choose(SMALL, few(SMALL), seed=seed)[0][0]["model.codebook_beta"] for seed in range(5)]
    assert all(BEST_BETA / 2.5 < beta < BEST_BETA * 2.5 for beta in betas)


def test_what_breaks_a_constraint_has_found_nothing():
    constrained = space_of(search={"constraints": [{"metric": "codebook_usage", "at_least": 0.5}]})
    dead = curve(7, params_of(BEST_BETA, codes=64), 9, constrained, codebook_usage=0.1, recon_loss=1e-3)
    records = [*few(constrained), dead]
    forecast = Forecast(Curves(constrained, [1, 3, 9]), records)
    found = merits(forecast.records, forecast.losses, None, constrained.search.goals)
    asked = []

    def noted(params):
        asked.append(params)
        return {}

    best, *_ = proposed(forecast, found, Drawing(constrained), noted, nothing, random.Random(0))
    least = min(math.exp(forecast.losses[record.number]) for record in records[:-1])
    gain = below(*forecast.of(asked), least) / forecast.seconds(asked) ** 0.5
    assert best == asked[gain.argmax()]
    assert math.exp(forecast.losses[7]) < least / 10
