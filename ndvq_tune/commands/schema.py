"""``ndvq-tune schema``: the JSON schema of search spaces, for editors, and the tables of its page."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from ndvq_tune.commands.console import plain_errors
from ndvq_tune.errors import ResultsError

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def schema_text(schema: dict[str, Any]) -> str:
    """JSON with a line for each definition, so that a change of a setting is a change of a line or two."""
    definitions = (f"  {json.dumps(name)}: {json.dumps(part)}" for name, part in schema["$defs"].items())
    rest = (f" {json.dumps(name)}: {json.dumps(part)}" for name, part in schema.items() if name != "$defs")
    defined = ' "$defs": {\n' + ",\n".join(definitions) + "\n }"
    return "{\n" + ",\n".join([*rest, defined]) + "\n}\n"


@app.command(epilog="First line of a space: # yaml-language-server: $schema=schema.json")
def schema(
    output: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Where to write the schema; it is printed if not given.")
    ] = None,
    page: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="A page such as docs/space.md, whose tables are made anew; no schema then."),
    ] = None,
) -> None:
    """Write the schema with which an editor completes and checks a search space."""
    with plain_errors():
        from ndvq_tune.search.space.grammar import space_schema

        try:
            if page is not None:
                from ndvq_tune.search.space.grammar_page import filled  # with the sizes of models: torch

                page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")
            elif output is not None:
                output.write_text(schema_text(space_schema()), encoding="utf-8")
            else:
                typer.echo(schema_text(space_schema()), nl=False)
        except OSError as error:
            raise ResultsError(f"{page or output}: {error.strerror}") from None
