import re
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from ndvq_tune.commands import search as command
from ndvq_tune.config import RunConfig
from ndvq_tune.judgement.standing import Standing
from ndvq_tune.records import SearchRecord, StopReason, TrialRecord, TrialState
from ndvq_tune.search.engine.study import Study
from ndvq_tune.search.folder import claim, write_space
from ndvq_tune.search.outcome import SearchResult
from ndvq_tune.search.space import SearchSpace
from tests.report.report_examples import READY, goals
from tests.search.earlier.earlier_examples import POINT, write_results
from tests.search.search_examples import SMALL, begin, report, write_yaml

OPTIONS = {
    "--space", "--trials", "--time-budget", "--data", "--output", "--name", "--resume", "--warm-start", "--seed",
    "--set", "--dry-run", "--address", "--tracking-uri", "--ui",
}  # fmt: skip

RUN_SEARCH = "ndvq_tune.search.run.run_search"


@pytest.fixture
def space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A space file, in an empty current folder."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("NDVQ_TUNE_CACHE", str(tmp_path / "cache"))
    return write_yaml(tmp_path / "space.yaml", SMALL)


def outcome(*trials: TrialRecord, finished: bool = True) -> SearchResult:
    standing = Standing(SearchRecord("small", trials, goals("recon_loss")))
    return SearchResult(Path("runs/small"), standing, READY, finished, "mlflow ui")


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    """Searches that the command begins; each completes one trial at once, without Ray."""
    searches: list[tuple] = []

    def run_search(space, folder, console, data_progress, address, known, serve):
        searches.append((space, folder, address, known))
        trial = TrialRecord(0, {}, space.complete({}), TrialState.COMPLETED, (report(),), checkpoint="x")
        return outcome(trial)

    monkeypatch.setattr(RUN_SEARCH, run_search)
    return searches


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What becomes of MLflow's pages, which are not really served; who waits for their end interrupts it."""
    events: list[str] = []

    class Pages:
        running = True

        def __init__(self, tell) -> None: ...

        def serve(self, store):
            events.append("serve")
            return store

        def wait(self) -> None:
            events.append("wait")
            raise KeyboardInterrupt

        def close(self) -> None:
            events.append("close")

    monkeypatch.setattr("ndvq_tune.tracking.ui.Ui", Pages)
    return events


def run(*arguments: object) -> Result:
    return CliRunner().invoke(command.app, [str(argument) for argument in arguments], env={"COLUMNS": "200"})


def failure(*arguments: object) -> str:
    """What a user's mistake prints."""
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output
    return result.stderr


def test_no_such_file(space):
    assert failure("--space", space.with_name("spce.yaml")) == (
        f"{space.parent}/spce.yaml: cannot be read: No such file or directory; {space.parent} has space.yaml\n"
    )


def test_bad_keys_are_all_told_with_file_and_line(space):
    text = "name: a\nmodel:\n  n_code: 3\nsearch: {trails: 4}\n"
    lines = failure("--space", write_yaml(space, text)).splitlines()
    assert [line.split(";")[0] for line in lines] == [
        f"{space}:3: model.n_code: unknown key",
        f"{space}:4: search.trails: unknown key",
    ]


def test_a_bad_value_on_the_command_line(space):
    message = failure("--space", space, "--set", "model.n_hidens=4")
    assert "model.n_hidens: unknown key; did you mean 'n_hiddens'?" in message
    assert "needs the form key.path=value" in failure("--space", space, "--set", "model.n_hiddens")
    assert "--trials" in failure("--space", space, "--trials", 0)
    assert "--seed" in failure("--space", space, "--seed", "one")


def test_data_that_is_missing(space, tmp_path):
    message = failure("--space", space, "--data", tmp_path / "films")
    assert f"{tmp_path}/films: no such folder" in message


def test_data_without_a_test_split(space, tmp_path):
    (tmp_path / "films" / "train").mkdir(parents=True)
    assert "there is no folder test/ in it" in failure("--space", space, "--data", tmp_path / "films")


def test_a_start_that_failed_does_not_block_the_next(space, tmp_path, monkeypatch):
    failure("--space", space, "--data", tmp_path / "films")
    (tmp_path / "films").mkdir()
    assert "there is no folder train/ in it" in failure("--space", space, "--data", tmp_path / "films")


def test_an_output_that_holds_another_search(space, tmp_path):
    begin(Study.open(tmp_path, SearchSpace.load(space)))
    message = failure("--space", space, "--output", tmp_path)
    assert f"{tmp_path}: already holds a search; go on with it with --resume" in message


def test_an_output_that_another_driver_uses(space, tmp_path):
    with claim(tmp_path / "out"):
        assert "another driver" in failure("--space", space, "--output", tmp_path / "out")


@pytest.mark.parametrize("budget", ["", "0", "0m", "10 minutes", "1.5h", "-3", "m", "1m1h"])
def test_a_bad_time_budget(space, budget):
    message = failure("--space", space, "--time-budget", budget)
    assert f"{budget!r} given; needs a duration such as 90s, 10m or 1h30m" in message


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("90s", 90), ("10m", 600), ("1h30m", 5400), ("1h1s", 3601)])
def test_durations(text, seconds):
    assert command.parse_seconds(text) == seconds


def test_a_duration_that_is_none():
    with pytest.raises(typer.BadParameter, match="'soon' given"):
        command.parse_seconds("soon")


def test_no_space_at_all(space):
    assert "--space" in failure()
    assert "--space" in failure("--resume")


def test_nothing_to_resume(space, tmp_path):
    assert f"{tmp_path}/none: holds no search to resume" in failure("--resume", "--output", tmp_path / "none")


def test_help_names_every_option_and_says_what_it_is_for():
    text = run("--help").output
    assert set(re.findall(r"--[a-z-]+", text)) >= OPTIONS
    assert "Ctrl-C saves everything, and --resume goes on" in text


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """A data set, as far as its names tell."""
    for split in ("train", "test"):
        (tmp_path / "films" / split).mkdir(parents=True)
        (tmp_path / "films" / split / "a.mp4").touch()
    return tmp_path / "films"


def test_a_dry_run_starts_nothing_and_leaves_nothing(space, begun, films):
    result = run("--space", space, "--dry-run", "--data", films, "--set", "model.n_hiddens=8")
    assert result.exit_code == 0, result.output
    assert "n_hiddens: 8" in result.output
    assert "6 trials on" in result.output
    assert "most parameters" in result.output
    assert begun == []
    assert list(Path.cwd().iterdir()) == []


@pytest.mark.parametrize("absolute", [False, True])
def test_a_dry_run_leaves_no_samples_that_it_has_to_look_at(space, tmp_path, absolute):
    path = Path("data/array_dataset").absolute() if absolute else "data/array_dataset"
    arrays = {"type": "array", "path": str(path)}
    fixed = {"n_dims": 2, "downsample": [2, 2], "n_codes": 16}
    content = {"name": "arrays", "data": arrays, "model": fixed, "training": {"max_epochs": 1}}
    result = run("--space", write_yaml(tmp_path / "arrays.yaml", content), "--dry-run")
    assert result.exit_code == 0, result.output
    assert list(Path.cwd().iterdir()) == []


def test_a_dry_run_says_of_data_what_the_search_would(space, films):
    for path in (films / "none", films.relative_to(films.anchor), films / "train"):
        given = ("--space", space, "--data", path)
        assert failure(*given, "--dry-run") == failure(*given)


def test_a_dry_run_is_possible_beside_results(space, begun, films, tmp_path):
    (tmp_path / "out").mkdir()
    begin(Study.open(tmp_path / "out", SearchSpace.load(space)))
    given = ("--space", space, "--output", tmp_path / "out", "--data", films)
    assert run(*given, "--dry-run").exit_code == 0
    assert "already holds a search" in failure(*given)


def test_a_dry_run_of_a_space_of_which_nothing_passes_is_an_error_that_says_what_to_do(space, films):
    bound = "search.constraints=[{metric: bits_per_element, at_most: 0.01}]"
    message = failure("--space", space, "--data", films, "--dry-run", "--set", bound)
    assert message.startswith("small: search.constraints: none of 60 random configurations passes before training")
    assert "60 break bits_per_element at_most 0.01, and" in message
    assert "loosen the bound, or have other values in the space" in message


def test_options_take_the_place_of_what_the_space_says(space, begun, tmp_path):
    options = ["--trials", 3, "--seed", 9, "--name", "2024", "--data", "my clips #1: best", "--time-budget", "2m"]
    options += ["--address", "auto", "--tracking-uri", "http://localhost:5000", "--set", "training.batch_size=2"]
    result = run("--space", space, *options)
    assert result.exit_code == 0, result.output
    ((searched, folder, address, known),) = begun
    assert (searched.name, searched.search.trials, searched.search.seed) == ("2024", 3, 9)
    assert searched.search.time_budget == 120
    assert searched.data.path == "my clips #1: best"
    assert searched.complete({}).training.batch_size == 2
    assert (searched.tracking.uri, address, known) == ("http://localhost:5000", "auto", None)
    assert folder == Path("runs/2024").absolute()


def test_results_are_named(space, begun):
    output = run("--space", space).output
    assert "results  runs/small" in output


def test_resume_goes_on_with_the_space_kept_in_the_folder(space, begun, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    kept = SearchSpace.load(space, ["model.n_hiddens=8"])
    write_space(folder, kept)
    begin(Study.open(folder, kept))
    space.unlink()
    assert run("--resume", "--output", folder, "--trials", 9).exit_code == 0
    ((searched, where, _, _),) = begun
    assert searched.complete({}).model.n_hiddens == 8
    assert searched.search.trials == 9
    assert where == folder
    assert "but search.seed would change; only" in failure("--resume", "--output", folder, "--seed", 4)


def test_a_warm_start_takes_over_what_an_earlier_search_found(space, begun, tmp_path):
    losses = [0.3, 0.2, 0.4]
    points = [POINT | {"model.codebook_beta": beta} for beta in (0.1, 0.2, 0.4)]
    write_results(tmp_path / "earlier", SearchSpace.load(space), points, losses)
    result = run("--space", space, "--warm-start", tmp_path / "earlier")
    assert result.exit_code == 0, result.output
    assert f"{tmp_path}/earlier: 3 trials taken over, 0 more to be tried first" in result.output
    ((_, _, _, known),) = begun
    assert [trial.params for trial in known.known] == points
    assert [trial.metrics["recon_loss"] for trial in known.known] == losses


def test_a_dry_run_says_what_a_warm_start_would_take_over(space, begun, films, tmp_path):
    earlier = SearchSpace.load(space, [f"data.path={films}"])
    write_results(tmp_path / "earlier", earlier, [POINT], [0.3])
    given = ("--space", space, "--data", films, "--warm-start", tmp_path / "earlier")
    result = run(*given, "--dry-run", "--set", "model.n_hiddens=8")
    assert result.exit_code == 0, result.output
    assert "0 trials taken over, 1 more to be tried first" in result.output
    assert begun == []


def test_a_search_that_goes_on_takes_nothing_over(space, begun, tmp_path):
    write_results(tmp_path / "earlier", SearchSpace.load(space), [POINT], [0.3])
    message = failure("--resume", "--output", tmp_path / "earlier", "--warm-start", tmp_path / "earlier")
    assert "Invalid value for --warm-start: is for a new search; this one has trials of its own" in message
    assert begun == []


def test_a_warm_start_from_nothing(space, begun, tmp_path):
    message = failure("--space", space, "--warm-start", tmp_path / "none")
    assert f"{tmp_path}/none: holds no search; needs a results folder such as runs/NAME" in message
    assert begun == []


def test_what_takes_seconds_is_said_before_it_begins(space, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("ndvq_tune.search.decoding.open_on_cluster", interrupted)
    result = run("--space", space)
    assert result.exit_code == 130
    assert result.stdout == "small: opening the data and starting Ray ...\n"
    assert result.stderr == "Interrupted\n"


def served(finished: bool = True):
    """A search that has MLflow's pages served where that is asked for."""

    def run_search(space, folder, console, data_progress, address, known, serve):
        if serve is not None:
            serve("store")
        trial = TrialRecord(0, {}, space.complete({}), TrialState.COMPLETED, (report(),), checkpoint="x")
        return outcome(trial, finished=finished)

    return run_search


def test_pages_are_served_until_ctrl_c_which_is_no_error(space, pages, monkeypatch):
    monkeypatch.setattr(RUN_SEARCH, served())
    result = run("--space", space, "--ui")
    assert result.exit_code == 0
    assert result.stdout.endswith("MLflow: these pages are served until Ctrl-C\n")
    assert pages == ["serve", "wait", "close"]


def test_pages_end_with_an_interrupted_search_and_with_an_error(space, pages, monkeypatch):
    monkeypatch.setattr(RUN_SEARCH, served(finished=False))
    assert run("--space", space, "--ui").exit_code == 130
    assert pages == ["serve", "close"]
    monkeypatch.setattr(RUN_SEARCH, lambda *_: 1 / 0)
    assert isinstance(run("--space", space, "--ui").exception, ZeroDivisionError)
    assert pages == ["serve", "close", "close"]


def test_without_being_asked_for_no_page_is_served(space, begun, pages):
    assert run("--space", space).exit_code == 0
    assert "serve" not in pages


def test_a_dry_run_serves_no_page(space, begun, films, pages):
    assert run("--space", space, "--data", films, "--dry-run", "--ui").exit_code == 0
    assert pages == []


def test_an_interrupted_search_says_how_to_go_on(space, begun, monkeypatch):
    monkeypatch.setattr(RUN_SEARCH, lambda *_: outcome(TrialRecord(0, {}, RunConfig()), finished=False))
    result = run("--space", space)
    assert result.exit_code == 130
    assert "Go on with: python -m ndvq_tune.search --resume --output runs/small" in result.output


def test_a_search_that_is_interrupted_before_its_first_trial_has_nothing_to_go_on_with(space, begun, monkeypatch):
    monkeypatch.setattr(RUN_SEARCH, lambda *_: outcome(finished=False))
    result = run("--space", space)
    assert result.exit_code == 130
    assert "Interrupted; before any trial" in result.output
    assert "--resume" not in result.output


def test_a_search_without_a_model_to_show_ends_with_an_error_code(space, begun, monkeypatch):
    diverged = TrialRecord(0, {}, RunConfig(), TrialState.PRUNED, stop_reason=StopReason.DIVERGED)
    monkeypatch.setattr(RUN_SEARCH, lambda *_: outcome(diverged))
    assert run("--space", space).exit_code == 1
