import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ndvq_tune.errors import ConfigError, ResultsError
from ndvq_tune.pictures.showcase import Showcase
from ndvq_tune.search.folder import PICTURES, SPACE, check_new, claim, kept_space, pictures_in, write_space
from ndvq_tune.search.space import SearchSpace
from tests.report.report_examples import make_trial
from tests.search.search_examples import SMALL, begin, write_yaml

HOLD = """
import filelock, sys
lock = filelock.FileLock(sys.argv[1])
lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def other_driver(tmp_path):
    """Another process that holds the folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / ".lock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.fixture
def results(tmp_path, open_study) -> Path:
    """A folder with a search in it."""
    space = SearchSpace.load(write_yaml(tmp_path / "given.yaml", SMALL), ["search.trials=4"])
    write_space(tmp_path, space)
    begin(open_study(space))
    return tmp_path


def test_a_folder_belongs_to_one_driver(other_driver, tmp_path):
    with pytest.raises(ResultsError, match="another driver runs a search in this folder"), claim(tmp_path):
        pytest.fail("two drivers in one folder")


def test_a_killed_driver_leaves_its_folder_free(other_driver, tmp_path):
    other_driver.send_signal(signal.SIGKILL)
    other_driver.wait()
    with claim(tmp_path):
        pass


def test_a_folder_is_made_claimed_and_free_again(tmp_path):
    folder = tmp_path / "runs" / "new"
    for _ in range(2):
        with claim(folder):
            assert folder.is_dir()
            with pytest.raises(ResultsError, match="another driver"), claim(folder):
                pytest.fail("claimed twice")
    check_new(folder)


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(ResultsError, match="file/run: cannot be written: Not a directory"),
        claim(tmp_path / "file/run"),
    ):
        pytest.fail("claimed a file")


@pytest.mark.parametrize("error", [ConnectionRefusedError("MLflow"), FileNotFoundError("data"), TimeoutError("Ray")])
def test_errors_of_the_search_are_not_taken_for_those_of_the_folder(tmp_path, error):
    with pytest.raises(type(error)) as caught, claim(tmp_path):
        raise error
    assert caught.value is error


def test_a_new_search_needs_a_new_folder(tmp_path, results):
    check_new(tmp_path / "none")
    with pytest.raises(ResultsError, match="already holds a search; go on with it with --resume"):
        check_new(results)


def test_what_a_start_that_failed_has_left_is_in_nobodys_way(tmp_path):
    folder = tmp_path / "run"
    with claim(folder):
        write_space(folder, SearchSpace.load(write_yaml(tmp_path / "a.yaml", SMALL)))
        for name in ("skipped.csv", "mlflow.db"):  # a Ray job keeps MLflow's there
            (folder / name).touch()
        for name in ("ray", "mlruns"):
            (folder / name).mkdir()
    check_new(folder)


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(ResultsError, match="is not empty and holds no search"):
        check_new(tmp_path)


def test_a_search_goes_on_with_the_space_it_ran_with(results):
    space = kept_space(results, [])
    assert space == SearchSpace.load(results / SPACE)
    assert space.search.trials == 4


def test_a_search_may_go_on_with_more_trials_other_ends_and_resources_and_another_mlflow(results):
    changes = ["search.trials=9", "search.time_budget=10m", "search.until={psnr: 30}", "search.stall=5"]
    changes += ["search.confirm={top: 1}", "search.resources.lanes=3", "tracking.uri=http://elsewhere:5000"]
    space = kept_space(results, changes)
    search = space.search
    assert (search.trials, search.time_budget, search.until, search.stall) == (9, 600, {"psnr": 30}, 5)
    assert (search.confirm.top, search.resources.lanes) == (1, 3)
    assert space.tracking.uri == "http://elsewhere:5000"


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("model.n_codes=64", "model.n_codes"),
        ("model.n_codes={choice: [16]}", "model.n_codes.choice"),
        ("training.batch_size=16", "training.batch_size"),
        ("data.path=elsewhere", "data.path"),
        ("name=other", "name"),
        ("search.seed=3", "search.seed"),
        ("search={trials: 9}", "search.stop.plateau"),
        ("training={}", "training.max_epochs"),
        ("data.augment.RandomVerticalFlip={}", "data.augment.RandomVerticalFlip"),
    ],
)
def test_what_its_trials_mean_may_not_change(results, override, named):
    with pytest.raises(ResultsError, match=r"only search\.trials, .*, tracking\.uri may") as error:
        kept_space(results, ["search.trials=9", override])
    assert named in str(error.value)


def test_an_empty_section_may_get_what_may_change(tmp_path, open_study):
    space = SearchSpace.load(write_yaml(tmp_path / "given.yaml", {**SMALL, "search": {}, "tracking": {}}))
    write_space(tmp_path, space)
    begin(open_study(space))
    changed = kept_space(tmp_path, ["search.trials=9", "tracking.uri=http://elsewhere:5000"])
    assert (changed.search.trials, changed.tracking.uri) == (9, "http://elsewhere:5000")
    with pytest.raises(ResultsError, match=r"but search\.seed would change"):
        kept_space(tmp_path, ["search.seed=3"])


def test_an_override_that_changes_nothing_is_no_change(results):
    assert kept_space(results, ["name=small", "training.max_epochs=9"]).name == "small"


def test_a_bad_override_is_a_problem_of_the_space(results):
    with pytest.raises(ConfigError, match="'none' given"):
        kept_space(results, ["search.trials=none"])


@pytest.mark.parametrize("data", ["3", ""])
def test_a_value_in_place_of_the_data_is_a_problem_of_the_space(results, data):
    with pytest.raises(ConfigError, match="data"):
        kept_space(results, [f"data={data}"])


def test_a_folder_without_a_search_cannot_go_on(tmp_path):
    with pytest.raises(ResultsError, match="holds no search to resume"):
        kept_space(tmp_path, [])


def test_a_folder_shows_what_it_has_of_each_trial_and_of_an_earlier_release_the_still_picture(tmp_path: Path) -> None:
    earlier, later, none = make_trial(3), make_trial(4), make_trial(5)
    places = Showcase.places(tmp_path / PICTURES, later.name)
    for path in (tmp_path / PICTURES / f"{earlier.name}.png", places.still, places.motion, *places.sounds[0].files):
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert pictures_in(tmp_path, [later, earlier, none]) == {
        later.name: Showcase(places.still, places.motion, places.sounds[:1]),
        earlier.name: Showcase(tmp_path / "pictures" / "trial-0003.png"),
    }
