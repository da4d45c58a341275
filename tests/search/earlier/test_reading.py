import itertools
import json
import random
import stat
from pathlib import Path

import pytest

from ndvq_tune.errors import ConfigError, ResultsError
from ndvq_tune.records import TrialState
from ndvq_tune.search.earlier.reading import fronts, read, read_folder
from ndvq_tune.search.engine.study import Study
from ndvq_tune.search.folder import JOURNAL
from tests.search.earlier.earlier_examples import POINT, trial_of, write_results
from tests.search.search_examples import TWO_OBJECTIVES, report, space_of


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "runs" / "small"
    write_results(folder, space_of(), [POINT, POINT | {"model.n_codes": 64}], [0.5, 0.25])
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_results_folder_is_read_and_left_as_it_is(results: Path) -> None:
    before = contents(results)
    results.chmod(stat.S_IREAD | stat.S_IEXEC)
    (earlier,) = read(str(results), space_of())
    results.chmod(stat.S_IRWXU)
    assert earlier.name == "small"
    assert earlier.search == space_of().search
    assert [trial.params["model.n_codes"] for trial in earlier.trials] == [16, 64]
    assert [trial.metrics["recon_loss"] for trial in earlier.trials] == [0.5, 0.25]
    assert earlier.trials[0].config == space_of().complete(POINT)
    assert contents(results) == before


def test_only_finished_trials_of_the_search_itself_are_read(results: Path) -> None:
    study = Study.open(results, space_of())
    study.import_(trial_of(space_of(), 7))
    study.enqueue(POINT)
    study.begin(study.propose())  # is running
    study.reject(study.propose(), {"memory": 0.5}, ["memory"])
    assert [trial.number for trial in read_folder(results)[1].trials] == [0, 1]


def test_a_torn_last_line_does_no_harm(results: Path) -> None:
    with (results / JOURNAL).open("ab") as journal:
        journal.write(b'{"op_code": 5, "wor')
    before = contents(results)
    assert len(read_folder(results)[1].trials) == 2
    assert contents(results) == before


def test_a_journal_that_is_spoilt_is_named(results: Path) -> None:
    with (results / JOURNAL).open("ab") as journal:
        journal.write(b"nonsense\n" + json.dumps({"op_code": 5}).encode() + b"\n")
    with pytest.raises(ResultsError, match="cannot be read"):
        read_folder(results)


def test_a_folder_without_a_search_is_named_with_those_that_have_one(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(results.parent.parent)
    with pytest.raises(ResultsError, match=r"runs/other: holds no search; .*there are runs/small$"):
        read("runs/other", space_of())
    monkeypatch.chdir(results)
    with pytest.raises(ResultsError, match=r"other: holds no search; needs a results folder such as runs/NAME$"):
        read("other", space_of())
    assert not Path("other").exists()


def test_a_search_without_finished_trials_is_no_start(tmp_path: Path) -> None:
    write_results(tmp_path, space_of(), [], [])
    study = Study.open(tmp_path, space_of())
    study.begin(study.propose())
    with pytest.raises(ResultsError, match="no finished trials"):
        read(str(tmp_path), space_of())


def test_a_space_that_cannot_be_read_is_named_with_its_line(results: Path) -> None:
    (results / "space.yaml").write_text("name: small\nmodel:\n  n_coads: 3\n")
    with pytest.raises(ConfigError, match=r"space.yaml:3: model.n_coads"):
        read(str(results), space_of())


def test_one_objective_ranks_by_its_value_and_equals_are_together() -> None:
    trials = [trial_of(space_of(), number, loss) for number, loss in enumerate((0.3, 0.1, 0.3, 0.2))]
    assert [sorted(trial.number for trial in front) for front in fronts(trials, space_of().search)] == [
        [1],
        [3],
        [0, 2],
    ]


def test_fronts_are_those_of_a_brute_force_search() -> None:
    space = space_of(search={"objectives": TWO_OBJECTIVES["objectives"]})
    draw = random.Random(3)
    points = [(draw.random(), draw.random()) for _ in range(30)]
    trials = [trial_of(space, n, loss, metrics={"bits_per_element": bits}) for n, (loss, bits) in enumerate(points)]
    left = set(range(30))
    for front in fronts(trials, space.search):
        best = {
            n
            for n in left
            if not any(
                points[m] != points[n] and all(a <= b for a, b in zip(points[m], points[n], strict=True)) for m in left
            )
        }
        assert {trial.number for trial in front} == best
        left -= best
    assert not left


def test_a_metric_to_maximise_is_maximised() -> None:
    space = space_of(search={"objectives": [{"metric": "psnr", "mode": "max"}]})
    trials = [trial_of(space, number, metrics={"psnr": psnr}) for number, psnr in enumerate((20.0, 30.0, 25.0))]
    assert [trial.number for trial in itertools.chain(*fronts(trials, space.search))] == [1, 2, 0]


def test_what_breaks_a_constraint_comes_last_and_the_worse_the_later() -> None:
    space = space_of(search={"constraints": [{"metric": "codebook_usage", "at_least": 0.5}]})
    given = [(0.1, 0.1), (0.2, 0.4), (0.9, 0.6), (0.8, 0.5), (0.05, float("nan"))]
    trials = [trial_of(space, n, loss, metrics={"codebook_usage": usage}) for n, (loss, usage) in enumerate(given)]
    assert [[trial.number for trial in front] for front in fronts(trials, space.search)] == [[3], [2], [1], [0], [4]]


def test_records_tell_how_trials_ended(tmp_path: Path) -> None:
    write_results(tmp_path, space_of(), [POINT], [0.5])
    study = Study.open(tmp_path, space_of())
    record = study.begin(study.propose())
    study.report(record.number, report(1))
    study.finish(record.number, TrialState.FAILED, error="boom")
    assert [(t.state, t.error) for t in read_folder(tmp_path)[1].trials] == [
        (TrialState.COMPLETED, None),
        (TrialState.FAILED, "boom"),
    ]


def test_a_trial_with_a_setting_of_another_version_is_counted_and_the_rest_is_read(results: Path) -> None:
    journal = results / JOURNAL
    begins, ends = journal.read_text().split('"n_codes":16', 1)  # the configuration of the first trial
    journal.write_text(f'{begins}"n_coads":16{ends}')
    earlier = read_folder(results)[1]
    assert ([trial.number for trial in earlier.trials], earlier.unreadable) == ([1], 1)
