"""Spaces and reports to search with, without any training."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from ndvq_tune.distributions import KINDS
from ndvq_tune.errors import ConfigError, Problem
from ndvq_tune.metrics import METRICS
from ndvq_tune.records import TrialRecord
from ndvq_tune.search.engine.study import Study
from ndvq_tune.search.space import SearchSpace
from ndvq_tune.yaml_file import Document

SMALL: dict[str, Any] = {
    "name": "small",
    "data": {"clip_length": 4, "resolution": 16},
    "model": {
        "n_codes": {"choice": [16, 32, 64]},
        "downsample": {"choice": [[1, 2, 2], [2, 2, 2], [2, 4, 4]]},
        "codebook_beta": {"log_uniform": [0.05, 2.0]},
        "attention": {
            "type": {"choice": ["none", "axial", "full"]},
            "n_head": {"choice": [1, 4], "when": {"model.attention.type": ["axial", "full"]}},
        },
    },
    "training": {"max_epochs": 9},
    "search": {"trials": 6, "stop": {"plateau": None}, "scheduler": {"grace_period": 1}},
}

TWO_OBJECTIVES = {
    "objectives": [{"metric": "recon_loss", "mode": "min"}, {"metric": "bits_per_element", "mode": "min"}],
    "constraints": [
        {"metric": "codebook_usage", "at_least": 0.1},
        {"metric": "bits_per_element", "at_most": 0.5},
    ],
}


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A copy of nested mappings with changes in it; distributions and schedulers are replaced as a whole."""
    result = dict(base)
    for key, value in changes.items():
        nested = isinstance(value, dict) and isinstance(base.get(key), dict) and not {*base[key]} & {*KINDS}
        nested = nested and not (key == "scheduler" and "type" in value)
        result[key] = merged(base[key], value) if nested else value
    return result


def space_of(**changes: Any) -> SearchSpace:
    """The small space with changes, such as ``search={"seed": 3}``."""
    return SearchSpace.from_document(Document("test.yaml", merged(SMALL, changes), {}))


def write_yaml(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content), encoding="utf-8")
    return path


def problems_of(path: Path, content: Any, *overrides: str) -> dict[str, Problem]:
    """The problems that loading a file reports, by key."""
    with pytest.raises(ConfigError) as caught:
        SearchSpace.load(write_yaml(path, content), overrides)
    problems = caught.value.problems
    assert len({problem.key for problem in problems}) == len(problems), str(caught.value)
    return {problem.key: problem for problem in problems}


def report(epoch: int = 1, recon_loss: float = 0.5, **metrics: float) -> dict[str, float]:
    """A healthy report with every metric that is not only measured where asked for."""
    always = [name for name, metric in METRICS.items() if metric.least_side is None]
    usual = {
        "psnr": 20.0,
        "perplexity": 12.0,
        "codebook_usage": 0.75,
        "bits_per_element": 0.5,
        "train_recon_loss": recon_loss,
    }
    return {"epoch": epoch} | dict.fromkeys(always, 1.0) | usual | {"recon_loss": recon_loss} | metrics


def begin(study: Study, params: dict[str, Any] | None = None) -> TrialRecord:
    """A new trial, as the engine begins one."""
    return study.begin(study.propose(params))
