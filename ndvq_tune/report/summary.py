"""The search for programs: ``summary.json``, and ``best.yaml`` to train the best model again."""

import json
import math
import platform
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml

from ndvq_tune.atomic import replacing
from ndvq_tune.diagnosis.finding import Diagnosis
from ndvq_tune.judgement.front import front_hypervolume, reference
from ndvq_tune.judgement.repetitions import Confirmed
from ndvq_tune.judgement.standing import Standing
from ndvq_tune.records import Role, SearchRecord, TrialRecord, TrialState
from ndvq_tune.report.finding import reason
from ndvq_tune.report.wording import as_typed

_PACKAGES = ("ndvq-tune", "torch", "ray", "optuna", "mlflow")


def write_summary(
    standing: Standing,
    diagnosis: Diagnosis,
    folder: Path,
    *,
    space: Mapping[str, Any],
    mlflow: Mapping[str, str] | None,
) -> Path:
    """Writes ``summary.json``, and ``best.yaml`` as soon as there is a best trial.

    Args:
        standing: The search.
        diagnosis: What is to be thought of it.
        folder: The results folder.
        space: The space as run.
        mlflow: ``tracking_uri``, ``experiment_id`` and ``parent_run_id``; ``None`` where nothing was tracked.

    Returns:
        Path of ``summary.json``.
    """
    path = folder / "summary.json"
    content = summary(standing, space, mlflow) | {"diagnosis": diagnosis_for_programs(diagnosis, folder)}
    text = json.dumps(_plain(content), indent=2, allow_nan=False)
    with replacing(path) as draft:
        draft.write_text(text + "\n", encoding="utf-8")
    if standing.best is not None:
        with replacing(folder / "best.yaml") as draft:
            draft.write_text(best_yaml(standing.search, standing.best), encoding="utf-8")
    return path


def summary(standing: Standing, space: Mapping[str, Any], mlflow: Mapping[str, str] | None) -> dict[str, Any]:
    """The content of ``summary.json``.

    Of ``trials``, ``rejected`` were never trained, and ``finished`` and ``repetitions`` are of trials that are counted
    already; none of these is part of ``total``.

    Args:
        standing: The search.
        space: The space that it ran, as a plain mapping.
        mlflow: Where MLflow keeps it: ``tracking_uri``, ``experiment_id`` and ``parent_run_id``; None if nowhere.
    """
    search, winner = standing.search, standing.best
    return {
        "name": search.name,
        "space": space,
        "trials": _counts(search),
        "rejected": search.rejected,
        "ended_by": search.ended_by,
        "objectives": [{"metric": item.metric, "mode": item.mode} for item in search.goals.objectives],
        "constraints": [{"metric": item.metric, item.side: item.bound} for item in search.goals.constraints],
        "best": None if winner is None else _found(winner),
        "recommended": None if winner is None else _recommended(winner, standing),
        "pareto": [_found(trial) for trial in standing.front],
        "hypervolume": _hypervolume(standing),
        "importance": [asdict(importance) for importance in search.importances],
        "baselines": [asdict(baseline) for baseline in search.baselines],
        "confirmed": [_repeated(item) for item in standing.confirmed],
        "wall_seconds": search.wall_seconds,
        "mlflow": mlflow,
        "seed": search.seed,
        "versions": versions(),
        "skipped_files": search.skipped_files,
    }


def diagnosis_for_programs(diagnosis: Diagnosis, folder: Path) -> dict[str, Any]:
    """The key ``diagnosis`` of ``summary.json``; each change has the command that runs it."""
    return {
        "verdict": diagnosis.verdict,
        "why": diagnosis.why,
        "findings": [
            {**asdict(finding), "command": finding.change and finding.change.command(as_typed(folder))}
            for finding in diagnosis.findings
        ],
    }


def best_yaml(search: SearchRecord, trial: TrialRecord) -> str:
    """A trial's complete configuration, with a comment that says where it is from and how good it was."""
    metrics = ", ".join(f"{name} {value:.5g}" for name, value in trial.result.items() if name != "seconds")
    head = f"# {trial.name} of the search {search.name}\n# {metrics}\n"
    return head + yaml.safe_dump(trial.config.to_dict(), sort_keys=False)


def versions() -> dict[str, str | None]:
    """Versions of Python and of the packages that decide over the results."""
    return {"python": platform.python_version()} | {name.replace("-", "_"): _version(name) for name in _PACKAGES}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _counts(search: SearchRecord) -> dict[str, int]:
    trials = search.searched
    return {
        "total": len(trials.trials),
        **{str(state): trials.count(state) for state in TrialState},
        "finished": search.count_role(Role.FINISH),
        "repetitions": search.count_role(Role.CONFIRM),
        "rejected": sum(search.rejected.values()),
    }


def _found(trial: TrialRecord) -> dict[str, Any]:
    found: dict[str, Any] = {
        "trial": trial.name,
        "state": str(trial.state),
        "params": trial.params,
        "metrics": trial.result,
        "checkpoint": trial.weights,
    }
    if trial.role is not Role.SEARCH:
        found |= {"role": str(trial.role), "parent": trial.parent_name}
    if trial.rescues:
        found["rescues"] = [{"epoch": rescue.epoch, "action": rescue.action} for rescue in trial.rescues]
    return found


def _recommended(winner: TrialRecord, standing: Standing) -> dict[str, Any]:
    in_doubt = [{"over": lead.over.name, "share": lead.share, "margin": lead.margin} for lead in standing.in_doubt]
    return {"trial": winner.name, "reason": reason(standing), "in_doubt": in_doubt}


def _hypervolume(standing: Standing) -> dict[str, Any] | None:
    value = front_hypervolume(standing)
    return None if value is None else {"value": value, "reference": reference(standing)}


def _repeated(item: Confirmed) -> dict[str, Any]:
    return {
        "trial": item.trial.name,
        "mean": item.means[0],
        "spread": item.spread,
        "seeds": item.seeds,
        "lost": item.lost,
        "probability": item.probability,
    }


def _plain(value: Any) -> Any:
    """The dicts, lists and numbers that JSON and YAML know; null for NaN and infinities, which JSON has no word for."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
