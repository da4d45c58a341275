import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from ndvq_tune.config import RunConfig, VideoData
from ndvq_tune.errors import TrackingError
from ndvq_tune.goals import Goals, Objective
from ndvq_tune.judgement.standing import Standing
from ndvq_tune.records import Rescue, Role, SearchRecord, StopReason, TrialRecord, TrialState
from ndvq_tune.tracking import mlflow as tracking
from ndvq_tune.tracking.client import connect
from ndvq_tune.tracking.datasets import dataset_input
from ndvq_tune.tracking.mlflow import MlflowTracker
from tests.training.training_examples import dataset


def report(epoch: int, **metrics: float) -> dict[str, float]:
    return {"epoch": epoch, "seconds": 10.0 * epoch, "recon_loss": 1.0 / epoch, "perplexity": 10.0 * epoch, **metrics}


def trial(number: int = 0, epochs: int = 0, **changes: Any) -> TrialRecord:
    record = TrialRecord(
        number,
        {"model.n_codes": 256, "model.downsample": [2, 4, 4], "training.learning_rate": 0.000312345678},
        RunConfig(),
        reports=tuple(report(epoch) for epoch in range(1, epochs + 1)),
        started=1000.0,
    )
    return replace(record, **changes)


def search(*trials: TrialRecord) -> SearchRecord:
    return SearchRecord(
        "video", trials, Goals((Objective("recon_loss", "min"), Objective("perplexity", "max"))), wall_seconds=12.5
    )


def open_tracker(uri: str) -> MlflowTracker:
    return MlflowTracker(connect(uri, "ndvq"), "video", "id-1")


def stored(tracker: MlflowTracker) -> dict[str, Run]:
    runs = MlflowClient(tracker.uri).search_runs([tracker.experiment_id])
    names = [run.info.run_name for run in runs]
    assert len(set(names)) == len(names), f"doubled runs: {names}"
    return dict(zip(names, runs, strict=True))


def artifact(run: Run, name: str, uri: str, to: Path) -> str:
    return Path(MlflowClient(uri).download_artifacts(run.info.run_id, name, str(to))).read_text()


class Counting:
    """Stands before a client and notes which requests pass."""

    def __init__(self, client: MlflowClient) -> None:
        self.client = client
        self.calls: list[str] = []
        self.broken = False

    def __getattr__(self, name: str) -> Any:
        self.calls.append(name)
        if self.broken:
            raise ConnectionError("gone")
        return getattr(self.client, name)


@pytest.fixture
def counted(uri: str) -> tuple[MlflowTracker, Counting]:
    tracker = open_tracker(uri)
    counting = Counting(tracker._client)
    tracker._client = counting
    return tracker, counting


def test_search_is_a_parent_run_with_its_space_and_settings(uri: str, tmp_path: Path) -> None:
    tracker = open_tracker(uri)
    tracker.start("name: video\n", {"trials": 24, "seed": 0})
    run = stored(tracker)["video"]
    assert run.info.run_id == tracker.parent_run_id
    assert run.info.status == "RUNNING"
    assert run.data.params == {"trials": "24", "seed": "0"}
    assert artifact(run, "space.yaml", uri, tmp_path) == "name: video\n"


def test_settings_that_mlflow_would_refuse_end_no_search(uri: str) -> None:
    tracker = open_tracker(uri)
    tracker.start("a: 1", {"data.options.mode (raw)": "fine", "data.columns": ["wärme", "x" * 9000]})
    params = stored(tracker)["video"].data.params
    assert params["data.options.mode _raw_"] == "fine"
    assert params["data.columns"].startswith("wärme, xxx")


def test_trial_is_a_nested_run_with_flat_params_metrics_by_epoch_and_its_config(uri: str, tmp_path: Path) -> None:
    tracker = open_tracker(uri)
    done = trial(7, epochs=3, state=TrialState.COMPLETED, ended=1040.0)
    tracker.sync(done)
    run = stored(tracker)["trial-0007"]
    assert run.data.tags["mlflow.parentRunId"] == tracker.parent_run_id
    assert run.data.params == {"n_codes": "256", "downsample": "2x4x4", "learning_rate": "0.00031235"}
    assert (run.info.start_time, run.info.end_time) == (1000_000, 1040_000)
    history = MlflowClient(uri).get_metric_history(run.info.run_id, "recon_loss")
    assert [(m.step, m.value, m.timestamp) for m in history] == [
        (1, 1.0, 1020_000),
        (2, 1 / 2, 1030_000),
        (3, 1 / 3, 1040_000),
    ]
    assert RunConfig.model_validate(yaml.safe_load(artifact(run, "config.yaml", uri, tmp_path))) == RunConfig()


@pytest.mark.parametrize(
    ("record", "status", "tags"),
    [
        (trial(), "RUNNING", {"state": "running"}),
        (trial(state=TrialState.COMPLETED, ended=2000.0), "FINISHED", {"state": "completed"}),
        (
            trial(state=TrialState.PRUNED, stop_reason=StopReason.COLLAPSE, ended=2000.0),
            "FINISHED",
            {"state": "pruned", "stop_reason": "collapse"},
        ),
        (
            trial(state=TrialState.FAILED, error="boom", ended=2000.0),
            "FAILED",
            {"state": "failed", "error": "boom"},
        ),
    ],
)
def test_status_and_tags_tell_the_final_state(record: TrialRecord, status: str, tags: dict[str, str], uri: str) -> None:
    tracker = open_tracker(uri)
    tracker.sync(record)
    run = stored(tracker)["trial-0000"]
    assert run.info.status == status
    assert {name: run.data.tags.get(name) for name in tags} == tags


def test_nothing_is_doubled_after_the_driver_died(uri: str) -> None:
    first = open_tracker(uri)
    first.start("a: 1", {"trials": 2})
    first.sync(trial(0, epochs=2))
    second = open_tracker(uri)  # the first was killed: it never finished
    second.start("a: 1", {"trials": 4})
    second.sync(trial(0, epochs=3))
    assert second.parent_run_id == first.parent_run_id
    runs = stored(second)
    assert set(runs) == {"video", "trial-0000"}
    history = MlflowClient(uri).get_metric_history(runs["trial-0000"].info.run_id, "perplexity")
    assert [(m.step, m.value) for m in history] == [(1, 10.0), (2, 20.0), (3, 30.0)]
    assert runs["video"].data.params["trials"] == "2"
    assert runs["video"].data.tags["trials"] == "4"


def test_what_stays_the_same_is_stored_once_and_drawn_as_bars(uri: str) -> None:
    def grown(epoch: int) -> dict[str, float]:
        return report(epoch, parameters=1000.0, bits_per_element=0.5, fidelity=0.25 if epoch < 3 else 1.0)

    open_tracker(uri).sync(trial(reports=(grown(1),)))
    tracker = open_tracker(uri)  # another driver, that knows only what is stored
    tracker.sync(trial(reports=tuple(grown(epoch) for epoch in range(1, 5))))
    tracker.sync(trial(reports=tuple(grown(epoch) for epoch in range(1, 6))))
    run = stored(tracker)["trial-0000"]
    history = {name: MlflowClient(uri).get_metric_history(run.info.run_id, name) for name in run.data.metrics}
    # MLflow's charts are bars where no run has the metric at a step from 1
    assert [(m.step, m.value) for m in history["parameters"]] == [(0, 1000.0)]
    assert [(m.step, m.value) for m in history["bits_per_element"]] == [(0, 0.5)]
    assert sorted((m.step, m.value) for m in history["fidelity"]) == [(0, 0.25), (3, 1.0)]
    assert sorted(m.step for m in history["recon_loss"]) == [1, 2, 3, 4, 5]
    assert run.data.metrics["fidelity"] == 1.0


def test_two_searches_in_one_experiment_stay_apart(uri: str) -> None:
    first = open_tracker(uri)
    other = MlflowTracker(connect(uri, "ndvq"), "other", "id-2")
    other.sync(trial(0))
    assert first.parent_run_id != other.parent_run_id
    assert first.experiment_id == other.experiment_id
    first.finish(Standing(search()), "completed")
    assert stored(first)["trial-0000"].info.status == "RUNNING"


def test_interrupted_search_leaves_no_run_running_and_resumes(uri: str) -> None:
    tracker = open_tracker(uri)
    tracker.start("a: 1", {})
    running, done = trial(0, epochs=1), trial(1, epochs=1, state=TrialState.COMPLETED, ended=2000.0)
    tracker.sync(running)
    tracker.finish(Standing(search(running, done)), "interrupted")
    runs = stored(tracker)
    assert {name: run.info.status for name, run in runs.items()} == {
        "video": "KILLED",
        "trial-0000": "KILLED",
        "trial-0001": "FINISHED",
    }
    assert runs["trial-0000"].data.tags["state"] == "interrupted"

    resumed = open_tracker(uri)
    resumed.start("a: 1", {})
    resumed.sync(running)
    runs = stored(resumed)
    assert (runs["video"].info.status, runs["trial-0000"].info.status) == ("RUNNING", "RUNNING")
    assert runs["trial-0000"].data.tags["state"] == "running"


def test_a_search_that_met_an_error_has_failed_until_it_goes_on(uri: str) -> None:
    tracker = open_tracker(uri)
    tracker.start("a: 1", {})
    tracker.finish(Standing(search(trial(0, epochs=1))), "failed")
    runs = stored(tracker)
    assert (runs["video"].info.status, runs["video"].data.tags["state"]) == ("FAILED", "failed")
    assert runs["trial-0000"].info.status == "KILLED"
    resumed = open_tracker(uri)
    resumed.start("a: 1", {})
    assert (stored(resumed)["video"].info.status, stored(resumed)["video"].data.tags["state"]) == ("RUNNING", "running")


def test_a_search_says_what_ended_it_until_it_goes_on(uri: str) -> None:
    tracker = open_tracker(uri)
    tracker.start("a: 1", {})
    tracker.finish(Standing(replace(search(), ended_by="until")), "completed")
    assert stored(tracker)["video"].data.tags["ended_by"] == "until"
    resumed = open_tracker(uri)
    resumed.start("a: 1", {})
    assert "ended_by" not in stored(resumed)["video"].data.tags
    resumed.finish(Standing(search()), "completed")
    assert "ended_by" not in stored(resumed)["video"].data.tags


def test_trial_taken_up_again_loses_its_old_error(uri: str) -> None:
    tracker = open_tracker(uri)
    tracker.sync(trial(state=TrialState.FAILED, error="node lost", ended=2000.0))
    tracker.sync(trial(epochs=1))
    run = stored(tracker)["trial-0000"]
    assert run.info.status == "RUNNING"
    assert "error" not in run.data.tags


def test_finish_catches_up_and_summarises(uri: str) -> None:
    tracker = open_tracker(uri)
    trials = (
        trial(0, epochs=3, state=TrialState.COMPLETED, ended=2000.0),
        trial(1, epochs=1, state=TrialState.PRUNED, stop_reason=StopReason.SCHEDULER, ended=2000.0),
        trial(2, epochs=9, state=TrialState.PRUNED, stop_reason=StopReason.DIVERGED, ended=2000.0),
        trial(3, state=TrialState.FAILED, error="boom", ended=2000.0),
    )
    tracker.finish(Standing(search(*trials)), "completed")
    runs = stored(tracker)
    assert len(runs) == 5
    assert runs["video"].info.status == "FINISHED"
    assert runs["video"].data.metrics == {
        "trials": 4,
        "trials_completed": 1,
        "trials_pruned": 2,
        "trials_failed": 1,
        "trials_rejected": 0,
        "repetitions": 0,
        "wall_seconds": 12.5,
    }


def test_what_happened_beside_training_is_counted_apart(uri: str) -> None:
    tracker = open_tracker(uri)
    small = {"reports": (report(9, fidelity=0.25),)}
    trials = (
        trial(0, epochs=3, state=TrialState.COMPLETED, ended=2000.0),
        trial(1, state=TrialState.PRUNED, stop_reason=StopReason.SEARCH_ENDED, ended=2000.0, **small),
        trial(2, epochs=9, state=TrialState.COMPLETED, role=Role.CONFIRM, parent=0, ended=2000.0),
    )
    record = replace(search(*trials), rejected={"memory": 6, "bits_per_element": 25})
    tracker.finish(Standing(record), "completed")
    metrics = stored(tracker)["video"].data.metrics
    counts = {"trials": 2, "trials_completed": 1, "trials_pruned": 1, "trials_rejected": 31, "repetitions": 1}
    assert {name: metrics[name] for name in counts} == counts
    assert "hypervolume" not in metrics  # nothing has a checkpoint that a model could be taken from


def test_the_front_is_summed_up_by_its_hypervolume(uri: str) -> None:
    """One trial beats the other, which is where volume is measured from: 1/2 - 1/3 of loss times 30 - 20 codes."""
    tracker = open_tracker(uri)
    ended = {"state": TrialState.COMPLETED, "ended": 2000.0, "checkpoint": "checkpoints/trial"}
    tracker.finish(Standing(search(trial(0, epochs=2, **ended), trial(1, epochs=3, **ended))), "completed")
    assert stored(tracker)["video"].data.metrics["hypervolume"] == pytest.approx(10 / 6)


@pytest.mark.parametrize("role", [Role.EXPLOIT, Role.CONFIRM])
def test_a_trial_made_from_another_is_a_nested_run_that_names_it(role: Role, uri: str) -> None:
    tracker = open_tracker(uri)
    tracker.sync(trial(3, epochs=2, state=TrialState.PRUNED, stop_reason=StopReason.EXPLOITED, ended=2000.0))
    changed = {"model.n_codes": 256, "training.learning_rate": 0.001}
    tracker.sync(trial(11, epochs=4, params=changed, role=role, parent=3))
    runs = stored(tracker)
    assert runs["trial-0003"].data.tags["stop_reason"] == "exploited"
    assert runs["trial-0003"].data.tags["role"] == "search"
    assert "parent_trial" not in runs["trial-0003"].data.tags
    made = runs["trial-0011"].data
    assert made.tags["mlflow.parentRunId"] == tracker.parent_run_id
    assert (made.tags["role"], made.tags["parent_trial"]) == (str(role), "trial-0003")
    assert made.params["learning_rate"] == "0.001"


def test_rescues_are_tags_that_leave_the_parameters_alone(counted: tuple[MlflowTracker, Counting]) -> None:
    tracker, counting = counted
    tracker.sync(trial(epochs=4, params={"model.codebook_beta": 1.0}))
    counting.calls.clear()
    rescued = trial(epochs=5, params={"model.codebook_beta": 0.25}, rescues=(Rescue(5, "lower_beta"),))
    tracker.sync(rescued)
    assert counting.calls == ["log_batch"]
    tracker.sync(replace(rescued, rescues=(*rescued.rescues, Rescue(8, "restart_codes"))))
    run = stored(tracker)["trial-0000"]
    assert run.data.tags["rescues"] == "lower_beta@5, restart_codes@8"
    assert run.data.params == {"codebook_beta": "1"}


def test_a_trial_that_goes_back_to_before_its_rescue_loses_the_tag(uri: str) -> None:
    tracker = open_tracker(uri)
    tracker.sync(trial(epochs=5, rescues=(Rescue(5, "lower_beta"),)))
    tracker.sync(trial(epochs=4))
    assert "rescues" not in stored(tracker)["trial-0000"].data.tags


def test_non_finite_values_are_stored_as_nan(uri: str) -> None:
    tracker = open_tracker(uri)
    bad = report(1, recon_loss=math.nan, psnr=-math.inf, commitment_loss=math.inf)
    tracker.sync(trial(reports=(bad,)))
    tracker.sync(trial(reports=(bad, report(2))))
    run = stored(tracker)["trial-0000"]
    history = MlflowClient(uri).get_metric_history(run.info.run_id, "recon_loss")
    assert math.isnan(history[0].value)
    assert history[1].value == 0.5
    assert math.isnan(run.data.metrics["psnr"])
    assert math.isnan(run.data.metrics["commitment_loss"])


def test_names_of_columns_that_mlflow_does_not_allow_are_changed(uri: str) -> None:
    tracker = open_tracker(uri)
    tracker.sync(trial(reports=(report(1, **{"recon_loss_wärme [°C/h]": 0.25}),)))
    assert stored(tracker)["trial-0000"].data.metrics["recon_loss_wärme __C_h_"] == 0.25


def test_a_picture_is_an_artifact_of_its_trial(uri: str, tmp_path: Path) -> None:
    tracker = open_tracker(uri)
    picture = tmp_path / "reconstructions.png"
    picture.write_bytes(b"png")
    tracker.attach(picture, trial())
    run = stored(tracker)["trial-0000"]
    names = [item.path for item in MlflowClient(uri).list_artifacts(run.info.run_id)]
    assert sorted(names) == ["config.yaml", "reconstructions.png"]


def recommended(tracker: MlflowTracker, *, note: str | None = None) -> dict[str, Run]:
    """Runs of a search of four trials; the second is best in one objective, the third in the other."""
    ended = {"state": TrialState.COMPLETED, "ended": 2000.0, "checkpoint": "checkpoints/trial"}
    trials = [trial(number, epochs=1, **ended) for number in range(3)]
    trials[1] = replace(trials[1], reports=(report(2, recon_loss=0.2, perplexity=9.0, psnr=20.0),))
    trials[2] = replace(trials[2], reports=(report(2, recon_loss=0.3, perplexity=19.0, psnr=18.0),))
    diverged = trial(3, epochs=1, state=TrialState.PRUNED, stop_reason=StopReason.DIVERGED, ended=2000.0)
    standing = Standing(search(*trials, diverged))
    assert [found.number for found in standing.front] == [2, 1]
    tracker.finish(standing, "completed", note)
    return stored(tracker)


def test_the_search_has_the_metrics_of_the_one_trial_that_is_recommended(uri: str) -> None:
    runs = recommended(open_tracker(uri))
    best = [run for run in runs.values() if run.data.tags.get("recommended") == "true"]
    assert len(best) == 1
    assert {k: runs["video"].data.metrics[k] for k in best[0].data.metrics} == best[0].data.metrics


def test_trials_are_marked_as_on_the_front_and_as_recommended(uri: str) -> None:
    tracker = open_tracker(uri)
    tracker.sync(trial(1, epochs=1))
    assert stored(tracker)["trial-0001"].data.tags["front"] == "false"
    runs = recommended(tracker)
    assert [runs[f"trial-000{number}"].data.tags["front"] for number in range(4)] == ["false", "true", "true", "false"]
    later = trial(4, epochs=9, state=TrialState.COMPLETED, ended=3000.0, checkpoint="checkpoints/trial")
    earlier = trial(1, epochs=2, state=TrialState.COMPLETED, ended=2000.0, checkpoint="checkpoints/trial")
    resumed = open_tracker(uri)
    resumed.finish(Standing(search(earlier, later)), "completed")
    tags = {name: run.data.tags for name, run in stored(resumed).items()}
    assert (tags["trial-0001"]["front"], tags["trial-0001"]["recommended"]) == ("false", "false")
    assert (tags["trial-0004"]["front"], tags["trial-0004"]["recommended"]) == ("true", "true")


def test_marks_cost_a_request_only_where_they_change(counted: tuple[MlflowTracker, Counting]) -> None:
    tracker, counting = counted
    ended = {"state": TrialState.COMPLETED, "ended": 2000.0, "checkpoint": "checkpoints/trial"}
    trials = [trial(number, epochs=1 + (number == 3), **ended) for number in range(6)]
    for record in trials:
        tracker.sync(record)
    counting.calls.clear()
    tracker.finish(Standing(search(*trials)), "completed")
    assert counting.calls == ["log_batch", "log_batch", "set_terminated"]  # of the best, and of the search


def test_the_search_is_described_by_what_came_of_it(uri: str) -> None:
    runs = recommended(open_tracker(uri), note="trial-0001 is the one to take.")
    assert runs["video"].data.tags["mlflow.note.content"] == "trial-0001 is the one to take."


def test_a_file_of_the_search_is_an_artifact_of_its_own_run(uri: str, tmp_path: Path) -> None:
    tracker = open_tracker(uri)
    page = tmp_path / "report.html"
    page.write_text("<p>report</p>")
    tracker.attach(page)
    assert artifact(stored(tracker)["video"], "report.html", uri, tmp_path / "got") == "<p>report</p>"


def test_every_run_names_its_data_once(counted: tuple[MlflowTracker, Counting]) -> None:
    data = dataset_input(VideoData(path="clips"), dataset())
    tracker, counting = counted
    tracker.start("a: 1", {}, data)
    tracker.sync(trial(0, epochs=1))
    tracker.sync(trial(0, epochs=2))
    assert counting.calls.count("log_inputs") == 2
    again = open_tracker(tracker.uri)
    again.start("a: 1", {}, data)
    again.sync(trial(0, epochs=3))
    for run in stored(again).values():
        (found,) = run.inputs.dataset_inputs
        assert (found.dataset.name, found.dataset.digest) == ("clips", data.dataset.digest)


def test_artifacts_lie_beside_the_database(uri: str, tmp_path: Path) -> None:
    tracker = open_tracker(uri)
    tracker.start("a: 1", {})
    assert list((tmp_path / "mlruns").rglob("space.yaml"))


def test_a_report_costs_one_request_and_no_news_cost_none(counted: tuple[MlflowTracker, Counting]) -> None:
    tracker, counting = counted
    tracker.sync(trial(epochs=1))
    counting.calls.clear()
    tracker.sync(trial(epochs=2))
    assert counting.calls == ["log_batch"]
    counting.calls.clear()
    tracker.sync(trial(epochs=2))
    assert counting.calls == []


def test_a_new_trial_costs_three_requests_and_its_tags_none(
    counted: tuple[MlflowTracker, Counting], monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker, counting = counted
    batches = []
    monkeypatch.setattr(counting.client, "log_batch", lambda *_, **batch: batches.append(batch))
    tracker.sync(trial(epochs=1, role=Role.CONFIRM, parent=3))
    assert counting.calls == ["create_run", "log_text", "log_batch"]
    assert [batch["tags"] for batch in batches] == [[]]


def test_a_configuration_that_was_cut_off_is_sent_again(
    counted: tuple[MlflowTracker, Counting], monkeypatch: pytest.MonkeyPatch, uri: str, tmp_path: Path
) -> None:
    tracker, counting = counted

    def gone(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(counting, "log_text", gone, raising=False)
    with pytest.raises(KeyboardInterrupt):
        tracker.sync(trial())
    monkeypatch.undo()
    tracker.sync(trial())
    assert "n_codes" in artifact(stored(tracker)["trial-0000"], "config.yaml", uri, tmp_path)


WORKER = {"peak_memory_bytes": 8e8, "host_memory_bytes": 8e8, "worker_cpu_utilization": 0.75}
ON_CPU = {"system/cpu_utilization_percentage": 75.0, "system/system_memory_usage_megabytes": 800.0}


@pytest.mark.parametrize(
    ("of_worker", "system"),
    [
        (WORKER, ON_CPU),
        (WORKER | {"peak_memory_bytes": 3e9}, ON_CPU | {"system/gpu_0_memory_usage_megabytes": 3000.0}),
        ({"peak_memory_bytes": 8e8}, {}),  # of an earlier release
    ],
)
def test_what_a_worker_took_has_the_names_of_system_metrics(
    of_worker: dict[str, float], system: dict[str, float], uri: str
) -> None:
    tracker = open_tracker(uri)
    tracker.sync(trial(reports=(report(1, **of_worker), report(2, **of_worker))))
    run = stored(tracker)["trial-0000"]
    assert {name: value for name, value in run.data.metrics.items() if name.startswith("system/")} == system
    for name in system:
        assert [metric.step for metric in tracker._client.get_metric_history(run.info.run_id, name)] == [1, 2]


def test_the_search_itself_has_no_system_metrics(uri: str) -> None:
    tracker = open_tracker(uri)
    best = trial(reports=(report(1, **WORKER),), state=TrialState.COMPLETED, checkpoint="x", ended=2000.0)
    tracker.finish(Standing(search(best)), "completed")
    assert not any(name.startswith("system/") for name in stored(tracker)["video"].data.metrics)


@pytest.mark.parametrize("channels", [15, 400])
def test_many_missed_reports_fit_the_request_limit(channels: int, uri: str) -> None:
    tracker = open_tracker(uri)
    many = {f"recon_loss_{number}": 1.0 for number in range(channels)}
    tracker.sync(trial(reports=tuple(report(epoch, **many) for epoch in range(1, 121))))
    metrics = stored(tracker)["trial-0000"].data.metrics
    assert metrics["epoch"] == 120
    assert metrics.keys() >= many.keys()


def test_a_long_error_keeps_its_end(uri: str) -> None:
    tracker = open_tracker(uri)
    tracker.sync(trial(state=TrialState.FAILED, error="x" * 20_000 + "the cause", ended=2000.0))
    assert stored(tracker)["trial-0000"].data.tags["error"].endswith("the cause")


def test_a_failing_store_raises_pauses_and_is_caught_up_with(
    counted: tuple[MlflowTracker, Counting], monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker, counting = counted
    tracker.sync(trial(epochs=1))
    counting.broken = True
    with pytest.raises(TrackingError, match="gone"):
        tracker.sync(trial(epochs=2))
    counting.calls.clear()
    with pytest.raises(TrackingError, match="tried again in"):
        tracker.sync(trial(epochs=3))
    assert counting.calls == []

    counting.broken = False
    later = time.monotonic() + tracking.PAUSE_SECONDS + 1
    monkeypatch.setattr(time, "monotonic", lambda: later)
    tracker.sync(trial(epochs=3))
    run = stored(tracker)["trial-0000"]
    history = MlflowClient(tracker.uri).get_metric_history(run.info.run_id, "recon_loss")
    assert sorted(m.step for m in history) == [1, 2, 3]


def test_what_ctrl_c_cut_off_is_sent_once(
    counted: tuple[MlflowTracker, Counting], monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker, counting = counted
    tracker.sync(trial(epochs=1))

    def arrives_but_never_returns(*args: Any, **kwargs: Any) -> None:
        counting.client.log_batch(*args, **kwargs)
        raise KeyboardInterrupt

    monkeypatch.setattr(counting, "log_batch", arrives_but_never_returns, raising=False)
    with pytest.raises(KeyboardInterrupt):
        tracker.sync(trial(epochs=2))
    monkeypatch.undo()
    tracker.sync(trial(epochs=2))
    run = stored(tracker)["trial-0000"]
    history = MlflowClient(tracker.uri).get_metric_history(run.info.run_id, "recon_loss")
    assert sorted(m.step for m in history) == [1, 2]


def test_finish_does_not_wait_out_the_pause(counted: tuple[MlflowTracker, Counting]) -> None:
    tracker, counting = counted
    counting.broken = True
    with pytest.raises(TrackingError):
        tracker.sync(trial(epochs=1))
    counting.broken = False
    tracker.finish(Standing(search(trial(epochs=1, state=TrialState.COMPLETED, ended=2000.0))), "completed")
    assert stored(tracker)["trial-0000"].info.status == "FINISHED"


def test_many_trials_are_found_again(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tracker = open_tracker(uri)
    for number in range(5):
        tracker.sync(trial(number, epochs=1))
    search_runs = MlflowClient.search_runs
    monkeypatch.setattr(MlflowClient, "search_runs", lambda *args, **kw: search_runs(*args, **kw, max_results=2))
    again = open_tracker(uri)
    again.finish(Standing(search()), "interrupted")
    monkeypatch.undo()
    assert {run.info.status for run in stored(again).values()} == {"KILLED"}
