"""What a search would do, without doing it."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from ndvq_tune.config import RunConfig
from ndvq_tune.records import short_name, short_value
from ndvq_tune.search.resources.extremes import extreme
from ndvq_tune.search.resources.lanes import LanePlan, gibibytes
from ndvq_tune.search.resources.preflight import MEMORY, SHAPE, Preflight, feasible_share
from ndvq_tune.search.space import SearchSpace

SAMPLES = 60  # configurations of which the share that passes is told; a few of them a second

# Metric, and whether the least or the most of it.
EXTREMES = {
    "fewest parameters": ("parameters", 1),
    "most parameters": ("parameters", -1),
    "lowest rate": ("bits_per_element", 1),
    "highest rate": ("bits_per_element", -1),
    "most memory": (MEMORY, -1),
}


def print_dry_run(space: SearchSpace, plan: LanePlan, preflight: Preflight, console: Console) -> None:
    """Print the resolved space, the lanes, how much of the space may be trained on them, and its extreme models."""
    console.print(space.to_yaml(), highlight=False, markup=False, soft_wrap=True)
    console.print(f"{space.search.trials} trials on {plan.describe()} (of this machine)", highlight=False)
    extremes = {name: extreme(space, preflight, metric, sign) for name, (metric, sign) in EXTREMES.items()}
    share, counts = feasible_share(space, preflight, SAMPLES)
    console.print(feasibility(space, share, counts, plan.memory_bytes) + "\n", highlight=False, markup=False)
    table = Table("extreme", box=None, pad_edge=False)
    for name in ("parameters", "bits/element", "memory", "GFLOPs/step"):
        table.add_column(name, justify="right")
    for name, chosen in extremes.items():
        table.add_row(name, *_numbers(preflight, space.complete(chosen)))
    console.print(table)
    for name, chosen in extremes.items():
        console.print(f"{name}: {_where(chosen)}", style="dim", highlight=False, markup=False)


def feasibility(space: SearchSpace, share: float, counts: Mapping[str, int], memory: float | None) -> str:
    """How much of a space passes, and what rules out the rest, in a sentence."""
    bounds = {bound.metric: f"{bound.metric} {bound.bound[0]} {bound.bound[1]:g}" for bound in space.search.constraints}
    reasons = {
        name: f"break {bounds[name]}" if name in bounds else _REASONS[name].format(gibibytes(memory or 0.0))
        for name in counts
    }
    ruled_out = ", ".join(f"{counts[name] / SAMPLES:.0%} {reason}" for name, reason in reasons.items())
    passes = f"about {share:.0%} of the space passes before training" + (f": {ruled_out}" if ruled_out else "")
    return passes + (f" (of {SAMPLES} random configurations)" if memory or bounds else "")


_REASONS = {MEMORY: "may not fit the memory of a worker ({})", SHAPE: "do not fit the samples"}


def _numbers(preflight: Preflight, config: RunConfig) -> tuple[str, ...]:
    """Parameters, rate, memory and GFLOPs; dashes for a model that cannot be trained."""
    found = preflight.predict(config)
    if isinstance(found, str):
        return ("-",) * 4
    rate = f"{found.bits_per_element:.4f}"
    return f"{found.parameters:,}", rate, gibibytes(found.memory_bytes), f"{found.flops / 1e9:,.1f}"


def _where(chosen: Mapping[str, Any]) -> str:
    return ", ".join(f"{short_name(key)} {short_value(value)}" for key, value in chosen.items())
