"""Records of a search whose losses are a known function of the parameters, without any training."""

import math
from typing import Any

from ndvq_tune.records import TrialRecord
from ndvq_tune.search.space import SearchSpace
from tests.search.search_examples import report, space_of

SMALL = space_of()
BEST_BETA = 0.3


def bits_of(params: dict[str, Any]) -> float:
    return math.log2(params["model.n_codes"]) / math.prod(params["model.downsample"])


def params_of(beta: float = BEST_BETA, codes: int = 32, downsample: tuple[int, ...] = (2, 2, 2)) -> dict[str, Any]:
    chosen = {"model.n_codes": codes, "model.downsample": list(downsample), "model.codebook_beta": beta}
    return chosen | {"model.attention.type": "none"}


def loss_at(params: dict[str, Any], epoch: int) -> float:
    """Falls with the epochs, and with the bits; lowest at the best beta."""
    beyond = math.log(params["model.codebook_beta"] / BEST_BETA) ** 2
    return math.exp(-0.5 - 0.5 * bits_of(params) + 0.2 * beyond - 0.4 * math.log(epoch))


def curve(
    number: int, params: dict[str, Any], epochs: int, space: SearchSpace = SMALL, **metrics: float
) -> TrialRecord:
    """A trial so far; its reports come one a second, after those of trials with lower numbers."""
    reports = tuple(
        report(epoch, loss_at(params, epoch), bits_per_element=bits_of(params))
        | {"seconds": 100.0 * number + epoch, "samples_per_second": 10.0 * params["model.downsample"][0]}
        | metrics
        for epoch in range(1, epochs + 1)
    )
    return TrialRecord(number, params, space.complete(params), reports=reports)
