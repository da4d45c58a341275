"""The recipes of Ray's documentation for searching a space, each in a process of its own without any of our settings.

As in "Hyperparameter Tuning with Ray Tune" of Ray Train's user guides: ``Tuner(driver)``, whose driver builds a
``TorchTrainer`` with a ``TuneReportCallback`` and calls ``fit``; ``max_concurrent_trials`` as recommended there,
OptunaSearch and ASHA. With ``--function`` a trial is a function that trains in its own process, as in Ray Tune's own.
"""

import argparse
from functools import partial
from pathlib import Path
from typing import Any

import optuna
import ray
import ray.train
import torch
from ray import tune
from ray.train.torch import TorchTrainer
from ray.tune.experiment import Trial
from ray.tune.integration.ray_train import TuneReportCallback
from ray.tune.schedulers import AsyncHyperBandScheduler
from ray.tune.search.optuna import OptunaSearch

from benchmarks.turns import write
from ndvq_tune.config import RunConfig
from ndvq_tune.data.dataset import open_dataset
from ndvq_tune.search.engine.optuna_space import suggest
from ndvq_tune.search.space import SearchSpace
from ndvq_tune.search.space.settings.scheduler import AshaSettings
from ndvq_tune.training.loop import Training


def train_worker(config: dict[str, Any]) -> None:
    """Train one model, with a report after each epoch."""
    _training(config).fit(ray.train.report)


def train_trial(config: dict[str, Any]) -> None:
    """One trial: a function that trains."""
    _training(config["run"]).fit(tune.report)


def drive(config: dict[str, Any], storage: str) -> None:
    """One trial: a trainer of its own."""
    trainer = TorchTrainer(
        train_worker,
        train_loop_config=config["run"],
        scaling_config=ray.train.ScalingConfig(num_workers=1),
        run_config=ray.train.RunConfig(
            name=f"train-{tune.get_context().get_trial_id()}",
            storage_path=storage,
            callbacks=[TuneReportCallback()],
        ),
    )
    trainer.fit()


class Reports(tune.Callback):  # type: ignore[misc]  # Ray has no types
    """Writes down at once when the driver hears of a report: of a run that hangs, that is what is left."""

    def __init__(self, path: Path, metric: str) -> None:
        self._path, self._metric = path, metric

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """A trial has reported."""
        write(self._path, trial.trial_id, result, self._metric)


def search(space: SearchSpace, reports: Path, storage: str, spare_cpus: int, *, function: bool) -> None:
    """Run a search.

    Args:
        space: The space; of its ``search`` the first objective, ``trials``, ``seed``, the lanes and ASHA's settings.
        reports: Where to write reports.
        storage: A folder for what Ray keeps.
        spare_cpus: CPUs that Ray counts beyond its need.
        function: Whether trials are functions, without a trainer.
    """
    scheduler, (objective, *_) = space.search.scheduler, space.search.goals.objectives
    lanes = space.search.resources.lanes
    assert isinstance(scheduler, AshaSettings)
    assert isinstance(lanes, int)
    # By default a trial's driver counts as one CPU, and its worker as another. The dashboard answers the process that
    # frees what the trainers of stopped trials leave behind.
    ray.init(num_cpus=2 * lanes + spare_cpus, include_dashboard=True)
    tuner = tune.Tuner(
        train_trial if function else tune.with_parameters(drive, storage=f"{storage}/train"),
        tune_config=tune.TuneConfig(
            num_samples=space.search.trials,
            max_concurrent_trials=lanes,
            search_alg=OptunaSearch(
                partial(define, space), metric=objective.metric, mode=objective.mode, seed=space.search.seed
            ),
            scheduler=AsyncHyperBandScheduler(
                time_attr="epoch",
                metric=objective.metric,
                mode=objective.mode,
                max_t=space.max_epochs,
                grace_period=scheduler.grace_period,
                reduction_factor=scheduler.reduction_factor,
            ),
        ),
        run_config=tune.RunConfig(name="tune", storage_path=storage, callbacks=[Reports(reports, objective.metric)]),
    )
    tuner.fit()


def define(space: SearchSpace, trial: optuna.Trial) -> dict[str, Any]:
    """What a trial runs with, drawn as OptunaSearch draws it: with conditions, and choices that are lists."""
    return {"run": suggest(space, trial).config.to_dict()}


def _training(config: dict[str, Any]) -> Training:
    torch.set_num_threads(1)
    run = RunConfig.model_validate(config)
    return Training(run, open_dataset(run.data))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("space", type=Path)
    parser.add_argument("reports", type=Path)
    parser.add_argument("storage")
    parser.add_argument("--spare-cpus", type=int, default=0)
    parser.add_argument("--function", action="store_true")
    options = parser.parse_args()
    space = SearchSpace.load(options.space)
    search(space, options.reports, options.storage, options.spare_cpus, function=options.function)


if __name__ == "__main__":
    main()
