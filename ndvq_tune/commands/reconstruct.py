"""``ndvq-tune reconstruct``: codes, or files by way of their codes, to files again."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from ndvq_tune.commands.console import data_progress, output_console, plain_errors
from ndvq_tune.commands.tokenize import ModelOption

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def reconstruct(
    model: ModelOption,
    output: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder for the files; those in it are left alone.")],
    tokens: Annotated[Path | None, typer.Option(metavar="TOKENS", help="What tokenize wrote.")] = None,
    data: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Files, in place of their tokens: a folder or a URI.")
    ] = None,
    shorter_side: Annotated[
        int | None, typer.Option(min=1, metavar="PIXELS", help="With --data: whole frames at this size.")
    ] = None,
) -> None:
    """Decode tokens to mp4, png, wav or npy files."""
    if (tokens is None) == (data is None):
        raise typer.BadParameter("give one of them", param_hint="--tokens, --data")
    console = output_console()
    with plain_errors(), tempfile.TemporaryDirectory(prefix="ndvq-tokens-") as folder:
        from ndvq_tune.quantities import count_text
        from ndvq_tune.tokens.models import model_folder
        from ndvq_tune.tokens.reconstruct import reconstruct as decode
        from ndvq_tune.tokens.tokenize import tokenize

        checkpoint = model_folder(model)
        with data_progress(console) as progress:
            if data is not None:
                tokens = Path(folder)
                tokenize(checkpoint, data, tokens, shorter_side=shorter_side, progress=progress)
            assert tokens is not None
            written = decode(checkpoint, tokens, output, progress)
        console.print(f"{output}: wrote {count_text(written, 'file')}", markup=False, highlight=False)
