"""What a search would do, without doing it."""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console
from rich.table import Table

from ndvq_tune.config import DataConfig, RunConfig, TorchvisionData
from ndvq_tune.data.cache.source import silent
from ndvq_tune.data.dataset import sample_shape
from ndvq_tune.data.division import TEST, TRAIN
from ndvq_tune.data.folder.source import FolderSource
from ndvq_tune.data.sample_data import ensure_samples, will_be_made
from ndvq_tune.errors import ConfigError, Problem
from ndvq_tune.quantities import gibibytes
from ndvq_tune.records import short_name, short_value
from ndvq_tune.search.engine.proposals import MOST_REJECTIONS
from ndvq_tune.search.resources.extremes import extreme
from ndvq_tune.search.resources.lanes import LanePlan
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


def checked_sample_shape(config: DataConfig) -> tuple[int, ...]:
    """Shape ``(C, *S)`` of a sample of data, once it is sure that there are files.

    Sample data that is not there yet is made in a temporary folder, where only its files tell the shape.

    Raises:
        DataError: A folder is missing or has no files of the right kind, as when a search opens it.
    """
    if isinstance(config, TorchvisionData):  # the search may have to download it
        return config.sample_shape
    if config.sample_shape is not None and will_be_made(config):
        return config.sample_shape
    path, here = Path(config.path), Path.cwd()
    if "://" in config.path or path.exists():
        return _looked_at(config)
    if path.is_relative_to(here):
        config = config.model_copy(update={"path": str(path.relative_to(here))})
    with TemporaryDirectory() as folder, contextlib.chdir(folder):
        ensure_samples(config, silent)
        return _looked_at(config)


def _looked_at(config: DataConfig) -> tuple[int, ...]:
    for split in (None,) if config.split else (TRAIN, TEST):
        with FolderSource.of(config, split).first_file():
            pass
    return sample_shape(config)


def print_dry_run(space: SearchSpace, plan: LanePlan, preflight: Preflight, console: Console) -> None:
    """Print the resolved space, the lanes, how much of the space may be trained on them, and its extreme models.

    Args:
        space: The space.
        plan: The lanes of this machine.
        preflight: What rules a configuration out on such a lane.
        console: Where to print.

    Raises:
        ConfigError: Once all is printed, if nothing of the space may be trained.
    """
    console.print(space.to_yaml(), highlight=False, markup=False, soft_wrap=True)
    console.print(f"{space.search.trials} trials on {plan.describe()} (of this machine)", highlight=False)
    extremes = {name: extreme(space, preflight, metric, sign) for name, (metric, sign) in EXTREMES.items()}
    share, counts = feasible_share(space, preflight, SAMPLES)
    console.print(feasibility(space, share, counts, plan.memory_bytes) + "\n", highlight=False, markup=False)
    table = Table("extreme", box=None, pad_edge=False)
    for name in ("parameters", "bits/element", "memory", "GFLOPs/step"):
        table.add_column(name, justify="right")
    for name, (_, config) in extremes.items():
        table.add_row(name, *_numbers(preflight, config))
    console.print(table)
    for name, (chosen, _) in extremes.items():
        console.print(f"{name}: {_where(chosen)}", style="dim", highlight=False, markup=False)
    if share == 0:
        raise ConfigError(space.name, [_nothing_passes(space, counts, plan.memory_bytes)])


def feasibility(space: SearchSpace, share: float, counts: Mapping[str, int], memory: float | None) -> str:
    """How much of a space passes, and what rules out the rest, in a sentence.

    Args:
        space: The space.
        share: Share of ``SAMPLES`` random configurations that pass.
        counts: How many of them each reason rules out: a metric with a constraint, ``MEMORY`` or ``SHAPE``.
        memory: Bytes of a worker, if they are known.
    """
    ruled_out = ", ".join(f"{counts[name] / SAMPLES:.0%} {_reason(space, name, memory)}" for name in counts)
    passes = f"about {share:.0%} of the space passes before training" + (f": {ruled_out}" if ruled_out else "")
    return passes + (f" (of {SAMPLES} random configurations)" if memory or space.search.constraints else "")


_REASONS = {MEMORY: "may not fit the memory of a worker ({})", SHAPE: "do not fit the samples"}
# Where it can be mended, and how; all else is a constraint.
_REMEDIES = {
    MEMORY: ("search.resources.lanes", "have fewer lanes, or smaller models, samples or batches in the space"),
    SHAPE: ("model.n_dims", "have models of as many dimensions as the samples, and settings that suit their sizes"),
}
_LOOSEN = ("search.constraints", "loosen the bound, or have other values in the space; the table has its extremes")


def _reason(space: SearchSpace, name: str, memory: float | None) -> str:
    """What those that a reason rules out do."""
    if name in _REASONS:
        return _REASONS[name].format(gibibytes(memory or 0.0))
    bounds = [(bound.side, bound.bound) for bound in space.search.goals.constraints if bound.metric == name]
    return f"break {name} " + " or ".join(f"{side} {value:g}" for side, value in bounds)


def _nothing_passes(space: SearchSpace, counts: Mapping[str, int], memory: float | None) -> Problem:
    most = max(counts, key=lambda name: counts[name])
    key, remedy = _REMEDIES.get(most, _LOOSEN)
    found = f"none of {SAMPLES} random configurations passes before training: {counts[most]} "
    end = f"a search ends after {MOST_REJECTIONS} such in a row"
    return Problem(key, f"{found}{_reason(space, most, memory)}, and {end}; {remedy}")


def _numbers(preflight: Preflight, config: RunConfig) -> tuple[str, ...]:
    """Parameters, rate, memory and GFLOPs; dashes for a model that cannot be trained."""
    found = preflight.predict(config)
    if isinstance(found, str):
        return ("-",) * 4
    rate = f"{found.bits_per_element:.4f}"
    return f"{found.parameters:,}", rate, gibibytes(found.memory_bytes), f"{found.flops / 1e9:,.1f}"


def _where(chosen: Mapping[str, Any]) -> str:
    return ", ".join(f"{short_name(key)} {short_value(value)}" for key, value in chosen.items())
