"""``ndvq-tune search``: search the best model."""

import signal
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from ndvq_tune.commands.console import INTERRUPTED, data_progress, output_console, plain_errors

if TYPE_CHECKING:
    from ndvq_tune.search.earlier.warm_start import WarmStart
    from ndvq_tune.search.outcome import SearchResult
    from ndvq_tune.search.space import SearchSpace

NOTHING_FOUND = 1

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def parse_seconds(text: str) -> float:
    """Seconds of a duration such as ``90``, ``90s``, ``10m`` or ``1h30m``."""
    from ndvq_tune.search.space.settings.stopping import seconds

    try:
        return float(seconds(text))
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} given; needs {error}") from None


@app.command(
    epilog="Results: runs/NAME with report.html, best.yaml, summary.json and checkpoints; compare with mlflow ui."
)
def search(
    space: Annotated[
        Path | None, typer.Option(help="Search space, a YAML file. Optional with --resume --output.")
    ] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Number of trials, in place of the space's.")] = None,
    time_budget: Annotated[
        float | None,
        typer.Option(parser=parse_seconds, metavar="DURATION", help="End after this time, such as 90s, 10m or 1h30m."),
    ] = None,
    data: Annotated[str | None, typer.Option(help="Your data, in place of data.path: a folder or a URI.")] = None,
    output: Annotated[Path | None, typer.Option(help="Results folder; runs/NAME if not given.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the search, in place of the space's.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the search in the results folder, with the space kept there.")
    ] = False,
    warm_start: Annotated[
        str | None,
        typer.Option(metavar="SOURCE", help="Learn from an earlier search: its folder, or mlflow:EXPERIMENT."),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the search.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Replace a value of the space: model.n_hiddens=64. Repeatable."
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Show the space, the lanes and the smallest and largest models; start nothing."),
    ] = False,
    address: Annotated[
        str | None,
        typer.Option(help="An existing Ray cluster: auto, or host:port. A local Ray is started if not given."),
    ] = None,
    tracking_uri: Annotated[
        str | None, typer.Option(help="MLflow store; sqlite:///mlflow.db in the current folder if not given.")
    ] = None,
    ui: Annotated[
        bool, typer.Option("--ui", help="Serve MLflow's pages on this machine, also after the search, until Ctrl-C.")
    ] = False,
) -> None:
    """Search the best VQ-VAE for your data: reconstruction against bit rate, with a codebook that is alive.

    Weak trials are stopped early. Ctrl-C saves everything, and --resume goes on.
    """
    if space is None and not (resume and output):
        raise typer.BadParameter("is needed, unless --resume --output FOLDER names a search", param_hint="--space")
    if warm_start and resume:
        raise typer.BadParameter("is for a new search; this one has trials of its own", param_hint="--warm-start")
    options = {
        "trials": trials, "data": data, "name": name, "seed": seed, "time_budget": time_budget,
        "tracking_uri": tracking_uri,
    }  # fmt: skip
    console = output_console()
    with plain_errors():
        from ndvq_tune.search.request import knowledge, overrides_of, plan_search

        plan, folder = plan_search(
            space, [*(set_ or ()), *overrides_of(options)], output, resume=resume, look_only=dry_run
        )
        known = knowledge(warm_start, plan) if warm_start else None
        if known:
            console.print(f"{warm_start}: {known.describe()}", markup=False, highlight=False)
        if dry_run:
            _dry_run(plan, console)
        else:
            raise typer.Exit(_run(plan, folder, address, known, console, ui=ui))


def _dry_run(space: "SearchSpace", console: Console) -> None:
    from ndvq_tune.search.consistency import check_samples
    from ndvq_tune.search.dry_run import checked_sample_shape, print_dry_run
    from ndvq_tune.search.resources.cluster import local_node
    from ndvq_tune.search.resources.planning import plan_resources

    shape = checked_sample_shape(space.data)
    check_samples(space, shape)
    print_dry_run(space, *plan_resources(space, shape, [local_node()]), console)


def _run(
    space: "SearchSpace", folder: Path, address: str | None, known: "WarmStart | None", console: Console, *, ui: bool
) -> int:
    """Search; the exit code."""
    from ndvq_tune.tracking.ui import Ui

    def tell(text: str) -> None:
        console.print(f"MLflow: {text}", markup=False, highlight=False)

    with closing(Ui(tell)) as pages:
        from ndvq_tune.search.run import run_search

        result = run_search(
            space, folder, console, partial(data_progress, console), address, known, pages.serve if ui else None
        )
        code = _told(result, folder, console)
        if code != INTERRUPTED and pages.running:
            tell("these pages are served until Ctrl-C")
            signal.signal(signal.SIGINT, signal.default_int_handler)  # what a script starts with & would ignore it
            with suppress(KeyboardInterrupt):
                pages.wait()
        return code


def _told(result: "SearchResult", folder: Path, console: Console) -> int:
    """Say what came of a search; the exit code."""
    from ndvq_tune.report.wording import as_typed

    if not result.finished:
        command = f"python -m ndvq_tune.search --resume --output {as_typed(folder)}"
        begun = result.standing.search.trials
        saved = f"everything so far is saved. Go on with: {command}" if begun else "before any trial"
        console.print(f"Interrupted; {saved}", markup=False, highlight=False)
        return INTERRUPTED
    from ndvq_tune.report.terminal import print_summary

    print_summary(result.standing, result.diagnosis, console, as_typed(folder), result.mlflow)
    return 0 if result.best else NOTHING_FOUND


if __name__ == "__main__":
    app(prog_name="python -m ndvq_tune.search")
