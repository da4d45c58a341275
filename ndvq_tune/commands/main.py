"""``ndvq-tune``: all commands behind one name."""

import typer

from ndvq_tune.commands import data, evaluate, reconstruct, refine, report, schema, search, tokenize, train

app = typer.Typer(
    name="ndvq-tune",
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help="Hyperparameter tuning for N-dimensional VQ-VAEs on Ray.",
)
for _command in (
    search.app,
    train.app,
    tokenize.app,
    reconstruct.app,
    evaluate.app,
    report.app,
    refine.app,
    schema.app,
):
    app.add_typer(_command)
app.add_typer(data.app, name="data")
