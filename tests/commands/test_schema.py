import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ndvq_tune.commands.schema import app, schema_text
from ndvq_tune.search.space.grammar import space_schema

TOP = Path(__file__).parents[2]


def run(*arguments: str | Path) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_the_schema_that_is_shipped_is_that_of_the_models() -> None:
    shipped = (TOP / "search_spaces" / "schema.json").read_text(encoding="utf-8")
    assert shipped == schema_text(space_schema()), "python -m ndvq_tune.schema --output search_spaces/schema.json"


def test_the_schema_is_printed_or_written_as_json(tmp_path: Path) -> None:
    printed = run()
    assert json.loads(printed) == space_schema()
    assert run("--output", tmp_path / "schema.json") == ""
    assert (tmp_path / "schema.json").read_text(encoding="utf-8") == printed


def test_a_page_gets_its_tables_and_keeps_its_text(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n\n<!-- table: search.confirm -->\nold\n<!-- end -->\n\nafter — ü\n", encoding="utf-8")
    run("--page", page)
    first, *table, last = page.read_text(encoding="utf-8").split("\n\n")
    assert (first, last) == ("before", "after — ü\n")
    assert "old" not in table[0]
    assert "| `top` | whole number >= 1 | `3` |" in table[0]


@pytest.mark.parametrize("option", ["--page", "--output"])
def test_a_folder_that_is_not_there_is_told_in_a_line(tmp_path: Path, option: str) -> None:
    result = CliRunner().invoke(app, [option, str(tmp_path / "none" / "file")])
    assert result.exit_code == 2
    assert "No such file or directory" in result.output
    assert "Traceback" not in result.output
