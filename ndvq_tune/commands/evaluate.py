"""``ndvq-tune evaluate``: models side by side, on whole files."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ndvq_tune.commands.console import data_progress, output_console, plain_errors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.table import Table

    from ndvq_tune.tokens.evaluate import Evaluation

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def evaluate(
    model: Annotated[
        list[str],
        typer.Option(help="Results folder of a search, checkpoint, or models:/NAME@champion of MLflow. Repeatable."),
    ],
    data: Annotated[str, typer.Option(metavar="FOLDER", help="Files that no model was trained on: a folder or a URI.")],
    shorter_side: Annotated[
        int | None,
        typer.Option(min=1, metavar="PIXELS", help="Whole frames at this size; as training samples if not given."),
    ] = None,
    json_: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the figures to this file.")
    ] = None,
) -> None:
    """Measure models on whole files, all by the same protocol."""
    console = output_console()
    with plain_errors():
        from ndvq_tune.atomic import replacing
        from ndvq_tune.tokens.evaluate import PROTOCOL
        from ndvq_tune.tokens.evaluate import evaluate as measured
        from ndvq_tune.tokens.models import model_folder

        found: dict[str, Evaluation] = {}
        with data_progress(console) as progress:
            for name in dict.fromkeys(model):
                found[name] = measured(model_folder(name), data, shorter_side, progress)
        console.print(_table(found))
        for name, result in found.items():
            for file, reason in result.skipped.items():
                console.print(f"{name}: left out {file}: {reason}", markup=False, highlight=False)
        console.print(f"Protocol: {PROTOCOL}.", markup=False, highlight=False)
        if json_:
            models = [{"model": name, "metrics": result.metrics} for name, result in found.items()]
            content = {"models": models, "protocol": PROTOCOL, "data": {"path": data, "shorter_side": shorter_side}}
            with replacing(json_) as draft:
                draft.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _table(found: "Mapping[str, Evaluation]") -> "Table":
    """A column a model, a row a metric."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("")
    for name in found:
        table.add_column(name, justify="right", overflow="fold")
    table.add_row("files", *(str(result.files) for result in found.values()))
    for metric in dict.fromkeys(metric for result in found.values() for metric in result.metrics):
        values = (result.metrics.get(metric) for result in found.values())
        table.add_row(metric, *("" if value is None else f"{value:,.4g}" for value in values))
    return table
