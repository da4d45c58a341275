"""``ndvq-tune train``: train one configuration, such as the ``best.yaml`` of a search, to its end."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from ndvq_tune.commands.console import data_progress, output_console, plain_errors
from ndvq_tune.errors import ConfigError, ResultsError

if TYPE_CHECKING:
    from ndvq_tune.config import RunConfig

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def load_config(path: Path, overrides: list[str]) -> "RunConfig":
    """Read and check a run configuration.

    Raises:
        ConfigError: With every problem of the file at once.
    """
    from ndvq_tune.config import RunConfig
    from ndvq_tune.problems import validate
    from ndvq_tune.yaml_file import read

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
    console = output_console()
    overrides = [*(set_ or ()), *([f"data.path={json.dumps(data)}"] if data else ())]
    with plain_errors():
        run = load_config(config, overrides)
        _train(run, output, threads, console)


def _train(run: "RunConfig", output: Path, threads: int | None, console: Console) -> None:
    import torch

    from ndvq_tune.data.dataset import open_dataset
    from ndvq_tune.report.skipped import tell_of_files
    from ndvq_tune.training.checkpoint import pack
    from ndvq_tune.training.files import CONFIG, write
    from ndvq_tune.training.loop import Training

    if (output / CONFIG).exists():
        raise ResultsError(f"{output}: already holds a model; give another --output")
    with data_progress(console) as progress:
        dataset = open_dataset(run.data, progress)
    tell_of_files(console, dataset, output)
    if threads:
        torch.set_num_threads(threads)
    training = Training(run, dataset, "cuda" if torch.cuda.is_available() else "cpu")
    shown = ("recon_loss", "psnr", *run.training.validation_metrics, "perplexity", "codebook_usage")
    training.fit(lambda report: _show(console, report, run.training.max_epochs, shown))
    write(output, pack(training))
    console.print(f"trained model: {output}", highlight=False)


def _show(console: Console, report: Mapping[str, float], epochs: int, shown: Sequence[str]) -> None:
    values = " ".join(f"{name} {report[name]:.4g}" for name in shown)
    console.print(f"epoch {int(report['epoch'])}/{epochs} {values}", highlight=False)
