"""``ndvq-tune train``: train one configuration, such as the ``best.yaml`` of a search, to its end."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from ndvq_tune.commands.console import data_progress, output_console, plain_errors
from ndvq_tune.errors import ConfigError, Problem

if TYPE_CHECKING:
    from ndvq_tune.config import RunConfig
    from ndvq_tune.goals import Report
    from ndvq_tune.training.loop import Training

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
    if "search" in document.content:
        told = "is a search space; a training takes one configuration, such as the best.yaml that a search leaves"
        raise ConfigError(document.name, [Problem("", told)])
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
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a training that was stopped.")] = False,
    init_from: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Begin with the weights of a model, as far as they fit.")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; all cores if not given.")] = None,
) -> None:
    """Train one model to its last epoch. Load it with ndvq_tune.load_model(OUTPUT)."""
    if resume and init_from:
        raise typer.BadParameter("is for a new training", param_hint="--init-from")
    console = output_console()
    overrides = [*(set_ or ()), *([f"data.path={json.dumps(data)}"] if data else ())]
    with plain_errors():
        run = load_config(config, overrides)
        training = _training(run, output, threads, console, resume=resume)
        _begin(training, output, init_from, console, resume=resume)
        _fit(training, output, console)


def _training(run: "RunConfig", output: Path, threads: int | None, console: Console, *, resume: bool) -> "Training":
    """A training that has not begun, once its folder is found fit."""
    import torch

    from ndvq_tune.data.dataset import open_dataset
    from ndvq_tune.report.skipped import tell_of_files
    from ndvq_tune.training import course
    from ndvq_tune.training.loop import Training

    course.check(output, resume=resume)
    with data_progress(console) as progress:
        dataset = open_dataset(run.data, progress)
    tell_of_files(console, dataset, output)
    if threads:
        torch.set_num_threads(threads)
    return Training(run, dataset, "cuda" if torch.cuda.is_available() else "cpu")


def _begin(training: "Training", output: Path, init_from: str | None, console: Console, *, resume: bool) -> None:
    """From the start, from a model, or from where it was stopped."""
    from ndvq_tune.tokens.models import load_model
    from ndvq_tune.training import course

    if resume:
        course.resume(training, output)
        console.print(f"{output}: goes on after epoch {training.epoch}", markup=False, highlight=False)
        return
    if init_from:
        left = course.start_from(training, load_model(init_from, training.device))
        console.print(f"begins with the weights of {init_from}", markup=False, highlight=False)
        for name, reason in left.items():
            console.print(f"not taken: {name} {reason}", markup=False, highlight=False)


def _fit(training: "Training", output: Path, console: Console) -> None:
    from ndvq_tune.quantities import duration
    from ndvq_tune.training import course

    settings, begun, first = training.config.training, time.monotonic(), training.epoch
    shown = ("recon_loss", "psnr", *settings.validation_metrics, "perplexity", "codebook_usage")

    def show(report: "Report") -> None:
        values = " ".join(f"{name} {report[name]:.4g}" for name in shown)
        epoch = int(report["epoch"])
        seconds = (time.monotonic() - begun) / (epoch - first) * (settings.max_epochs - epoch)
        left = f", {duration(seconds)} left" if seconds else ""
        console.print(f"epoch {epoch}/{settings.max_epochs} {values}{left}", highlight=False)

    try:
        course.run(training, output, show)
    except KeyboardInterrupt:
        if epoch := course.saved_epoch(output):
            told = f"{output}: stopped, and saved after epoch {epoch}; the same command goes on with --resume"
            console.print(told, markup=False, highlight=False)
        raise
    console.print(f"trained model: {output}, with {course.HISTORY}", markup=False, highlight=False)
