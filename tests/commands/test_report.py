"""The report command: a results folder in, its report made anew, or what to do next."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ndvq_tune.commands.report import app
from ndvq_tune.search.earlier.reading import read_search
from tests.search.earlier.earlier_examples import POINT, write_results
from tests.search.search_examples import space_of


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A search of three trials of one epoch each."""
    monkeypatch.chdir(tmp_path)
    folder = Path("runs/small")
    points = [POINT | {"model.n_codes": codes} for codes in (16, 32, 64)]
    write_results(folder, space_of(), points, [0.3, 0.2, 0.1])
    return folder


def report(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_page_is_made_anew_from_the_journal_and_its_path_printed(results: Path) -> None:
    done = report(results)
    assert (done.exit_code, done.output) == (0, "runs/small/report.html\n")
    page = (results / "report.html").read_text()
    assert "3 trials in " in page
    assert page.count("<h2>Verdict:") + page.count("<h2>No verdict") == 1


def test_the_diagnosis_is_printed_and_nothing_is_written(results: Path) -> None:
    before = sorted(results.iterdir())
    done = report(results, "--diagnose")
    assert done.exit_code == 0
    assert done.output.startswith("Verdict: ")
    assert sorted(results.iterdir()) == before


def test_trials_that_cannot_be_read_are_counted_with_the_reason(results: Path) -> None:
    journal = results / "optuna.journal"
    journal.write_text(journal.read_text().replace('"n_codes":16', '"n_coads":16'))
    said = "left out 1 trial that cannot be read: model.n_coads: unknown key"
    assert report(results, "--diagnose").output.startswith(said)
    report(results)
    assert said.replace("l", "L", 1) in (results / "report.html").read_text()


@pytest.fixture
def other(results: Path) -> Path:
    """Another search, of one trial."""
    write_results(Path("runs/other"), space_of(name="other"), [POINT], [0.25])
    return Path("runs/other")


def test_several_searches_are_compared_on_a_page_and_in_a_table(results: Path, other: Path) -> None:
    done = report(results, other, results)
    assert done.exit_code == 0
    first, *_, last = done.output.strip().splitlines()
    assert first.startswith("These searches do not compare")  # they have no checkpoints, which know the data
    assert last == "comparison.html"
    rows = [line.split() for line in done.output.splitlines() if line.startswith(("small ", "other "))]
    assert [(row[0], row[4]) for row in rows] == [("small", "3"), ("other", "1")]
    assert "<h1>2 searches</h1>" in Path("comparison.html").read_text()
    assert not (results / "report.html").exists()
    assert report(results, other, "--output", "pages/both.html").output.endswith("pages/both.html\n")
    assert Path("pages/both.html").is_file()


def test_of_several_searches_each_diagnosis_is_printed_under_its_folder(results: Path, other: Path) -> None:
    lines = report(results, other, "--diagnose").output.splitlines()
    assert [lines[lines.index(str(folder)) + 1].partition(":")[0] for folder in (results, other)] == ["Verdict"] * 2


def test_a_page_that_compares_needs_several_searches_and_a_place(results: Path, other: Path) -> None:
    alone = report(results, "--output", "page.html")
    assert alone.exit_code == 2
    assert "compares several searches" in alone.stderr
    blocked = report(results, other, "--output", results / "space.yaml" / "page.html")
    assert blocked.exit_code == 2
    assert "page.html: cannot be written" in blocked.stderr


def test_what_only_the_summary_knows_is_taken_from_there(results: Path) -> None:
    (results / "summary.json").write_text(
        '{"ended_by": "stall", "skipped_files": {"a.wav": "empty"}, "baselines": '
        '[{"name": "bicubic", "recon_loss": 0.05}], "importance": [{"key": "model.n_codes", "share": 0.5, "low": 0.4, '
        '"high": 0.6}]}'
    )
    _, search = read_search(results)
    assert (search.ended_by, search.skipped_files) == ("stall", {"a.wav": "empty"})
    assert [baseline.name for baseline in search.baselines] == ["bicubic"]
    assert [importance.share for importance in search.importances] == [0.5]
    assert [trial.metrics["recon_loss"] for trial in search.trials] == [0.3, 0.2, 0.1]


@pytest.mark.parametrize("options", [(), ("--diagnose",)])
def test_a_folder_without_a_search_is_answered_in_a_sentence(results: Path, options: tuple[str, ...]) -> None:
    done = report("runs/none", *options)
    assert done.exit_code == 2
    assert done.stderr == "runs/none: holds no search; needs a results folder such as runs/NAME; there are runs/small\n"


def test_a_search_without_trials_and_a_broken_summary_are_answered_in_a_sentence(results: Path) -> None:
    write_results(Path("runs/empty"), space_of(), [], [])
    (Path("runs/empty") / "optuna.journal").touch()
    assert report("runs/empty").exit_code == 2
    assert "runs/empty: has no trials" in report("runs/empty").stderr
    (results / "summary.json").write_text("{")
    assert report(results).exit_code == 2
    assert "runs/small/summary.json: cannot be read" in report(results).stderr
