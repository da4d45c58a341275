"""One real, tiny search, from the command to everything that it leaves behind."""

import json
import math
import re
import signal
from collections import Counter
from pathlib import Path
from urllib.request import urlopen

import pandas as pd
import pytest
import torch
import yaml
from mlflow import MlflowClient
from PIL import Image

from ndvq_tune import RunConfig, SearchSpace, load_model
from ndvq_tune.data.dataset import open_dataset
from ndvq_tune.training.evaluation import evaluate
from tests.end_to_end import states
from tests.end_to_end.workplace import TINY, Workplace, answers, wait_for

pytestmark = pytest.mark.ray

Finished = tuple[Workplace, str]


def test_optuna_tune_and_mlflow_agree_on_every_final_state(finished: Finished) -> None:
    workplace, _ = finished
    optuna_states = states.optuna_states(workplace.results)
    assert optuna_states == states.mlflow_states(workplace.folder) == states.tune_states(workplace.results)
    assert len(optuna_states) == 10
    assert set(optuna_states.values()) == {"completed", "pruned", "failed"}


def test_summary_counts_what_the_study_holds(finished: Finished) -> None:
    workplace, _ = finished
    summary = json.loads((workplace.results / "summary.json").read_text())
    counts = Counter(states.optuna_states(workplace.results).values())
    assert {state: summary["trials"][state] for state in counts} == counts
    assert summary["mlflow"]["parent_run_id"] == states.mlflow_runs(workplace.folder)[0].info.run_id
    assert summary["seed"] == 66
    assert summary["space"]["name"] == "tiny"
    assert summary["wall_seconds"] > 0
    assert {"torch", "ray", "optuna", "mlflow"} <= set(summary["versions"])


def test_the_recommended_model_is_set_beside_plain_methods(finished: Finished) -> None:
    workplace, _ = finished
    summary = json.loads((workplace.results / "summary.json").read_text())
    assert [item["name"] for item in summary["baselines"]] == ["mean", "trilinear", "H.264"]
    assert all(0 < item["recon_loss"] < 2 for item in summary["baselines"])
    page = (workplace.results / "report.html").read_text()
    section = page.split("<h2>Beside plain methods</h2>")[1].split("</section>")[0]
    assert f'<th scope="row">{summary["best"]["trial"]}</th>' in section


def test_pruned_trials_keep_their_intermediate_values_in_optuna(finished: Finished) -> None:
    workplace, _ = finished
    for trial in states.optuna_trials(workplace.results):
        epochs = len([key for key in trial.user_attrs if key.startswith("report:")])
        assert len(trial.intermediate_values) == epochs
        if trial.state.name in ("COMPLETE", "PRUNED"):
            assert epochs >= 1
        if trial.state.name == "COMPLETE":
            assert trial.values[0] == trial.intermediate_values[3]


def test_divergence_is_pruned_with_its_reason_and_errors_fail_with_their_text(finished: Finished) -> None:
    workplace, _ = finished
    for trial in states.optuna_trials(workplace.results):
        if trial.params["training.loss.spectral_weight"]:
            assert trial.state.name == "FAIL"
            assert "ShapeError" in trial.user_attrs["error"]
        elif trial.params["training.learning_rate"] > 1:
            assert trial.state.name == "PRUNED"
            assert trial.user_attrs["stop_reason"] == "diverged"


def test_mlflow_holds_every_report_with_its_step(finished: Finished) -> None:
    workplace, _ = finished
    curves = pd.read_parquet(workplace.results / "curves.parquet")
    _, runs = states.mlflow_runs(workplace.folder)
    trials = {trial.number: trial for trial in states.optuna_trials(workplace.results)}
    for number, run in runs.items():
        rows = curves[curves["number"] == number]
        assert len(rows) == len(trials[number].intermediate_values)
        if len(rows) and math.isfinite(rows["recon_loss"].iloc[-1]):
            assert run.data.metrics["recon_loss"] == pytest.approx(rows["recon_loss"].iloc[-1])
        assert run.data.tags["state"] == states.OPTUNA[trials[number].state.name]
        assert set(run.data.params) == {key.partition(".")[2] for key in trials[number].params}


def test_mlflow_has_what_is_recommended_and_the_reason(finished: Finished) -> None:
    workplace, output = finished
    best = json.loads((workplace.results / "summary.json").read_text())["best"]
    parent, runs = states.mlflow_runs(workplace.folder)
    (marked,) = [run for run in runs.values() if run.data.tags["recommended"] == "true"]
    assert marked.info.run_name == best["trial"]
    assert marked.data.tags["front"] == "true"
    assert parent.data.metrics["recon_loss"] == pytest.approx(best["metrics"]["recon_loss"])
    assert parent.data.params["model.n_hiddens"] == "8"
    assert parent.data.tags["mlflow.note.content"].startswith(f"{best['trial']} is the one to take")
    assert all(len(run.inputs.dataset_inputs) == 1 for run in (parent, *runs.values()))
    client = MlflowClient(f"sqlite:///{workplace.folder / 'mlflow.db'}")
    assert client.get_model_version_by_alias("tiny", "champion").run_id == marked.info.run_id
    assert {"report.html", "best.yaml"} <= {file.path for file in client.list_artifacts(parent.info.run_id)}
    address = f"/#/experiments/{parent.info.experiment_id}/runs?workflowType=machine_learning&orderByKey"
    assert output.count(address) == 2  # at the start and at the end


def test_best_model_loads_and_reconstructs_as_reported(finished: Finished) -> None:
    workplace, _ = finished
    best = json.loads((workplace.results / "summary.json").read_text())["best"]
    config = RunConfig.model_validate(yaml.safe_load((workplace.results / "best.yaml").read_text()))
    model = load_model(workplace.results / "checkpoints" / best["trial"])
    assert model.quantizer.n_codes == config.model.n_codes
    x = torch.rand(2, *model.input_shape)
    _, x_recon, vq_output = model(x)
    torch.testing.assert_close(model.decode(model.encode(x)), x_recon, rtol=1e-4, atol=1e-4)
    assert torch.equal(vq_output["encodings"], model.encode(x))


def test_whatever_is_named_is_there_and_reaches_the_figure_beside_it(finished: Finished) -> None:
    workplace, _ = finished
    summary = json.loads((workplace.results / "summary.json").read_text())
    named = [summary["best"], *summary["pareto"]]
    for item in named:
        model = load_model(workplace.results / item["checkpoint"])
        config = json.loads((workplace.results / item["checkpoint"] / "config.json").read_text())["config"]
        data = RunConfig.model_validate(config).data
        dataset = open_dataset(data.model_copy(update={"path": str(workplace.folder / data.path)}))
        again = evaluate(model, dataset, batch_size=2).metrics
        assert again["recon_loss"] == pytest.approx(item["metrics"]["recon_loss"], rel=1e-5)
        assert again["perplexity"] == pytest.approx(item["metrics"]["perplexity"], rel=1e-5)
    assert summary["best"]["state"] == "completed"
    table = pd.read_parquet(workplace.results / "trials.parquet")
    assert all((workplace.results / folder).is_dir() for folder in table["checkpoint"].dropna())
    assert set(table["checkpoint"].dropna()) >= {item["checkpoint"] for item in named}


def test_kept_checkpoints_hold_nothing_pickled(finished: Finished) -> None:
    workplace, _ = finished
    kept = list((workplace.results / "checkpoints").iterdir())
    assert kept
    for folder in kept:
        names = {path.name for path in folder.iterdir()}
        assert names == {"model.safetensors", "config.json", "training.safetensors"}
        assert b"\x80\x04" not in (folder / "config.json").read_bytes()


def test_pictures_and_report_are_there(finished: Finished) -> None:
    workplace, _ = finished
    pictures = list((workplace.results / "pictures").glob("*.png"))
    assert pictures
    for path in pictures:
        with Image.open(path) as picture:
            assert min(picture.size) > 100
    best = json.loads((workplace.results / "summary.json").read_text())["best"]["trial"]
    assert {f"{best}.png", f"{best}-codes.png"} <= {path.name for path in pictures}
    with Image.open(workplace.results / "pictures" / f"{best}.webp") as film:
        film.seek(1)  # there is more than one frame
    assert (workplace.results / "front.png").exists()
    report = (workplace.results / "report.html").read_text()
    assert "plotly" in report
    assert "How often codes are used" in report


def test_output_in_a_pipe_has_a_line_a_report_and_no_control_characters(finished: Finished) -> None:
    workplace, output = finished
    reports = len(pd.read_parquet(workplace.results / "curves.parquet"))
    assert len(re.findall(r"^trial-\d{4} epoch \d/3 .*bits \d\.\d{4}$", output, re.MULTILINE)) == reports
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", output)
    assert "mlflow ui" in output
    assert "raylet" not in output


def test_the_folder_of_a_search_is_not_used_for_another(finished: Finished) -> None:
    workplace, _ = finished
    again = workplace.run("--space", str(TINY))
    assert again.returncode == 2
    assert "already holds a search" in again.stderr
    assert "Traceback" not in again.stderr


def test_mlflow_pages_are_served_until_ctrl_c(workplace: Workplace) -> None:
    soon = ["--set", "training.loss.spectral_weight=0", "--set", "search.resources.workers_per_trial=0"]
    search = workplace.start("--space", str(TINY), "--trials", "1", *soon, "--ui")
    try:
        wait_for(lambda: "until Ctrl-C" in workplace.log or search.poll() is not None, 300)
        *_, (server, experiment) = re.findall(r"MLflow +(http://127.+)/#/experiments/(\d+)/runs", workplace.log)
        wait_for(lambda: answers(server))
        with urlopen(f"{server}/api/2.0/mlflow/experiments/get?experiment_id={experiment}", timeout=60) as answer:
            assert json.load(answer)["experiment"]["name"] == "tiny"
        search.send_signal(signal.SIGINT)
        assert search.wait(60) == 0
    finally:
        search.kill()
        search.wait()
    assert not answers(server)


def test_a_trial_can_have_several_workers(workplace: Workplace) -> None:
    options = ["--trials", "2", "--set", "training.loss.spectral_weight=0", "--set", "training.learning_rate=1e-3"]
    resources = ["--set", "search.resources.workers_per_trial=2", "--set", "search.scheduler={type: none}"]
    done = workplace.run("--space", str(TINY), *options, *resources)
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(states.optuna_states(workplace.results).values()) == ["completed", "completed"]


def test_a_search_learns_from_an_earlier_one(finished: Finished, tmp_path: Path, cache: Path) -> None:
    earlier, _ = finished
    sound = {
        trial.number: trial
        for trial in states.optuna_trials(earlier.results)
        if trial.state.name != "FAIL" and trial.user_attrs.get("stop_reason") != "diverged"
    }
    assert len(sound) >= 2
    workplace = Workplace(tmp_path, cache)
    options = ["--name", "tiny-again", "--trials", "2", "--set", "search.resources.workers_per_trial=0"]
    done = workplace.run("--space", str(TINY), *options, "--warm-start", str(earlier.results))
    assert f"{earlier.results}: {len(sound)} trials taken over, 0 more to be tried first" in done.stdout, done.stderr
    results = tmp_path / "runs" / "tiny-again"
    known = [point for point in states.optuna_points(results) if "known" in point.user_attrs]
    assert [point.params for point in known] == [trial.params for trial in sound.values()]
    assert [point.values for point in known] == [trial.values for trial in sound.values()]
    assert [point.intermediate_values for point in known] == [trial.intermediate_values for trial in sound.values()]
    assert len(states.optuna_trials(results)) == 2
    assert len(states.mlflow_runs(tmp_path)[1]) == 2  # what was taken over is no trial of this search


def test_a_finished_search_is_refined_or_says_why_not(finished: Finished, tmp_path: Path) -> None:
    workplace, _ = finished
    refined = tmp_path / "refined.yaml"
    done = workplace.run("runs/tiny", "--output", str(refined), module="ndvq_tune.refine")
    if done.returncode == 0:
        assert SearchSpace.load(refined).name == "tiny-refined"
        assert yaml.safe_load(refined.read_text())["name"] == "tiny-refined"
    else:
        reasons = r"(\d finished trials that can be compared; needs at least 8|nothing to narrow)"
        assert re.search(f"runs/tiny: {reasons}", done.stdout + done.stderr)
        assert not refined.exists()


def test_a_finished_search_can_be_extended(finished: Finished, tmp_path: Path) -> None:
    workplace, _ = finished
    before = states.optuna_states(workplace.results)
    more = workplace.run("--resume", "--output", str(workplace.results), "--trials", "12")
    assert more.returncode == 0, more.stdout + more.stderr
    after = states.optuna_states(workplace.results)
    assert {number: after[number] for number in before} == before
    assert len(after) == 12
    assert after == states.mlflow_states(workplace.folder) == states.tune_states(workplace.results)
