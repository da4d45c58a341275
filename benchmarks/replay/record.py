"""``python -m benchmarks.replay.record``: train random configurations to the end and keep their learning curves.

Every row is one report of one training, so the table can answer for any strategy what it would have seen, and when. The
clock is the CPU time of the training process with one thread: other programs on the machine hardly change it.
A run that was stopped goes on where it was, and a further run adds to the table. The table that is kept was made with
``--configurations 120`` and ``--first 224 --configurations 96``, side by side.
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
from ndvq_tune.data.dataset import open_dataset
from ndvq_tune.search.engine.optuna_space import Draft, suggest
from ndvq_tune.search.space import SearchSpace
from ndvq_tune.training.loop import Training

CONFIGURATIONS = 216


def configuration(space: SearchSpace, number: int) -> Draft:
    """The random configuration of that number; the same in every run."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=number))
    return suggest(space, study.ask())


def learning_curve(space: SearchSpace, dataset: Any, number: int) -> list[dict[str, Any]]:
    """One training from the first epoch to the last: a row an epoch, with the seconds it took so far."""
    draft = configuration(space, number)
    rows: list[dict[str, Any]] = []
    start = time.process_time()
    training = Training(draft.config, dataset)
    training.fit(
        lambda report: rows.append(
            {"number": number, "params": json.dumps(draft.params), "seconds": time.process_time() - start, **report}
        )
    )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--first", type=int, default=0, help="number of the first configuration")
    parser.add_argument("--configurations", type=int, default=CONFIGURATIONS)
    parser.add_argument("--table", type=Path, default=TABLE)
    options = parser.parse_args()
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = load_space()
    dataset = open_dataset(space.data)
    parts = options.table.with_suffix(".parts")
    parts.mkdir(exist_ok=True)
    for number in track(range(options.first, options.first + options.configurations), "training"):
        part = parts / f"{number:05d}.json"
        if not part.exists():
            part.write_text(json.dumps(learning_curve(space, dataset, number)))
    write_table(parts, options.table)


def write_table(parts: Path, table: Path) -> None:
    """Add the parts to the table, and drop them."""
    paths = sorted(parts.glob("*.json"))
    frames = [pd.DataFrame(json.loads(part.read_text())) for part in paths]
    known = [pd.read_parquet(table)] if table.exists() else []
    pd.concat([*known, *frames]).drop_duplicates(["number", "epoch"], keep="last").to_parquet(table, index=False)
    for part in paths:
        part.unlink()
    parts.rmdir()


if __name__ == "__main__":
    main()
