"""``python -m benchmarks.ablation``: what each choice in the model is worth.

The base is what ``ModelConfig`` and ``TrainingConfig`` say by themselves. Each row changes the options it names and
trains as long, on the same clips. Rows of other rates (bits) than the base do not compare by NMSE alone.
"""

import argparse
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.report import machine, print_machine, wide_console
from ndvq_tune.config import RunConfig
from ndvq_tune.data.dataset import open_dataset
from ndvq_tune.errors import ConfigError, Problem
from ndvq_tune.goals import Report
from ndvq_tune.problems import validate
from ndvq_tune.training.loop import Training
from ndvq_tune.yaml_file import with_values

Options = Mapping[str, Any]

BASE = "base"
DATA: Options = {"data.clip_length": 8, "data.clip_stride": 4, "data.resolution": 32}
ROWS: dict[str, Options] = {
    BASE: {},
    "attention: axial": {"model.attention.type": "axial"},
    "axial, rotary": {"model.attention.type": "axial", "model.attention.positions": "rotary"},
    "attention: full": {"model.attention.type": "full"},
    "full, rotary": {"model.attention.type": "full", "model.attention.positions": "rotary"},
    "norm: rms": {"model.norm": "rms"},
    "norm: batch": {"model.norm": "batch"},
    "activation: relu": {"model.activation": "relu"},
    "activation: snake": {"model.activation": "snake"},
    "snake and rms": {"model.activation": "snake", "model.norm": "rms"},
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
}
SHOWN = ("recon_loss", "perplexity", "codebook_usage", "bits_per_element")


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


def train(config: RunConfig) -> Report:
    """Train a configuration to its end: its last report, with the median time of a step as ``ms_per_step``."""
    reports: list[Report] = []
    Training(config, open_dataset(config.data)).fit(reports.append)
    milliseconds = [1e3 * config.training.batch_size / report["samples_per_second"] for report in reports]
    return {**reports[-1], "ms_per_step": statistics.median(milliseconds)}


def train_all(console: Console, found: Mapping[str, RunConfig], seeds: int) -> dict[str, list[Report]]:
    """The reports of every row, one a seed. Rows take turns, so that a busy hour of the machine hits all."""
    reports: dict[str, list[Report]] = {name: [] for name in found}
    with console.status("") as status:
        for seed in range(seeds):
            for name, config in found.items():
                status.update(f"seed {seed + 1} of {seeds}: {name}")
                training = config.training.model_copy(update={"seed": seed})
                reports[name].append(train(config.model_copy(update={"training": training})))
    return reports


def table(reports: Mapping[str, Sequence[Report]]) -> Table:
    """Medians over the seeds; the spread of the NMSE is its largest less its smallest."""
    title = "What each choice is worth (NMSE against the base: less is better)"
    shown = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    shown.add_column("", no_wrap=True)
    for column in ("NMSE", "spread", "against\nbase", "perplexity", "usage", "bits", "step\nms"):
        shown.add_column(column, justify="right", no_wrap=True)
    base = _median(reports[BASE], "recon_loss")
    for name, row in reports.items():
        nmse, perplexity, usage, bits = (_median(row, metric) for metric in SHOWN)
        losses = [report["recon_loss"] for report in row]
        against = "" if name == BASE else f"{nmse / base - 1:+.1%}"
        health = (f"{perplexity:.0f}", f"{usage:.0%}", f"{bits:.3f}", f"{_median(row, 'ms_per_step'):.0f}")
        shown.add_row(name, f"{nmse:.4f}", f"{max(losses) - min(losses):.4f}", against, *health)
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
    parser.add_argument("--epochs", type=int, default=20, help="passes over the 90 clips")
    parser.add_argument("--seeds", type=int, default=3, help="repeat so often; medians and spread are shown")
    parser.add_argument("--only", nargs="+", metavar="TEXT", help="only rows with one of these in name or options")
    parser.add_argument("--threads", type=int, help="CPU threads; all cores if not given")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all reports to this file too")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    console = wide_console()
    found = configs(chosen(options.only), {**DATA, "training.max_epochs": options.epochs})
    described = machine()
    print_machine(console, described)
    reports = train_all(console, found, options.seeds)
    console.print(table(reports))
    if options.json:
        options.json.write_text(json.dumps({"machine": described, "rows": reports}, indent=2) + "\n")


if __name__ == "__main__":
    main()
