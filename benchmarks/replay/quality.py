"""``python -m benchmarks.replay.quality``: how well each bed predicts trainings that it has not learned from."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table
from scipy.stats import spearmanr
from sklearn.model_selection import KFold

from benchmarks.replay.beds import TABLE
from benchmarks.replay.encoding import Params
from benchmarks.replay.lookup import Lookup
from benchmarks.replay.surrogate import MODELS, Surrogate
from benchmarks.replay.table import DATA, Curve, load_curves, load_space, noise_of, recorded

FOLDS = 10
LEAST = 5  # curves of one rate, for a rank correlation among them
Fit = Callable[[Sequence[Curve]], Callable[[Params], Curve]]


@dataclass(frozen=True)
class Quality:
    """How predicted curves agree with recorded ones.

    Attributes:
        rank_correlation: Spearman's, of both final losses, over all curves.
        within_rate: The same among curves of one rate, the mean over rates: without what the rate alone explains.
        loss_error: Median relative error of the final loss.
        cost_error: Median relative error of a training's cost.
    """

    rank_correlation: float
    within_rate: float
    loss_error: float
    cost_error: float


def quality(curves: Sequence[Curve], fit: Fit) -> Quality:
    """Predict each tenth of the curves from the others."""
    pairs: list[tuple[Curve, Curve]] = []
    for known, left_out in KFold(FOLDS, shuffle=True, random_state=0).split(curves):
        predict = fit([curves[index] for index in known])
        pairs += [(curves[index], predict(curves[index].params)) for index in left_out]
    rates: dict[float, list[tuple[Curve, Curve]]] = {}
    for pair in pairs:
        rates.setdefault(pair[0].bits, []).append(pair)
    return Quality(
        rank_correlation=_rank_correlation(pairs),
        within_rate=float(np.mean([_rank_correlation(group) for group in rates.values() if len(group) >= LEAST])),
        loss_error=float(np.median([abs(predicted.final / curve.final - 1) for curve, predicted in pairs])),
        cost_error=float(np.median([abs(predicted.seconds[-1] / curve.seconds[-1] - 1) for curve, predicted in pairs])),
    )


def beds(data: str) -> Mapping[str, Fit]:
    """How each bed learns from curves."""
    space = load_space(data)
    surrogates = {name: partial(Surrogate, space, model=model, noise=0.0) for name, model in MODELS.items()}
    return {**surrogates, TABLE: partial(Lookup, space)}


def _rank_correlation(pairs: Sequence[tuple[Curve, Curve]]) -> float:
    return float(spearmanr([curve.final for curve, _ in pairs], [other.final for _, other in pairs]).statistic)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", choices=recorded(), default=DATA[0])
    data = parser.parse_args().data
    curves = load_curves(data)
    title = f"{data}: {len(curves)} curves in {FOLDS} folds; {noise_of(data):.1%} between seeds"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("bed", "rank correlation", "within a rate", "median error of the loss", "of the cost"):
        table.add_column(column)
    for name, fit in beds(data).items():
        found = quality(curves, fit)
        errors = (f"{error:.1%}" for error in (found.loss_error, found.cost_error))
        table.add_row(name, f"{found.rank_correlation:.2f}", f"{found.within_rate:.2f}", *errors)
    Console().print(table)


if __name__ == "__main__":
    main()
