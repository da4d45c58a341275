import json
import re
import stat
from pathlib import Path

import pytest

from ndvq_tune.errors import ConfigError, ResultsError
from ndvq_tune.records import TrialState
from ndvq_tune.search.earlier.reading import read, read_folder, read_search
from ndvq_tune.search.engine.study import Study
from ndvq_tune.search.folder import JOURNAL
from tests.search.earlier.earlier_examples import POINT, trial_of, write_results
from tests.search.search_examples import report, space_of


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
    search = read_search(results)[1]
    assert [trial.number for trial in search.trials] == [1]
    ((why, count),) = search.unreadable.items()
    assert why.startswith("model.n_coads: unknown key; did you mean 'n_codes'?")
    assert count == 1


def test_a_search_of_which_nothing_can_be_read_says_why(results: Path) -> None:
    journal = results / JOURNAL
    journal.write_text(re.sub('"n_codes":(16|64)', '"n_coads":8', journal.read_text()))
    with pytest.raises(ResultsError, match=r"has no trials that this version can read; 2 trials: model.n_coads: unk"):
        read_search(results)
