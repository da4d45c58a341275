"""Optuna without Ray: a study with TPE and Hyperband, and a thread a lane that trains with our trainer.

As in Optuna's own guides: ``study.optimize`` with ``n_jobs``, ``trial.report`` after each epoch and
``trial.should_prune``; Hyperband is the pruner that they recommend with TPE.
"""

import sys
from functools import partial
from pathlib import Path

import optuna
import torch

from benchmarks.turns import write
from ndvq_tune.data.dataset import Dataset, open_dataset
from ndvq_tune.goals import Report
from ndvq_tune.search.engine.optuna_space import suggest
from ndvq_tune.search.space import SearchSpace
from ndvq_tune.training.loop import Training


def objective(space: SearchSpace, dataset: Dataset, reports: Path, trial: optuna.Trial) -> float:
    """Train one model; what it ends with."""
    metric = space.search.goals.objectives[0].metric
    training = Training(suggest(space, trial).config, dataset)
    loss = float("nan")

    def report(found: Report) -> None:
        nonlocal loss
        loss = found[metric]
        write(reports, str(trial.number), found, metric)
        trial.report(loss, int(found["epoch"]))
        if trial.should_prune():
            raise optuna.TrialPruned

    training.fit(report)
    return loss


def search(space: SearchSpace, reports: Path) -> None:
    """Run a search: of the space's ``search`` the first objective, ``trials``, ``seed`` and the lanes."""
    torch.set_num_threads(1)
    settings = space.search
    assert isinstance(settings.resources.lanes, int)
    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=settings.seed),
        pruner=optuna.pruners.HyperbandPruner(max_resource=space.max_epochs),
    )
    run = partial(objective, space, open_dataset(space.data), reports)
    study.optimize(run, n_trials=settings.trials, n_jobs=settings.resources.lanes)


if __name__ == "__main__":
    search(SearchSpace.load(Path(sys.argv[1])), Path(sys.argv[2]))
