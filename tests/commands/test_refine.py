"""The refine command: a results folder in, a space that runs out."""

import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ndvq_tune.commands.refine import app
from ndvq_tune.search.earlier.reading import read_folder
from ndvq_tune.search.earlier.warm_start import plan
from ndvq_tune.search.space import SearchSpace
from tests.search.earlier.earlier_examples import POINT, write_results
from tests.search.search_examples import space_of

CODES = [64] * 4 + [32] * 6 + [16] * 6
BETAS = [0.25, 0.3, 0.35, 0.4, *[0.06, 0.15, 0.9, 1.8] * 3]
POINTS = [
    POINT | {"model.n_codes": codes, "model.codebook_beta": beta} for codes, beta in zip(CODES, BETAS, strict=True)
]
LOSSES = [0.1 + 0.01 * number for number in range(16)]
LEVEL = [3.0, 2.0, 1.5, 1.1, 1.02, 1.01, 1.01, 1.0, 1.0]
FALLING = [1.3 ** (9 - epoch) for epoch in range(1, 10)]


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A search of 16 trials whose best 4 have 64 codes and a beta about 0.3."""
    monkeypatch.chdir(tmp_path)
    folder = Path("runs/small")
    write_results(folder, space_of(), POINTS, LOSSES)
    return folder


def refine(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_written_space_loads_and_says_why_it_changed(results: Path) -> None:
    done = refine(results)
    assert done.exit_code == 0, done.output
    space = SearchSpace.load(results / "refined.yaml")
    assert space.name == "small-refined"
    assert space.source["model"]["n_codes"] == 64
    assert space.search == space_of().search
    lines = (results / "refined.yaml").read_text().splitlines()
    before = lines[lines.index("  n_codes: 64") - 1]
    assert before.startswith("  # fixed: all of the best 4 of 16 trials use 64")
    beta = next(n for n, line in enumerate(lines) if line.startswith("  codebook_beta: {log_uniform: ["))
    assert lines[beta - 1] == "  # was 0.05 to 2: the best 4 of 16 trials lie between 0.25 and 0.4"


def test_what_the_diagnosis_asks_of_the_space_is_in_it(results: Path) -> None:
    write_results(Path("runs/falling"), space_of(), POINTS, LOSSES, FALLING)
    done = refine("runs/falling")
    assert done.exit_code == 0, done.output
    space = SearchSpace.load(Path("runs/falling/refined.yaml"))
    assert space.max_epochs == 18
    assert space.source["model"]["n_codes"] == {"choice": [64, 128]}  # the best have the most that there were
    text = Path("runs/falling/refined.yaml").read_text()
    assert "narrowed to where its best trials lie, and as its diagnosis asks." in text
    assert "  # still_falling (trial-0000, low confidence): its loss still fell by 41% over the last 3 epochs" in text
    lines = done.output.splitlines()
    assert "training.max_epochs: 18  # still_falling (trial-0000, low confidence): its loss still fell by" in lines[2]
    assert not any(line.startswith("advice:") for line in lines)


def test_what_no_space_can_do_is_printed_as_advice(results: Path) -> None:
    write_results(Path("runs/poor"), space_of(), POINTS, LOSSES, LEVEL)
    Path("runs/poor/summary.json").write_text('{"baselines": [{"name": "bicubic", "recon_loss": 0.05}]}')
    *_, beta, first, advice, command = refine("runs/poor").output.splitlines()
    assert beta.startswith("model.codebook_beta: {log_uniform: [0.06")
    assert first.startswith("search.first: [{model.n_codes: 64, model.downsample: [2, 2, 2], model.codebook_beta: 0.06")
    assert "}]  # commitment_high (trial-0000, medium confidence): its commitment loss is" in first
    assert advice.startswith("advice: do not use it yet: bicubic does as well or better without a model  # loses_to")
    assert command.startswith("runs/poor/refined.yaml: ")


def test_a_line_for_each_change_and_the_command_that_runs_it(results: Path) -> None:
    *changes, command = refine(results).output.splitlines()
    assert changes[0].startswith("model.n_codes: 64  # fixed: all of the best 4 of 16 trials use 64")
    assert changes[1].startswith("model.codebook_beta: {log_uniform: [")
    assert shlex.split(command.partition(": ")[2]) == [
        "python", "-m", "ndvq_tune.search", "--space", "runs/small/refined.yaml", "--warm-start", "runs/small",
    ]  # fmt: skip


def test_the_refined_search_starts_from_the_best_of_the_old_one(results: Path) -> None:
    refine(results)
    _, earlier = read_folder(results)
    start = plan(SearchSpace.load(results / "refined.yaml"), [earlier])
    assert {trial.number for trial in start.known} == {0, 1, 2, 3}
    assert start.first_points == ()


def test_the_output_may_lie_anywhere_and_is_not_overwritten(results: Path) -> None:
    assert refine(results, "--output", "spaces/next.yaml").exit_code == 0
    first = Path("spaces/next.yaml").read_text()
    again = refine(results, "--output", "spaces/next.yaml", "--keep", 0.5)
    assert again.exit_code == 2
    assert "spaces/next.yaml: is already there; give another --output" in again.stderr
    assert Path("spaces/next.yaml").read_text() == first


@pytest.mark.parametrize(
    ("output", "schema"),
    [("runs/small/refined.yaml", "../../search_spaces/schema.json"), ("search_spaces/next.yaml", "schema.json")],
)
def test_editors_are_told_the_schema_where_there_is_one(results: Path, output: str, schema: str) -> None:
    refine(results, "--output", "without.yaml")
    assert "yaml-language-server" not in Path("without.yaml").read_text()
    Path("search_spaces").mkdir()
    Path("search_spaces/schema.json").touch()
    refine(results, "--output", output)
    assert Path(output).read_text().splitlines()[0] == f"# yaml-language-server: $schema={schema}"


def test_a_larger_share_of_best_trials_narrows_less(results: Path) -> None:
    refine(results, "--output", "few.yaml", "--keep", 0.2)
    refine(results, "--output", "many.yaml", "--keep", 0.5)
    few, many = (SearchSpace.load(Path(name)).source["model"] for name in ("few.yaml", "many.yaml"))
    assert few["n_codes"] == 64
    assert many["n_codes"] == {"choice": [32, 64]}


def test_too_few_trials_are_an_explanation_and_exit_code_2(tmp_path: Path) -> None:
    write_results(tmp_path, space_of(), [POINT] * 7, [0.5] * 7)
    done = refine(tmp_path)
    assert done.exit_code == 2
    assert f"{tmp_path}: 7 finished trials that can be compared; needs at least 8" in done.stderr
    command = done.stderr.partition("let the search go on first: ")[2]
    assert shlex.split(command) == [
        "python", "-m", "ndvq_tune.search", "--resume", "--output", str(tmp_path), "--trials", str(6 + 8),
    ]  # fmt: skip
    assert "Traceback" not in done.output
    assert not (tmp_path / "refined.yaml").exists()


def test_nothing_to_narrow_is_said_and_no_file_is_written(tmp_path: Path) -> None:
    space = space_of(model={"n_codes": {"choice": [16, 32]}, "downsample": [2, 2, 2], "codebook_beta": 0.25,
                            "attention": {"type": "none", "n_head": 2}})  # fmt: skip
    write_results(tmp_path, space, [{"model.n_codes": (16, 32)[n % 2]} for n in range(8)], [0.1 * n for n in range(8)])
    done = refine(tmp_path)
    assert done.exit_code == 1
    assert "nothing to narrow" in done.output
    assert not (tmp_path / "refined.yaml").exists()


@pytest.mark.parametrize("keep", ["0", "1.5", "-0.1"])
def test_a_share_that_is_none_is_refused(results: Path, keep: str) -> None:
    done = refine(results, "--keep", keep)
    assert done.exit_code == 2
    assert "--keep" in done.stderr


def test_a_folder_without_a_search_is_refused(tmp_path: Path) -> None:
    done = refine(tmp_path / "none")
    assert done.exit_code == 2
    assert "holds no search" in done.stderr
