"""The commands tokenize and reconstruct: files in, codes, and files out."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ndvq_tune.commands import reconstruct, tokenize
from tests.tokens.conftest import files, trained  # noqa: F401 (fixtures)

Make = Callable[..., Path]


def run(app, *arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_files_to_tokens_and_back(trained: Make, files: Make, tmp_path: Path) -> None:  # noqa: F811
    model, folder, tokens = trained("image"), files("image"), tmp_path / "tokens"
    (folder / "broken.png").write_bytes(b"no image")
    done = run(tokenize.app, "--model", model, "--data", folder, "--output", tokens)
    assert done.exit_code == 0, done.output
    assert f"{tokens}: codes of 3 files" in done.output
    assert "skipped 1 of 4 files: broken.png" in done.output
    assert "note:" not in done.output
    assert (tokens / "skipped.csv").read_text().startswith("file,reason\nbroken.png,")
    again = run(tokenize.app, "--model", model, "--data", folder, "--output", tokens)
    assert again.output == done.output
    back = run(reconstruct.app, "--model", model, "--tokens", tokens, "--output", tmp_path / "out")
    assert back.exit_code == 0, back.output
    assert back.output == f"{tmp_path / 'out'}: wrote 3 files\n"
    assert sorted(path.name for path in (tmp_path / "out").rglob("*.png")) == ["a.png", "c.png", "d.png"]


def test_files_by_way_of_their_tokens(trained: Make, files: Make, tmp_path: Path) -> None:  # noqa: F811
    done = run(reconstruct.app, "--model", trained("signal"), "--data", files("signal"), "--output", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert (tmp_path / "out" / "b" / "c.wav").exists()


def test_it_is_said_where_seams_may_show(trained: Make, files: Make, tmp_path: Path) -> None:  # noqa: F811
    model = trained("image", norm="group")
    done = run(tokenize.app, "--model", model, "--data", files("image"), "--output", tmp_path / "tokens")
    assert done.exit_code == 0, done.output
    assert "note: attention and group norm see whole recordings" in done.output


@pytest.mark.parametrize("given", [(), ("--tokens", "a", "--data", "b")])
def test_tokens_or_files_and_not_both(given: tuple[str, ...], tmp_path: Path) -> None:
    done = run(reconstruct.app, "--model", "m", "--output", tmp_path / "out", *given)
    assert done.exit_code == 2
    assert "give one of them" in done.output


def test_mistakes_are_told_without_a_traceback(trained: Make, files: Make, tmp_path: Path) -> None:  # noqa: F811
    arguments = ("--data", files("image"), "--output", tmp_path / "tokens")
    for model, told in ((tmp_path, "is no checkpoint"), (trained("signal"), "there are no signals in it")):
        done = run(tokenize.app, "--model", model, *arguments)
        assert done.exit_code == 2
        assert told in done.stderr
        assert "Traceback" not in done.output
