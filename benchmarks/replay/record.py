"""``python -m benchmarks.replay.record``: train random configurations to the end and keep their learning curves.

Every row is one report of one training, so the table can answer for any strategy what it would have seen, and when. The
clock is the CPU time of the training process with one thread: other programs on the machine hardly change it.
A run that was stopped goes on where it was, and a further run adds to the table. A table is made in two runs: all
configurations (``--data NAME``), and the first of them again for the noise between seeds
(``--data NAME --configurations 20 --seeds 5``).
"""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import torch
from rich.progress import track

from benchmarks.replay import table
from ndvq_tune.data.dataset import open_dataset
from ndvq_tune.search.engine.optuna_space import Draft, suggest
from ndvq_tune.search.space import SearchSpace
from ndvq_tune.training.loop import Training

CONFIGURATIONS = 300
EPOCHS = "training.max_epochs=27"  # with rungs at 1, 3 and 9
# Each shipped space with samples so small that a training takes seconds.
SMALLER = {
    "video3d": (EPOCHS, "data.resolution=32"),
    "image2d": ("training.max_epochs=18", "data.resolution=32", "training.batch_size=16"),
    "signal1d": (EPOCHS, "data.window=256", "data.hop=512"),
}
NO_GUESS = "search.first=[]"  # which no baseline would have


def configuration(space: SearchSpace, number: int) -> Draft:
    """The random configuration of that number; the same in every run."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=number))
    return suggest(space, study.ask())


def learning_curve(space: SearchSpace, dataset: Any, number: int, seed: int) -> list[dict[str, Any]]:
    """One training from the first epoch to the last: a row an epoch, with the seconds it took so far."""
    draft = configuration(space, number)
    known = {"number": number, "seed": seed, "params": json.dumps(draft.params)}
    rows: list[dict[str, Any]] = []
    start = time.process_time()
    training = Training(draft.config.with_training(seed=seed), dataset)
    training.fit(lambda report: rows.append({**known, "seconds": time.process_time() - start, **report}))
    return rows


def kept_space(data: str, folder: Path) -> SearchSpace:
    """The shipped space of that name, smaller; kept beside the table.

    Raises:
        SystemExit: If the table there is of another space.
    """
    space = SearchSpace.load(Path("search_spaces", f"{data}.yaml"), (*SMALLER[data], NO_GUESS))
    kept = folder / f"{data}.yaml"
    if not kept.exists():
        kept.write_text(f"# The space that {data}.parquet was recorded over.\n{space.to_yaml()}")
    elif SearchSpace.load(kept).source != space.source:
        raise SystemExit(f"{kept} is another space than today's: choose another --folder, or remove it and its table")
    return space


def record(data: str, folder: Path, configurations: Sequence[int], seeds: int) -> None:
    """Train what is not in the table yet, and add it."""
    folder.mkdir(parents=True, exist_ok=True)
    space = kept_space(data, folder)
    known = known_rows(folder / f"{data}.parquet")
    done = set(zip(known["number"], known["seed"], strict=True)) if len(known) else set()
    dataset = open_dataset(space.data)
    parts = folder / f"{data}.parts"
    parts.mkdir(exist_ok=True)
    wanted = [(number, seed) for number in configurations for seed in range(seeds) if (number, seed) not in done]
    for number, seed in track(wanted, f"training {data}"):
        part = parts / f"{number:05d}-{seed}.json"
        if not part.exists():
            part.write_text(json.dumps(learning_curve(space, dataset, number, seed)))
    add(parts, folder / f"{data}.parquet")


def known_rows(path: Path) -> pd.DataFrame:
    """What a table has already."""
    return pd.read_parquet(path) if path.exists() else pd.DataFrame()


def write(rows: pd.DataFrame, path: Path) -> None:
    """Write a table, exactly and small: the bytes of figures are sorted by their place, which lets them compress."""
    figures = list(rows.select_dtypes("float"))
    rows.to_parquet(path, index=False, compression="zstd", use_dictionary=False, use_byte_stream_split=figures)


def add(parts: Path, path: Path) -> None:
    """Add the parts to the table, and drop them."""
    paths = sorted(parts.glob("*.json"))
    frames = [pd.DataFrame(json.loads(part.read_text())) for part in paths]
    if frames:
        write(pd.concat([known_rows(path), *frames]), path)
    for part in paths:
        part.unlink()
    parts.rmdir()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", choices=SMALLER, required=True)
    parser.add_argument("--first", type=int, default=0, help="number of the first configuration")
    parser.add_argument("--configurations", type=int, default=CONFIGURATIONS)
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each configuration")
    parser.add_argument("--folder", type=Path, default=table.FOLDER, help="where the table and its space are kept")
    options = parser.parse_args()
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    numbers = range(options.first, options.first + options.configurations)
    record(options.data, options.folder, numbers, options.seeds)


if __name__ == "__main__":
    main()
