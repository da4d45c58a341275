import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mlflow.tracking import MlflowClient

from ndvq_tune.config import RunConfig
from ndvq_tune.errors import TrackingError
from ndvq_tune.records import Rescue, Role, StopReason, TrialRecord, TrialState
from ndvq_tune.tracking.client import connect
from ndvq_tune.tracking.mlflow import MlflowTracker
from ndvq_tune.tracking.reading import stored_searches

CURVES = ("recon_loss",)


def trial(number: int, **changes: Any) -> TrialRecord:
    config = RunConfig.model_validate({"model": {"n_codes": 256}, "training": {"learning_rate": 0.000312345678}})
    reports = tuple(
        {"epoch": epoch, "seconds": 10.0 * epoch, "recon_loss": 1 / epoch, "psnr": 20.0 + epoch} for epoch in (1, 2, 3)
    )
    record = TrialRecord(
        number,
        {"model.n_codes": 256, "training.learning_rate": 0.000312345678},
        config,
        TrialState.COMPLETED,
        reports,
        started=1000.0,
        ended=1030.0,
    )
    return replace(record, **changes)


def store(uri: str, *trials: TrialRecord, name: str = "video") -> MlflowTracker:
    tracker = MlflowTracker(connect(uri, "ndvq"), name, f"id of {name}")
    tracker.start(f"name: {name}\nsearch: {{seed: 3}}\n", {})
    for record in trials:
        tracker.sync(record)
    return tracker


def test_trials_come_back_with_their_configuration_and_curves(uri: str) -> None:
    store(uri, trial(0), trial(4))
    (search,) = stored_searches("ndvq", uri, CURVES)
    assert (search.name, search.space) == ("video", {"name": "video", "search": {"seed": 3}})
    assert [record.number for record in search.trials] == [0, 4]
    found, given = search.trials[0], trial(0)
    assert found.params == given.params  # not what MLflow shows of them, which is rounded
    for name in ("config", "state", "started", "ended"):
        assert getattr(found, name) == getattr(given, name)
    assert [(report["epoch"], report["recon_loss"]) for report in found.reports] == [(1, 1), (2, 1 / 2), (3, 1 / 3)]
    assert found.metrics["psnr"] == 23
    assert "psnr" not in found.reports[0]  # was not asked for


def test_what_mlflow_calls_metrics_of_the_system_is_no_metric_of_a_trial(uri: str) -> None:
    of_worker = {"peak_memory_bytes": 8e8, "host_memory_bytes": 8e8, "worker_cpu_utilization": 0.75}
    given = trial(0)
    store(uri, replace(given, reports=tuple({**report, **of_worker} for report in given.reports)))
    ((found,),) = (search.trials for search in stored_searches("ndvq", uri, CURVES))
    assert set(found.metrics) == {"epoch", "seconds", "recon_loss", "psnr", *of_worker}


def test_seconds_are_as_far_apart_as_they_were(uri: str) -> None:
    store(uri, trial(0))
    (search,) = stored_searches("ndvq", uri, CURVES)
    first, *_, last = (report["seconds"] for report in search.trials[0].reports)
    assert last - first == pytest.approx(20.0)


@pytest.mark.parametrize(
    "changes",
    [
        {"state": TrialState.PRUNED, "stop_reason": StopReason.PLATEAU},
        {"state": TrialState.FAILED, "error": "boom"},
        {"role": Role.CONFIRM, "parent": 12},
        {"role": Role.EXPLOIT, "parent": 3, "rescues": (Rescue(2, "restart_codes"), Rescue(3, "lower_beta"))},
        {"role": Role.SEARCH, "parent": None, "rescues": ()},
    ],
)
def test_what_became_of_a_trial_and_where_it_is_from_comes_back(uri: str, changes: dict[str, Any]) -> None:
    store(uri, trial(0, **changes))
    (search,) = stored_searches("ndvq", uri, CURVES)
    assert {name: getattr(search.trials[0], name) for name in changes} == changes


def test_what_was_pruned_was_killed_in_stores_of_release_0_1(uri: str) -> None:
    tracker = store(uri, trial(0, state=TrialState.PRUNED, stop_reason=StopReason.PLATEAU), trial(1))
    client = MlflowClient(uri)
    (pruned,) = client.search_runs([tracker.experiment_id], "tags.state = 'pruned'")
    client.set_terminated(pruned.info.run_id, "KILLED")
    (search,) = stored_searches("ndvq", uri, CURVES)
    assert [(record.state, record.stop_reason) for record in search.trials] == [
        (TrialState.PRUNED, StopReason.PLATEAU),
        (TrialState.COMPLETED, None),
    ]


def test_what_is_not_finished_is_left_out(uri: str) -> None:
    tracker = store(uri, trial(0, state=TrialState.RUNNING, ended=None), trial(1), trial(2, reports=()))
    assert [record.number for record in stored_searches("ndvq", uri, CURVES)[0].trials] == [1, 2]
    assert stored_searches("ndvq", uri, CURVES)[0].trials[1].reports == ()
    MlflowClient(uri).create_run(tracker.experiment_id)  # somebody else's
    assert len(stored_searches("ndvq", uri, CURVES)) == 1


def test_a_trial_that_was_only_begun_to_be_told_is_left_out(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    tracker = store(uri)
    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "log_text", killed)
        with pytest.raises(KeyboardInterrupt):
            tracker.sync(trial(0))
    assert stored_searches("ndvq", uri, CURVES)[0].trials == ()


def test_curves_of_what_seldom_changes_have_every_epoch(uri: str) -> None:
    def reports(*fidelities: float, first: int) -> tuple[dict[str, float], ...]:
        return tuple(
            {"epoch": epoch, "seconds": 1.0, "recon_loss": 1 / epoch, "fidelity": fidelity}
            for epoch, fidelity in enumerate(fidelities, start=first)
        )

    heir = trial(1, reports=reports(1.0, 1.0, first=5), role=Role.EXPLOIT, parent=0)
    store(uri, trial(0, reports=reports(0.25, 0.25, 1.0, 1.0, first=1)), heir)
    (search,) = stored_searches("ndvq", uri, ("recon_loss", "fidelity"))
    found = [[(report["epoch"], report["fidelity"]) for report in record.reports] for record in search.trials]
    assert found == [[(1, 0.25), (2, 0.25), (3, 1.0), (4, 1.0)], [(5, 1.0), (6, 1.0)]]


def test_searches_of_one_experiment_stay_apart(uri: str) -> None:
    store(uri, trial(0), trial(1))
    store(uri, trial(0), name="other")
    assert {search.name: len(search.trials) for search in stored_searches("ndvq", uri, CURVES)} == {
        "video": 2,
        "other": 1,
    }


def test_many_runs_are_all_read(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store(uri, *(trial(number) for number in range(5)))
    search_runs = MlflowClient.search_runs
    monkeypatch.setattr(MlflowClient, "search_runs", lambda *args, **kw: search_runs(*args, **kw, max_results=2))
    (search,) = stored_searches("ndvq", uri, CURVES)
    assert [record.number for record in search.trials] == [0, 1, 2, 3, 4]


def test_a_trial_without_its_configuration_is_counted_and_the_rest_is_there(uri: str, tmp_path: Path) -> None:
    store(uri, trial(0), trial(1))
    files = sorted((tmp_path / "mlruns").rglob("config.yaml"), key=lambda path: path.stat().st_mtime)
    files[0].unlink()
    (search,) = stored_searches("ndvq", uri, CURVES)
    assert (len(search.trials), search.unreadable) == (1, 1)


def test_a_trial_whose_configuration_is_damaged_is_counted_and_the_rest_is_there(uri: str, tmp_path: Path) -> None:
    store(uri, trial(0), trial(1))
    files = sorted((tmp_path / "mlruns").rglob("config.yaml"), key=lambda path: path.stat().st_mtime)
    files[0].write_text("data: 3\n", encoding="utf-8")
    (search,) = stored_searches("ndvq", uri, CURVES)
    assert (len(search.trials), search.unreadable) == (1, 1)


def test_an_experiment_that_is_not_there_is_not_made(uri: str) -> None:
    store(uri)
    with pytest.raises(TrackingError, match="has no experiment 'nvdq'; there are Default, c, ndvq"):
        stored_searches("nvdq", uri, CURVES)
    assert MlflowClient(uri).get_experiment_by_name("nvdq") is None


def test_a_deleted_experiment_is_not_there(uri: str) -> None:
    tracker = store(uri, trial(0))
    MlflowClient(uri).delete_experiment(tracker.experiment_id)
    with pytest.raises(TrackingError, match="has no experiment 'ndvq'; there are Default"):
        stored_searches("ndvq", uri, CURVES)


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(TrackingError, match="no MLflow database"):
        stored_searches("ndvq", f"sqlite:///{tmp_path}/typo.db", CURVES)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_is_named_at_once(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("this is no database, but long enough to be taken for the head of one " * 20)
    with pytest.raises(TrackingError, match="cannot be read: file is not a database"):
        stored_searches("ndvq", f"sqlite:///{tmp_path}/mlflow.db", CURVES)


def test_reading_changes_nothing(uri: str) -> None:
    store(uri, trial(0), trial(1, state=TrialState.RUNNING))

    def dump() -> list[str]:
        with closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as connection:
            return list(connection.iterdump())

    before = dump()
    stored_searches("ndvq", uri, CURVES)
    assert dump() == before
