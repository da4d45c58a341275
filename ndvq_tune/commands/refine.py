"""``ndvq-tune refine``: a narrower search space around what worked in a search."""

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
import yaml

from ndvq_tune.commands.console import output_console, plain_errors
from ndvq_tune.errors import ResultsError
from ndvq_tune.records import short_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from ndvq_tune.diagnosis.finding import Finding
    from ndvq_tune.search.earlier.narrowing import Change
    from ndvq_tune.search.space import SearchSpace

NOTHING_TO_NARROW = 1
SCHEMA = Path("search_spaces/schema.json")

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def refine(
    results: Annotated[Path, typer.Argument(help="Results folder of a search, such as runs/NAME.")],
    output: Annotated[Path | None, typer.Option(help="The file to write; RESULTS/refined.yaml if not given.")] = None,
    keep: Annotated[
        float, typer.Option(help="Share of the trials that count as the best, above 0 and up to 1.")
    ] = 0.25,
) -> None:
    """Write a narrower search space around what worked, with what its diagnosis asks for, and why as comments."""
    console = output_console()
    output = output or results / "refined.yaml"
    if not 0 < keep <= 1:
        raise typer.BadParameter(f"{keep} given; needs a share above 0 and up to 1", param_hint="--keep")
    with plain_errors():
        if output.exists():
            raise ResultsError(f"{output}: is already there; give another --output")
        space, changes, findings = _narrowed(results, keep, console)
        if changes:
            _write(output, space, changes, _head(results, changes))
    for change in changes:
        console.print(_line(change), markup=False, highlight=False)
    for finding in findings:
        if not any(finding in change.findings for change in changes):
            console.print(_advice(finding), markup=False, highlight=False)
    if not changes:
        console.print(f"{results}: nothing to narrow; the best trials are spread over the whole space", markup=False)
        raise typer.Exit(NOTHING_TO_NARROW)
    command = _command("--space", output, "--warm-start", results)
    console.print(f"{output}: {command}", markup=False, highlight=False)


def _narrowed(
    results: Path, keep: float, console: "Console"
) -> "tuple[SearchSpace, Sequence[Change], Sequence[Finding]]":
    """The space of a search, what would make it narrower or follows its diagnosis, and all that was found."""
    from ndvq_tune.judgement.standing import Standing
    from ndvq_tune.report.wording import left_out
    from ndvq_tune.search.earlier.narrowing import FEWEST_TRIALS, narrowed
    from ndvq_tune.search.earlier.reading import read_search
    from ndvq_tune.search.outcome import diagnosed

    space, search = read_search(results)
    for line in left_out(search):
        console.print(line, markup=False, highlight=False)
    findings = diagnosed(Standing(search), space).findings
    try:
        return space, narrowed(space, search.trials, keep, findings), findings
    except ValueError as error:
        more = _command("--resume", "--output", results, "--trials", space.search.trials + FEWEST_TRIALS)
        raise ResultsError(f"{results}: {error}; let the search go on first: {more}") from None


def _head(results: Path, changes: "Sequence[Change]") -> str:
    follows = ", and as its diagnosis asks" if any(change.findings for change in changes) else ""
    return f"The space of {results}, narrowed to where its best trials lie{follows}."


def _write(path: Path, space: "SearchSpace", changes: "Sequence[Change]", head: str) -> None:
    from ndvq_tune.search.earlier.narrowing import refined
    from ndvq_tune.search.earlier.yaml_comments import to_yaml
    from ndvq_tune.search.space import SearchSpace
    from ndvq_tune.yaml_file import Document

    comments = [(c.key, c.reason if c.leaf is not None else f"{short_name(c.key)} {c.reason}") for c in changes]
    text = _schema_line(path) + to_yaml(refined(space, changes), head, comments)
    SearchSpace.from_document(Document(str(path), yaml.safe_load(text), {}))  # what cannot run is not written
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ResultsError(f"{path}: cannot be written: {error.strerror or error}") from None


def _schema_line(path: Path) -> str:
    """What tells editors the schema, as in the spaces that are shipped; nothing where these are not."""
    if not SCHEMA.is_file():
        return ""
    schema = Path(os.path.relpath(SCHEMA.resolve(), path.parent.resolve()))
    return f"# yaml-language-server: $schema={schema.as_posix()}\n"


def _command(*arguments: object) -> str:
    return shlex.join(["python", "-m", "ndvq_tune.search", *map(str, arguments)])


def _line(change: "Change") -> str:
    text = yaml.safe_dump(change.leaf, default_flow_style=True, sort_keys=False, width=10**6).splitlines()[0]
    leaf = "" if change.leaf is None else f" {text}"
    return f"{change.key}:{leaf}  # {change.reason}"


def _advice(finding: "Finding") -> str:
    """What a finding says that no space can do; the diagnosis has the command, where there is one."""
    from ndvq_tune.search.earlier.following import reason_of

    return f"advice: {finding.advice}  # {reason_of(finding)}"
