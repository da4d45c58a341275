"""The recipe of Ray's documentation for tuning with Ray Train: a ``TorchTrainer`` for every trial.

As in "Hyperparameter Tuning with Ray Tune" of Ray's user guides: ``Tuner(driver)``, whose driver builds a trainer with
a ``TuneReportCallback`` and calls ``fit``; ``max_concurrent_trials`` as recommended there, OptunaSearch and ASHA. It
runs in a process of its own (``benchmarks.overhead`` starts it), without any of our settings for Ray.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import ray
import ray.train
import torch
from ray import tune
from ray.train.torch import TorchTrainer
from ray.tune.experiment import Trial
from ray.tune.integration.ray_train import TuneReportCallback
from ray.tune.schedulers import AsyncHyperBandScheduler
from ray.tune.search.optuna import OptunaSearch

from ndvq_tune.config import RunConfig
from ndvq_tune.data.dataset import open_dataset
from ndvq_tune.training.loop import Training
from ndvq_tune.yaml_file import with_values


def train_worker(config: dict[str, Any]) -> None:
    """Train one model, with a report after each epoch."""
    torch.set_num_threads(1)
    run = RunConfig.model_validate(config)
    Training(run, open_dataset(run.data)).fit(ray.train.report)


def drive(config: dict[str, Any]) -> None:
    """One trial: a trainer of its own."""
    chosen = {key: json.loads(value) if isinstance(value, str) else value for key, value in config["chosen"].items()}
    trainer = TorchTrainer(
        train_worker,
        train_loop_config=with_values(config["fixed"], chosen),
        scaling_config=ray.train.ScalingConfig(num_workers=1),
        run_config=ray.train.RunConfig(
            name=f"train-{tune.get_context().get_trial_id()}",
            storage_path=config["storage"],
            callbacks=[TuneReportCallback()],
        ),
    )
    trainer.fit()


class Times(tune.Callback):  # type: ignore[misc]  # Ray has no types
    """Writes down at once when the driver hears of a report: of a run that hangs, that is what is left."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """A trial has reported."""
        report = {"trial": trial.trial_id, "at": time.time(), "trained": result["training_seconds"]}
        with self._path.open("a") as file:
            file.write(json.dumps(report) + "\n")


def search(job: dict[str, Any], times: Path) -> None:
    """Run a search.

    Args:
        job: ``fixed`` and ``searched`` settings of a run, ``trials``, ``lanes``, ``spare_cpus``, ``metric``, ``mode``,
            ``max_epochs``, ``grace_period`` and ``reduction_factor``, and a folder as ``storage``.
        times: Where to write the times of reports, a line of JSON each.
    """
    # By default a trial's driver counts as one CPU, and its worker as another. The dashboard answers the process that
    # frees what the trainers of stopped trials leave behind.
    ray.init(num_cpus=2 * job["lanes"] + job["spare_cpus"], include_dashboard=True)
    space = {key: _domain(values) for key, values in job["searched"].items()}
    tuner = tune.Tuner(
        drive,
        param_space={"fixed": job["fixed"], "chosen": space, "storage": f"{job['storage']}/train"},
        tune_config=tune.TuneConfig(
            metric=job["metric"],
            mode=job["mode"],
            num_samples=job["trials"],
            max_concurrent_trials=job["lanes"],
            search_alg=OptunaSearch(seed=0),
            scheduler=AsyncHyperBandScheduler(
                time_attr="epoch",
                max_t=job["max_epochs"],
                grace_period=job["grace_period"],
                reduction_factor=job["reduction_factor"],
            ),
        ),
        run_config=tune.RunConfig(name="tune", storage_path=job["storage"], callbacks=[Times(times)]),
    )
    tuner.fit()


def _domain(values: dict[str, Any]) -> Any:
    """A distribution in Tune's terms; choices as text, because Optuna keeps scalars only."""
    if "choice" in values:
        return tune.choice([json.dumps(value) for value in values["choice"]])
    return (tune.loguniform if values["log"] else tune.uniform)(values["low"], values["high"])


if __name__ == "__main__":
    search(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
