"""``ndvq-tune report``: the report of a search made anew, what to do next, or several searches compared."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ndvq_tune.commands.console import output_console, plain_errors
from ndvq_tune.errors import ResultsError

if TYPE_CHECKING:
    from rich.console import Console

    from ndvq_tune.diagnosis.finding import Diagnosis
    from ndvq_tune.judgement.standing import Standing

PAGE = Path("comparison.html")

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def report(
    results: Annotated[list[Path], typer.Argument(help="Results folders of searches, such as runs/NAME.")],
    diagnose: Annotated[
        bool,
        typer.Option("--diagnose", help="Print the verdict and every finding, with what to do; write nothing."),
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--output", help="The page that compares several searches.", show_default=str(PAGE))
    ] = None,
) -> None:
    """Make report.html of a search anew, from what its folder holds; say what to do next; or compare searches."""
    if output and (diagnose or len(results) == 1):
        raise typer.BadParameter("is for a page that compares several searches", param_hint="--output")
    console = output_console()
    with plain_errors():
        judged = [(folder, *_judged(folder)) for folder in dict.fromkeys(results)]
        if diagnose:
            from ndvq_tune.report.terminal import print_diagnosis
            from ndvq_tune.report.wording import left_out

            for folder, standing, diagnosis in judged:
                if len(judged) > 1:
                    console.print(f"\n{folder}", markup=False, highlight=False, soft_wrap=True)
                for line in left_out(standing.search):
                    console.print(line, markup=False, highlight=False)
                print_diagnosis(diagnosis, console, folder)
        elif len(judged) > 1:
            _compare(judged, output or PAGE, console)
        else:
            _report(*judged[0], console)


def _judged(folder: Path) -> "tuple[Standing, Diagnosis]":
    from ndvq_tune.judgement.standing import Standing
    from ndvq_tune.search.earlier.reading import read_search
    from ndvq_tune.search.outcome import diagnosed

    space, search = read_search(folder)
    standing = Standing(search)
    return standing, diagnosed(standing, space)


def _report(folder: Path, standing: "Standing", diagnosis: "Diagnosis", console: "Console") -> None:
    from ndvq_tune.report.html import write_html
    from ndvq_tune.search.folder import pictures_in

    path = write_html(standing, diagnosis, folder, pictures_in(folder, standing.recommended))
    console.print(str(path), markup=False, highlight=False, soft_wrap=True)


def _compare(judged: "list[tuple[Path, Standing, Diagnosis]]", output: Path, console: "Console") -> None:
    from ndvq_tune.report.comparison import entries
    from ndvq_tune.report.comparison_page import write_comparison
    from ndvq_tune.report.terminal import print_comparison
    from ndvq_tune.search.folder import pictures_in

    compared = entries(judged)
    best = [(folder, standing.recommended[:1]) for folder, standing, _ in judged]
    try:
        write_comparison(compared, [next(iter(pictures_in(*item).values()), None) for item in best], output)
    except OSError as error:
        raise ResultsError(f"{output}: cannot be written: {error.strerror or error}") from None
    print_comparison(compared, console, output)


if __name__ == "__main__":
    app(prog_name="python -m ndvq_tune.report")
