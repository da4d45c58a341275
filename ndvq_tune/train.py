"""``python -m ndvq_tune.train``: train one configuration, such as the ``best.yaml`` of a search, to its end."""

import json
import sys
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console

from ndvq_tune.command import data_progress, plain_errors
from ndvq_tune.config import RunConfig
from ndvq_tune.data.dataset import open_dataset
from ndvq_tune.errors import ConfigError, ResultsError
from ndvq_tune.problems import validate
from ndvq_tune.report.skipped import print_skipped, write_skipped
from ndvq_tune.training.checkpoint import CONFIG, pack, write
from ndvq_tune.training.loop import Report, Training
from ndvq_tune.yaml_file import read

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def load_config(path: Path, overrides: list[str]) -> RunConfig:
    """Read and check a run configuration.

    Raises:
        ConfigError: With every problem of the file at once.
    """
    document = read(path, overrides)
    config, problems = validate(RunConfig, document.content)
    if config is None:
        raise ConfigError(document.name, [document.locate(problem) for problem in problems])
    return config


@app.command()
def train(
    config: Annotated[Path, typer.Option(help="A complete configuration, such as runs/NAME/best.yaml.")],
    output: Annotated[Path, typer.Option(help="Folder for the trained model.")],
    data: Annotated[str | None, typer.Option(help="Your data, in place of data.path: a folder or a URI.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Replace a value: training.max_epochs=100. Repeatable."),
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; all cores if not given.")] = None,
) -> None:
    """Train one model to its last epoch. Load it with ndvq_tune.load_model(OUTPUT)."""
    console = Console(soft_wrap=not sys.stdout.isatty())
    overrides = [*(set_ or ()), *([f"data.path={json.dumps(data)}"] if data else ())]
    with plain_errors():
        run = load_config(config, overrides)
        if (output / CONFIG).exists():
            raise ResultsError(f"{output}: already holds a model; give another --output")
        with data_progress(console) as progress:
            dataset = open_dataset(run.data, progress)
        print_skipped(console, dataset.skipped, dataset.files, write_skipped(dataset.skipped, output))
        if threads:
            torch.set_num_threads(threads)
        training = Training(run, dataset, "cuda" if torch.cuda.is_available() else "cpu")
        training.fit(lambda report: _show(console, report, run.training.max_epochs))
        write(output, pack(training))
        console.print(f"trained model: {output}", highlight=False)


def _show(console: Console, report: Report, epochs: int) -> None:
    values = " ".join(f"{name} {report[name]:.4g}" for name in ("recon_loss", "psnr", "perplexity", "codebook_usage"))
    console.print(f"epoch {int(report['epoch'])}/{epochs} {values}", highlight=False)


if __name__ == "__main__":
    app(prog_name="python -m ndvq_tune.train")
