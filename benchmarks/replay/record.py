"""``python -m benchmarks.replay.record``: train random configurations to the end and keep their learning curves.

Every row is one report of one training, so the table can answer for any strategy what it would have seen, and when. The
clock is the CPU time of the training process with one thread: other programs on the machine hardly change it.
A second run goes on where the first was stopped.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import torch
from rich.progress import track

from benchmarks.replay.table import TABLE, load_space
from ndvq_tune.data import open_dataset
from ndvq_tune.search.space import SearchSpace
from ndvq_tune.training.loop import Training

CONFIGURATIONS = 320


def configuration(space: SearchSpace, number: int) -> tuple[dict[str, Any], Any]:
    """The random configuration of that number; the same in every run."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=number))
    return space.suggest(study.ask())


def learning_curve(space: SearchSpace, dataset: Any, number: int) -> list[dict[str, Any]]:
    """One training from the first epoch to the last: a row an epoch, with the seconds it took so far."""
    params, config = configuration(space, number)
    rows: list[dict[str, Any]] = []
    start = time.process_time()
    training = Training(config, dataset)
    training.fit(
        lambda report: rows.append(
            {"number": number, "params": json.dumps(params), "seconds": time.process_time() - start, **report}
        )
    )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--configurations", type=int, default=CONFIGURATIONS)
    parser.add_argument("--table", type=Path, default=TABLE)
    options = parser.parse_args()
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = load_space()
    dataset = open_dataset(space.data)
    parts = options.table.with_suffix(".parts")
    parts.mkdir(exist_ok=True)
    for number in track(range(options.configurations), "training"):
        part = parts / f"{number:05d}.json"
        if not part.exists():
            rows = learning_curve(space, dataset, number)
            part.write_text(json.dumps(rows))
    rows = [row for part in sorted(parts.glob("*.json")) for row in json.loads(part.read_text())]
    pd.DataFrame(rows).to_parquet(options.table, index=False)
    for part in parts.glob("*.json"):
        part.unlink()
    parts.rmdir()


if __name__ == "__main__":
    main()
