"""``python -m benchmarks.ablation``: what each choice in the model and in its training is worth.

The base is what ``ModelConfig`` and ``TrainingConfig`` say by themselves, on the data of the shipped search space for
so many dimensions. Each row changes the options it names, and trains for as many epochs or, with ``--seconds``, for as
much computing. Rows of other rates (bits) than the base do not compare by NMSE alone.
"""

import argparse
import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.equal_time import endless, ratio, train
from benchmarks.report import machine, print_machine, wide_console
from ndvq_tune.config import RunConfig
from ndvq_tune.data.dataset import open_dataset
from ndvq_tune.errors import ConfigError, Problem
from ndvq_tune.goals import Report
from ndvq_tune.problems import validate
from ndvq_tune.search.space import SearchSpace
from ndvq_tune.training.evaluation import evaluate
from ndvq_tune.training.loop import Training
from ndvq_tune.yaml_file import flatten, from_overrides, with_values

Options = Mapping[str, Any]

BASE = "base"
SPACES = {1: "signal1d", 2: "image2d", 3: "video3d", 4: "volume4d"}
ADAM = {"training.optimizer.type": "adam"}
ADAMW = {"training.optimizer.type": "adamw", "training.weight_decay": 0.01}
ROWS: dict[str, Options] = {
    BASE: {},
    **{f"adam {rate:g}": {**ADAM, "training.learning_rate": rate} for rate in (1e-3, 2e-3, 4e-3, 8e-3)},
    **{f"adamw {rate:g}": {**ADAMW, "training.learning_rate": rate} for rate in (2e-3, 4e-3)},
    **{f"muon {rate:g}": {"training.learning_rate": rate} for rate in (1e-2, 2e-2, 6e-2, 0.12)},
    "adam as in 0.1": {
        **ADAM, "training.learning_rate": 1e-3, "training.beta2": 0.999, "training.schedule.final_share": 0.1
    },
    **{f"momentum: {share:g}": {"training.optimizer.momentum": share} for share in (0.8, 0.9)},
    "4 newton-schulz steps": {"training.optimizer.newton_schulz_steps": 4},
    "to a tenth": {"training.schedule.final_share": 0.1},
    "stem: patch": {"model.stem": "patch"},
    "layers of 0.1": {"model.legacy_layers": True},
    "attention: axial": {"model.attention.type": "axial"},
    "axial, rotary": {"model.attention.type": "axial", "model.attention.positions": "rotary"},
    "attention: full": {"model.attention.type": "full"},
    "full, rotary": {"model.attention.type": "full", "model.attention.positions": "rotary"},
    "norm: group": {"model.norm": "group"},
    "norm: batch": {"model.norm": "batch"},
    "activation: relu": {"model.activation": "relu"},
    "activation: snake": {"model.activation": "snake"},
    "snake and group": {"model.activation": "snake", "model.norm": "group"},
    "quantizer: residual": {"model.quantizer.type": "residual"},
    "quantizer: simvq": {"model.quantizer.type": "simvq"},
    "quantizer: fsq": {"model.quantizer.type": "fsq"},
    "quantizer: lfq": {"model.quantizer.type": "lfq"},
    "cosine codes": {"model.quantizer.cosine": True},
    "rotation trick": {"model.quantizer.rotation_trick": True},
    "first codes: sample": {"model.quantizer.codebook_init": "sample"},
    "no restarts": {"model.quantizer.restart_threshold": 0.0},
    "embedding_dim: 4": {"model.embedding_dim": 4},
    "embedding_dim: 8": {"model.embedding_dim": 8},
    "embedding_dim: 32": {"model.embedding_dim": 32},
    "decoder: 2x wide": {"model.decoder_multiplier": 2.0},
    "blocks: all levels": {"model.res_levels": "all"},
}  # fmt: skip
SHOWN = ("recon_loss", "train_recon_loss", "perplexity", "codebook_usage", "bits_per_element")


def data_of(n_dims: int) -> Options:
    """The data and the batch size of the shipped search space for data of so many dimensions, by key path."""
    path = Path(__file__).parents[1] / "search_spaces" / f"{SPACES[n_dims]}.yaml"
    config = SearchSpace.load(path).complete({})
    data = {f"data.{key}": value for key, value in flatten(config.data.model_dump(mode="json")).items()}
    return {**data, "model.n_dims": n_dims, "training.batch_size": config.training.batch_size}


def configs(rows: Mapping[str, Options], common: Options) -> dict[str, RunConfig]:
    """The configuration of each row.

    Args:
        rows: Options of each row by key path.
        common: Options of all rows.

    Raises:
        ConfigError: With every unknown or impossible option of all rows at once.
    """
    found, problems = {}, []
    for name, options in rows.items():
        config, wrong = validate(RunConfig, with_values({}, {**common, **options}))
        problems += [Problem(problem.key, f"{problem.message} (row {name!r})") for problem in wrong]
        if config:
            found[name] = config
    if problems:
        raise ConfigError("benchmarks.ablation", problems)
    return found


def for_epochs(found: Mapping[str, RunConfig]) -> dict[str, Report]:
    """Train each row to its end: its last report, with the median time of a step."""
    ends: dict[str, Report] = {}
    for name, config in found.items():
        reports: list[Report] = []
        Training(config, open_dataset(config.data)).fit(reports.append)
        seconds = [config.training.batch_size / report["samples_per_second"] for report in reports]
        ends[name] = {**reports[-1], "seconds_per_step": statistics.median(seconds)}
    return ends


def for_seconds(
    found: Mapping[str, RunConfig],
    seconds: float,
    prepare: Callable[[str, Training], None] = lambda name, training: None,
) -> dict[str, Report]:
    """Train each row for as much computing, in turn; the learning rate follows the share of the time.

    Args:
        found: The configuration of each row; all have the same data.
        seconds: CPU seconds of each row, of all its threads.
        prepare: Called with the name and the training of each row before its first step.
    """
    dataset = open_dataset(next(iter(found.values())).data)
    trainings = {name: Training(config, dataset) for name, config in found.items()}
    for name, training in trainings.items():
        prepare(name, training)
    steps = {name: partial(_step, training) for name, training in trainings.items()}
    streams = {
        name: endless(dataset.train, config.training.batch_size, config.training.seed) for name, config in found.items()
    }
    spent = train(steps, streams, seconds)
    seen = replace(dataset, test=dataset.train)
    return {
        name: {
            **training.validate(),
            "train_recon_loss": evaluate(training.model, seen, training.config.training.batch_size).metrics[
                "recon_loss"
            ],
            "steps": spent[name].steps,
            "seconds_per_step": spent[name].seconds / spent[name].steps,
        }
        for name, training in trainings.items()
    }


def _step(training: Training, share: float, x: torch.Tensor) -> None:
    training.step(int(share * training.steps), x)


def train_all(
    console: Console, found: Mapping[str, RunConfig], seeds: Sequence[int], seconds: float | None
) -> dict[str, list[Report]]:
    """The reports of every row, one a seed.

    Args:
        console: Where progress is shown.
        found: The configuration of each row.
        seeds: Of weights and batches.
        seconds: CPU seconds of each training; as many epochs as the rows say if not given.
    """
    reports: dict[str, list[Report]] = {name: [] for name in found}
    with console.status("") as status:
        for number, seed in enumerate(seeds, start=1):
            status.update(f"seed {number} of {len(seeds)}")
            seeded = {name: config.with_training(seed=seed) for name, config in found.items()}
            for name, end in (for_seconds(seeded, seconds) if seconds else for_epochs(seeded)).items():
                reports[name].append(end)
    return reports


def table(reports: Mapping[str, Sequence[Report]], title: str) -> Table:
    """Medians over the seeds; the NMSE against the base, seed by seed, with its 95% interval."""
    shown = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    shown.add_column("", no_wrap=True)
    for column in ("NMSE", "against\nbase", "95% interval", "train\nNMSE", "perplexity", "usage", "bits", "step\nms"):
        shown.add_column(column, justify="right", no_wrap=True)
    for name, row in reports.items():
        nmse, train_nmse, perplexity, usage, bits = (_median(row, metric) for metric in SHOWN)
        against, low, high = ratio(*([report["recon_loss"] for report in some] for some in (row, reports[BASE])))
        interval = f"{low:.2f} to {high:.2f}" if len(row) > 1 else ""
        compared = ("", "") if name == BASE else (f"{against:.3f}x", interval)
        step = 1e3 * _median(row, "seconds_per_step")
        rest = (f"{train_nmse:.4f}", f"{perplexity:.0f}", f"{usage:.0%}", f"{bits:.3f}", f"{step:.0f}")
        shown.add_row(name, f"{nmse:.4f}", *compared, *rest)
    return shown


def _median(reports: Sequence[Report], metric: str) -> float:
    return statistics.median(report[metric] for report in reports)


def chosen(texts: Sequence[str] | None) -> dict[str, Options]:
    """The base, and the rows with one of these texts in their name or options; all rows if there are none."""
    return {
        name: row
        for name, row in ROWS.items()
        if not texts or name == BASE or any(text in f"{name} {row}" for text in texts)
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--dims", type=int, nargs="+", choices=SPACES, default=[3], help="dimensions of the data")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--epochs", type=int, default=20, help="passes over the data")
    length.add_argument("--seconds", type=float, help="CPU seconds of each training, in place of epochs")
    parser.add_argument("--seeds", type=int, default=3, help="repeat so often; medians are shown")
    parser.add_argument("--first-seed", type=int, default=0, help="the first of those seeds")
    parser.add_argument("--only", nargs="+", metavar="TEXT", help="only rows with one of these in name or options")
    parser.add_argument("--set", nargs="+", metavar="KEY=VALUE", default=[], help="options of all rows, the base's too")
    parser.add_argument("--threads", type=int, help="CPU threads; all cores if not given")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all reports to this file too")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    console, described = wide_console(), machine()
    print_machine(console, described)
    common = flatten(from_overrides(options.set).content)
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    length_text = f"{options.seconds:g} CPU s" if options.seconds else f"{options.epochs} epochs"
    rows: dict[int, dict[str, list[Report]]] = {}
    for n_dims in options.dims:
        epochs = 1000 if options.seconds else options.epochs  # of time only the share counts
        found = configs(chosen(options.only), {**data_of(n_dims), "training.max_epochs": epochs, **common})
        rows[n_dims] = train_all(console, found, seeds, options.seconds)
        console.print(table(rows[n_dims], f"{n_dims}D, {length_text}: NMSE against the base, less is better"))
        if options.json:
            options.json.write_text(json.dumps({"machine": described, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
