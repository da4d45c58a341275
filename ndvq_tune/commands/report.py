"""``ndvq-tune report``: the report of a search made anew, and what to do next."""

from pathlib import Path
from typing import Annotated

import typer

from ndvq_tune.commands.console import output_console, plain_errors

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def report(
    results: Annotated[Path, typer.Argument(help="Results folder of a search, such as runs/NAME.")],
    diagnose: Annotated[
        bool,
        typer.Option("--diagnose", help="Print the verdict and every finding, with what to do; write nothing."),
    ] = False,
) -> None:
    """Make report.html of a search anew, from what its folder holds; or say what to do next."""
    console = output_console()
    with plain_errors():
        from ndvq_tune.judgement.standing import Standing
        from ndvq_tune.search.earlier.reading import read_search
        from ndvq_tune.search.outcome import diagnosed

        space, search = read_search(results)
        standing = Standing(search)
        diagnosis = diagnosed(standing, space)
        if diagnose:
            from ndvq_tune.report.terminal import print_diagnosis
            from ndvq_tune.report.wording import left_out

            for line in left_out(search):
                console.print(line, markup=False, highlight=False)
            print_diagnosis(diagnosis, console, results)
        else:
            from ndvq_tune.report.html import write_html
            from ndvq_tune.search.folder import pictures_in

            path = write_html(standing, diagnosis, results, pictures_in(results, standing.recommended))
            console.print(str(path), markup=False, highlight=False, soft_wrap=True)


if __name__ == "__main__":
    app(prog_name="python -m ndvq_tune.report")
