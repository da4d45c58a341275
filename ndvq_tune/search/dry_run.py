"""What a search would do, without doing it."""

from collections.abc import Callable
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from ndvq_tune.config import RunConfig
from ndvq_tune.data import sample_shape
from ndvq_tune.model import NDimVQVAE, build_model
from ndvq_tune.records import short_name
from ndvq_tune.search.lanes import LanePlan
from ndvq_tune.search.space import SearchSpace
from ndvq_tune.training.evaluation import static_metrics

Measure = Callable[[dict[str, float]], float]

EXTREMES: dict[str, Measure] = {
    "fewest parameters": lambda metrics: metrics["parameters"],
    "most parameters": lambda metrics: -metrics["parameters"],
    "lowest rate": lambda metrics: metrics["bits_per_element"],
    "highest rate": lambda metrics: -metrics["bits_per_element"],
}


def print_dry_run(space: SearchSpace, plan: LanePlan, console: Console) -> None:
    """Print the resolved space, the lanes, and the models at the extremes of the space."""
    console.print(space.to_yaml(), highlight=False, markup=False, soft_wrap=True)
    console.print(f"{space.search.trials} trials on {plan.describe()} (of this machine)\n", highlight=False)
    table = Table("extreme", "parameters", "latents", "bits/element", "where", box=None, pad_edge=False)
    for name, measure in EXTREMES.items():
        chosen = extreme(space, measure)
        model = _meta_model(space.complete(chosen))
        metrics = static_metrics(model)
        table.add_row(
            name,
            f"{int(metrics['parameters']):,}",
            " x ".join(map(str, model.latent_shape)),
            f"{metrics['bits_per_element']:.4f}",
            ", ".join(f"{short_name(key)} {value}" for key, value in chosen.items()),
        )
    console.print(table)


def extreme(space: SearchSpace, measure: Measure) -> dict[str, Any]:
    """The values for which a measure of the model is smallest, found one parameter after the other.

    That is exact where parameters do not work against each other, as in sizes and rates. Parameters that change
    nothing are left out.
    """
    chosen: dict[str, Any] = {}
    for parameter in space.searched:
        if not space.active(parameter, chosen):
            continue
        values = parameter.distribution.probes
        measured = [
            measure(static_metrics(_meta_model(space.complete(chosen | {parameter.key: value})))) for value in values
        ]
        if min(measured) < max(measured):
            chosen[parameter.key] = values[measured.index(min(measured))]
    return chosen


def _meta_model(config: RunConfig) -> NDimVQVAE:
    with torch.device("meta"):
        return build_model(config.model, sample_shape(config.data))
