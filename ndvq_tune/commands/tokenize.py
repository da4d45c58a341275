"""``ndvq-tune tokenize``: files to the codes of a model."""

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ndvq_tune.commands.console import data_progress, output_console, plain_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from ndvq_tune.tokens.tokenize import Spread

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

ModelOption = Annotated[
    str,
    typer.Option(help="Results folder of a search, checkpoint, or models:/NAME@champion of MLflow."),
]


@app.command()
def tokenize(
    model: ModelOption,
    data: Annotated[str, typer.Option(metavar="FOLDER", help="Files to encode: a folder or a URI.")],
    output: Annotated[Path, typer.Option(metavar="TOKENS", help="Folder for the codes; goes on with one that it has.")],
    shorter_side: Annotated[
        int | None,
        typer.Option(min=1, metavar="PIXELS", help="Whole frames at this size; as training samples if not given."),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(help="A Ray cluster to encode on: auto, or host:port; all nodes need to see the folders."),
    ] = None,
) -> None:
    """Encode whole files of any length; the same command again goes on with what is missing."""
    console = output_console()
    with plain_errors():
        from ndvq_tune.tokens.models import model_folder
        from ndvq_tune.tokens.tokenize import tokenize as encode

        folder = model_folder(model)
        with data_progress(console) as progress, _spread(address) as spread:
            encode(folder, data, output, shorter_side=shorter_side, spread=spread, progress=progress)
        _tell(console, output)


@contextmanager
def _spread(address: str | None) -> "Iterator[Spread]":
    """Who encodes: this process, or the nodes of a cluster."""
    if address is None:
        yield map
        return
    from ndvq_tune.search.decoding import on_all_nodes
    from ndvq_tune.search.resources.cluster import cluster

    with cluster(address):
        yield on_all_nodes


def _tell(console: "Console", output: Path) -> None:
    """What the folder has now, and what could not be encoded."""
    from ndvq_tune.quantities import bytes_text, count_text
    from ndvq_tune.report.skipped import print_skipped, write_skipped
    from ndvq_tune.tokens.store import CODES, manifest_of, shards_of

    shards, manifest = shards_of(output), manifest_of(output)
    recordings = sum(len(shard.recordings) for shard in shards)
    size = sum((shard.folder / CODES).stat().st_size for shard in shards)
    console.print(
        f"{output}: codes of {count_text(recordings, 'file')}, {bytes_text(size)}, {manifest.dtype} below "
        f"{manifest.n_codes}",
        markup=False,
        highlight=False,
    )
    if not manifest.exact:
        console.print(
            "note: attention and group norm see whole recordings, so what is larger than a training sample was encoded "
            "in pieces, and codes near their seams are others than those of the whole",
            highlight=False,
        )
    skipped = {name: reason for shard in shards for name, reason in shard.skipped.items()}
    if skipped:
        print_skipped(console, skipped, recordings + len(skipped), write_skipped(skipped, output))
