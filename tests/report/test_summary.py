import json
import math
from pathlib import Path
from typing import Any

import yaml

from ndvq_tune.config import RunConfig
from ndvq_tune.records import SearchRecord
from ndvq_tune.report.ranking import best, pareto
from ndvq_tune.report.summary import write_summary
from tests.report.report_examples import OBJECTIVES, make_trial

MLFLOW = {"tracking_uri": "sqlite:///mlflow.db", "experiment_id": "1", "parent_run_id": "abc"}


def written(search: SearchRecord, folder: Path) -> dict[str, Any]:
    def refuse(token: str) -> None:
        raise AssertionError(f"{token} is not JSON")

    path = write_summary(search, folder, space={"model": {"n_codes": {"choice": [256]}}}, mlflow=MLFLOW)
    content: dict[str, Any] = json.loads(path.read_text(), parse_constant=refuse)
    return content


def test_summary_holds_what_a_program_needs(example: SearchRecord, tmp_path: Path) -> None:
    content = written(example, tmp_path)
    winner = best(example)
    assert winner is not None
    assert content["space"] == {"model": {"n_codes": {"choice": [256]}}}
    assert content["trials"] == {"total": 24, "running": 0, "completed": 10, "pruned": 13, "failed": 1}
    assert content["best"]["trial"] == winner.name
    assert content["best"]["params"] == dict(winner.params)
    assert content["best"]["metrics"]["recon_loss"] == winner.metrics["recon_loss"]
    assert [item["trial"] for item in content["pareto"]] == [trial.name for trial in pareto(example)]
    assert (content["wall_seconds"], content["seed"], content["mlflow"]) == (312.4, 7, MLFLOW)
    assert content["skipped_files"] == {"broken.mp4": "no video stream"}
    assert set(content["versions"]) == {"python", "ndvq_tune", "torch", "ray", "optuna", "mlflow"}


def test_non_finite_numbers_are_null(tmp_path: Path) -> None:
    metrics = {"recon_loss": 0.0, "bits_per_element": 0.1, "psnr": math.inf, "perplexity": math.nan}
    content = written(SearchRecord("s", (make_trial(0, metrics),), OBJECTIVES), tmp_path)
    assert content["best"]["metrics"]["psnr"] is None
    assert content["best"]["metrics"]["perplexity"] is None


def test_best_yaml_is_a_complete_configuration_with_its_origin(example: SearchRecord, tmp_path: Path) -> None:
    written(example, tmp_path)
    text = (tmp_path / "best.yaml").read_text()
    winner = best(example)
    assert winner is not None
    assert text.startswith(f"# {winner.name} of the search video3d\n# epoch 12, recon_loss ")
    assert RunConfig.model_validate(yaml.safe_load(text)) == RunConfig.model_validate(winner.config)


def test_search_without_trials(empty: SearchRecord, tmp_path: Path) -> None:
    content = written(empty, tmp_path)
    assert (content["best"], content["pareto"]) == (None, [])
    assert not (tmp_path / "best.yaml").exists()
