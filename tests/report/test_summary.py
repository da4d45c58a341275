import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from ndvq_tune.config import RunConfig
from ndvq_tune.judgement.standing import Standing
from ndvq_tune.records import SearchRecord
from ndvq_tune.report.finding import reason
from ndvq_tune.report.summary import write_summary
from tests.report.report_examples import OBJECTIVES, UNFINISHED, goals, make_trial

MLFLOW = {"tracking_uri": "sqlite:///mlflow.db", "experiment_id": "1", "parent_run_id": "abc"}


def written(search: SearchRecord, folder: Path) -> dict[str, Any]:
    def refuse(token: str) -> None:
        raise AssertionError(f"{token} is not JSON")

    path = write_summary(
        Standing(search), UNFINISHED, folder, space={"model": {"n_codes": {"choice": [256]}}}, mlflow=MLFLOW
    )
    content: dict[str, Any] = json.loads(path.read_text(), parse_constant=refuse)
    return content


def test_summary_holds_what_a_program_needs(example: SearchRecord, tmp_path: Path) -> None:
    content = written(example, tmp_path)
    winner = Standing(example).best
    assert winner is not None
    assert content["space"] == {"model": {"n_codes": {"choice": [256]}}}
    counts = {"total": 24, "running": 0, "completed": 10, "pruned": 13, "failed": 1}
    assert content["trials"] == counts | {"finished": 0, "repetitions": 0, "rejected": 0}
    assert content["recommended"] == {"trial": winner.name, "reason": reason(Standing(example)), "in_doubt": []}
    assert (content["rejected"], content["ended_by"], content["confirmed"]) == ({}, None, [])
    assert content["best"]["trial"] == winner.name
    assert content["best"]["params"] == dict(winner.params)
    assert content["best"]["metrics"]["recon_loss"] == winner.metrics["recon_loss"]
    assert [item["trial"] for item in content["pareto"]] == [trial.name for trial in Standing(example).front]
    assert (content["wall_seconds"], content["seed"], content["mlflow"]) == (312.4, 7, MLFLOW)
    assert content["skipped_files"] == {"broken.mp4": "no video stream"}
    assert set(content["versions"]) == {"python", "ndvq_tune", "torch", "ray", "optuna", "mlflow"}


def test_non_finite_numbers_are_null(tmp_path: Path) -> None:
    metrics = {"recon_loss": 0.0, "bits_per_element": 0.1, "psnr": math.inf, "perplexity": math.nan}
    content = written(SearchRecord("s", (make_trial(0, metrics),), OBJECTIVES), tmp_path)
    assert content["best"]["metrics"]["psnr"] is None
    assert content["best"]["metrics"]["perplexity"] is None


def test_what_happened_beside_training_is_counted_apart(eventful: SearchRecord, tmp_path: Path) -> None:
    content = written(eventful, tmp_path)
    counts = {"total": 24, "running": 0, "completed": 10, "pruned": 13, "failed": 1}
    assert content["trials"] == counts | {"finished": 0, "repetitions": 9, "rejected": 31}
    assert content["rejected"] == {"memory": 6, "bits_per_element": 25}
    assert content["ended_by"] == "until"


def test_hypervolume_has_its_reference(example: SearchRecord, tmp_path: Path) -> None:
    content = written(example, tmp_path)
    trials = Standing(example).eligible
    worst = {name: max(trial.metrics[name] for trial in trials) for name in OBJECTIVES.metrics}
    assert content["hypervolume"]["reference"] == worst
    corners = sorted(
        (trial.metrics["bits_per_element"], trial.metrics["recon_loss"]) for trial in Standing(example).front
    )
    ends = [*(bits for bits, _ in corners[1:]), worst["bits_per_element"]]
    steps = [(end - bits) * (worst["recon_loss"] - loss) for (bits, loss), end in zip(corners, ends, strict=True)]
    assert content["hypervolume"]["value"] == pytest.approx(sum(steps))


def test_repetitions_come_with_what_they_say(eventful: SearchRecord, tmp_path: Path) -> None:
    first, *others = written(eventful, tmp_path)["confirmed"]
    runs = [eventful.trials[number].metrics["recon_loss"] for number in (6, 27, 28, 29)]
    assert first == {
        "trial": "trial-0006",
        "mean": pytest.approx(np.mean(runs)),
        "spread": pytest.approx(np.std(runs, ddof=1)),
        "seeds": 4,
        "lost": 0,
        "probability": pytest.approx(1 - sum(item["probability"] for item in others)),
    }


def test_trials_of_the_front_have_their_history(eventful: SearchRecord, tmp_path: Path) -> None:
    small = replace(eventful, goals=goals("recon_loss"), trials=eventful.trials[21:22])
    (found,) = written(small, tmp_path)["pareto"]
    assert (found["role"], found["parent"]) == ("exploit", "trial-0004")
    assert found["rescues"] == [{"epoch": 1, "action": "lower_beta"}]
    assert not {"role", "parent", "rescues"} & written(eventful, tmp_path)["pareto"][0].keys()


def test_best_yaml_is_a_complete_configuration_with_its_origin(example: SearchRecord, tmp_path: Path) -> None:
    written(example, tmp_path)
    text = (tmp_path / "best.yaml").read_text()
    winner = Standing(example).best
    assert winner is not None
    assert text.startswith(f"# {winner.name} of the search video3d\n# epoch 12, recon_loss ")
    assert RunConfig.model_validate(yaml.safe_load(text)) == RunConfig.model_validate(winner.config)


def test_search_without_trials(empty: SearchRecord, tmp_path: Path) -> None:
    content = written(empty, tmp_path)
    assert (content["best"], content["pareto"], content["recommended"], content["hypervolume"]) == (
        None,
        [],
        None,
        None,
    )
    assert not (tmp_path / "best.yaml").exists()


def test_importances_are_kept_with_their_intervals(eventful: SearchRecord, tmp_path: Path) -> None:
    first, *_ = written(eventful, tmp_path)["importance"]
    assert first == {"key": "training.learning_rate", "share": 0.41, "low": 0.28, "high": 0.54}


def test_diagnosis_is_there_for_programs(example: SearchRecord, tmp_path: Path) -> None:
    diagnosis = written(example, tmp_path)["diagnosis"]
    assert (diagnosis["verdict"], diagnosis["why"]) == ("unfinished", "its loss still fell")
    first, second = diagnosis["findings"]
    assert first["rule"] == "still_falling"
    assert first["evidence"] == {
        "figure": "fall of recon_loss", "value": 0.151, "threshold": 0.1, "trial": "trial-0003",
    }  # fmt: skip
    assert (first["confidence"], second["evidence"]["trial"]) == ("medium", None)
    assert first["change"]["settings"] == {"training.max_epochs": 48}
    assert first["command"].endswith("best.yaml --output " + f"{tmp_path}-trained --set training.max_epochs=48")
