import math
import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from ndvq_tune.records import Importance, TrialRecord
from ndvq_tune.search.engine.curves.importance import FEWEST, importances
from ndvq_tune.search.engine.drawing import Drawing
from ndvq_tune.search.space import SearchSpace
from tests.search.engine.curves.curve_examples import BEST_BETA, bits_of, curve
from tests.search.search_examples import TWO_OBJECTIVES, space_of

RATE = space_of(search={**TWO_OBJECTIVES, "constraints": []})


def known(params: Mapping[str, Any]) -> dict[str, float]:
    return {"bits_per_element": bits_of(dict(params))}


def trials(space: SearchSpace, count: int, epochs: int = 9) -> list[TrialRecord]:
    drawing, rng = Drawing(space), random.Random(1)
    return [curve(number, drawing.anywhere(rng), epochs, space) for number in range(count)]


def by_key(found: tuple[Importance, ...]) -> dict[str, Importance]:
    return {importance.key.removeprefix("model."): importance for importance in found}


def exact() -> dict[str, float]:
    """The shares of the invented loss in closed form: of bits, which are a product, and of beta by itself."""
    bits = np.array([[math.log2(codes) / factor for factor in (4, 8, 32)] for codes in (16, 32, 64)])
    beta = 0.2 * np.log(np.geomspace(0.05, 2.0, 2001) / BEST_BETA) ** 2
    parts = {
        "n_codes": (0.5 * bits.mean(1)).var(),
        "downsample": (0.5 * bits.mean(0)).var(),
        "codebook_beta": beta.var(),
    }
    total = (0.5 * bits).var() + beta.var()
    return {name: float(part / total) for name, part in parts.items()}


def test_shares_are_those_of_the_loss_and_nothing_else_has_one() -> None:
    found = by_key(importances(space_of(), trials(space_of(), 60), lambda params: {}))
    for name, share in exact().items():
        assert found[name].share == pytest.approx(share, abs=0.08)
    assert found["downsample"].share > found["codebook_beta"].share > found["n_codes"].share
    assert found["attention.type"].share < 0.05
    assert found["attention.n_head"].share < 0.05


def test_at_an_equal_rate_only_beta_is_left() -> None:
    found = importances(RATE, trials(RATE, 60), known)
    assert found[0].key == "model.codebook_beta"
    assert found[0].share > 0.8
    assert all(importance.share < 0.1 for importance in found[1:])


def test_few_trials_leave_wide_intervals_around_what_many_show() -> None:
    few, many = (by_key(importances(RATE, trials(RATE, count), known))["codebook_beta"] for count in (12, 60))
    assert few.high - few.low > 2 * (many.high - many.low)
    assert few.low <= many.share <= few.high
    assert 0 <= few.low <= few.share <= few.high <= 1


def test_trials_that_were_stopped_early_count() -> None:
    found = importances(RATE, trials(RATE, 60, epochs=1), known)
    assert found[0].key == "model.codebook_beta"


def test_points_that_are_ruled_out_are_left_out() -> None:
    found = importances(RATE, trials(RATE, 60), lambda params: None if params["model.n_codes"] == 16 else known(params))
    assert found[0].key == "model.codebook_beta"
    assert math.isfinite(found[0].share)


SILENT = {
    "few trials": (FEWEST - 1, {}),
    "no loss": (60, {"objectives": [{"metric": "parameters", "mode": "min"}]}),
    "small samples first": (60, {"fidelity": {"clip_length": [2, 4], "promote_after": [3]}}),
}


@pytest.mark.parametrize("name", SILENT)
def test_nothing_is_said_of(name: str) -> None:
    count, search = SILENT[name]
    space = space_of(search=search)
    assert importances(space, trials(space, count), known) == ()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("rates", [1, 2])
def test_few_rates_are_held_equal_without_a_warning(rates: int) -> None:
    found = importances(
        RATE, trials(RATE, 30), lambda params: {"bits_per_element": 0.1 * (1 + len(str(params)) % rates)}
    )
    assert len(found) == len(RATE.searched)


def test_a_space_of_which_nothing_is_allowed_has_none() -> None:
    assert importances(RATE, trials(RATE, 20), lambda params: None) == ()
