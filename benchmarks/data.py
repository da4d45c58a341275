"""How fast data arrives: decoding every time against the cache, the share of a step spent waiting, and memory.

    python -m benchmarks.data

Real videos: the sample clips, repeated until there are enough of them to measure.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.report import Goal, goals_table, machine, print_machine, wide_console, write_json
from ndvq_tune.config import ArrayData, ModelConfig, RunConfig, TrainingConfig, VideoData
from ndvq_tune.data.batches.loader import batches
from ndvq_tune.data.dataset import Dataset, open_dataset
from ndvq_tune.data.readers.video import read_video
from ndvq_tune.data.sample_data import ensure_samples
from ndvq_tune.training.loop import Training

BATCH = 8
MEGABYTE = 1e6


@dataclass(frozen=True)
class Pass:
    """One way to get every training clip once.

    Attributes:
        name: In words.
        frames: Frames that arrived.
        seconds: How long that took.
    """

    name: str
    frames: int
    seconds: float

    @property
    def rate(self) -> float:
        """Frames a second."""
        return self.frames / self.seconds


def decode_passes(config: VideoData) -> Iterator[Pass]:
    """Decoding every time: per clip, as a data set class with a video reader in ``__getitem__`` does; or per file."""
    files = sorted(Path(config.path, "train").rglob("*.mp4"))
    yield timed("decode the video for every clip", lambda: sum(map(len, _clip_by_clip(files, config))))
    yield timed("decode every video once a pass", lambda: sum(map(len, _file_by_file(files, config))))


def cache_passes(config: VideoData, epochs: int) -> tuple[list[Pass], Dataset]:
    """The first epoch, with decoding into an empty cache, and the median of later ones."""
    opened: list[Dataset] = []

    def first() -> int:
        opened.append(open_dataset(config))
        return _epoch(opened[0], 0)

    passes = [timed("cache, first epoch (decodes)", first)]
    later = [timed("cache, later epochs", partial(_epoch, opened[0], epoch)) for epoch in range(1, epochs)]
    middle = sorted(later, key=lambda found: found.seconds)[len(later) // 2]
    return [*passes, middle], opened[0]


def timed(name: str, frames: Callable[[], int]) -> Pass:
    """What a pass delivers, and how long it takes."""
    start = time.perf_counter()
    count = frames()
    return Pass(name, count, time.perf_counter() - start)


def waiting_share(config: RunConfig, dataset: Dataset, *, cold: bool) -> float:
    """Share of an epoch's training time in which it waits for batches; the median of three epochs.

    Args:
        config: What to train.
        dataset: Its data.
        cold: Whether the system's cache is emptied of the data before each epoch.
    """
    training = Training(config, dataset)
    shares = []
    for epoch in range(4):
        if cold:
            forget()
        step, waited, step_seconds = 0, 0.0, 0.0
        arriving = batches(dataset.train, config.training.batch_size, seed=0, epoch=epoch)
        while True:
            start = time.perf_counter()
            batch = next(arriving, None)
            arrived = time.perf_counter()
            if batch is None:
                break
            training.step(step, dataset.train.scale.to_unit(batch, training.device)).item()
            step += 1
            waited += arrived - start
            step_seconds += time.perf_counter() - arrived
        shares.append(waited / (waited + step_seconds))
    return statistics.median(shares[1:])  # the first warms up


def forget() -> None:
    """Takes decoded frames out of the system's cache, so that they are read from disk."""
    for path in Path(os.environ["NDVQ_TUNE_CACHE"]).rglob("*.bin"):
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def sparse_array(folder: Path, gigabytes: float) -> ArrayData:
    """A data set of images whose training array takes this much, nearly all of it holes that take no disk."""
    for split, count in (("train", int(gigabytes * 1e9) // 64**2), ("test", 64)):
        (folder / split).mkdir(parents=True)
        shape = (count, 1, 64, 64)
        array = np.lib.format.open_memmap(folder / split / "images.npy", "w+", np.uint8, shape)
        array[:: max(1, count // 50)] = 255
        array.flush()
    return ArrayData(path=folder)


def memory_of(gigabytes: float, folder: Path) -> dict[str, float]:
    """Peak memory of a process that opens such an array, measures it and draws batches from it."""
    command = [sys.executable, "-m", "benchmarks.data", "--memory-of", str(gigabytes), "--folder", str(folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def measure_memory(gigabytes: float, folder: Path) -> dict[str, float]:
    """What ``memory_of`` runs in a process of its own."""
    start = time.perf_counter()
    dataset = open_dataset(sparse_array(folder, gigabytes))
    opened = time.perf_counter() - start
    for number, batch in enumerate(batches(dataset.train, 64, seed=0)):
        batch.float().mean()
        if number == 2000:
            break
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"gigabytes": gigabytes, "samples": len(dataset.train), "open_seconds": opened, "peak_bytes": peak}


def run(console: Console, *, quick: bool) -> tuple[dict[str, Any], list[Goal]]:
    """Measure everything and print it."""
    described = machine()
    print_machine(console, described)
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["NDVQ_TUNE_CACHE"] = f"{scratch}/cache"
        config = VideoData(path=many_clips(Path(scratch), copies=1 if quick else 20), clip_length=8, resolution=64)
        cached, dataset = cache_passes(config, epochs=3 if quick else 10)
        passes = [*decode_passes(config), *cached]
        console.print(passes_table(passes))
        shares = {name: waiting_share(_run_config(config), dataset, cold=name == "cold") for name in ("warm", "cold")}
        console.print(
            f"waiting for batches: {shares['warm']:.2%} of a step; {shares['cold']:.2%} if frames come from disk\n",
            highlight=False,
        )
        memory = [memory_of(size, Path(scratch, f"sparse{size}")) for size in ((0.1, 0.2) if quick else (1, 20))]
        console.print(memory_table(memory))
    decoding, later = passes[1], passes[-1]
    goals = [
        Goal("later epochs over decoding every video once", later.rate / decoding.rate, 50),
        Goal("waiting, share of a step", 100 * shares["warm"], 2, "%", at_least=False),
        Goal(f"memory with {memory[-1]['gigabytes']:g} GB of data", memory[-1]["peak_bytes"] / 1e9, 1, " GB", False),
    ]
    console.print(goals_table(goals))
    return {
        "machine": described,
        "passes": [asdict(found) | {"rate": found.rate} for found in passes],
        "waiting": shares,
        "memory": memory,
    }, goals


def many_clips(folder: Path, copies: int) -> Path:
    """The sample clips, several times under other names and with other content, so that none is decoded for another."""
    samples = VideoData()
    ensure_samples(samples, lambda *_: None)
    for split in ("train", "test"):
        (folder / "videos" / split).mkdir(parents=True)
        for source in Path(samples.path, split).glob("*.mp4"):
            for number in range(copies):
                shutil.copy(source, folder / "videos" / split / f"{source.stem}-{number}.mp4")
    return folder / "videos"


def passes_table(passes: list[Pass]) -> Table:
    """A row for each way."""
    table = Table(
        title="Frames a second", title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False
    )
    for name in ("way", "frames", "seconds", "frames/s", "times the second"):
        table.add_column(name, justify="left" if name == "way" else "right")
    for found in passes:
        ratio = found.rate / passes[1].rate
        table.add_row(found.name, f"{found.frames:,}", f"{found.seconds:.3g}", f"{found.rate:,.0f}", f"{ratio:.3g}x")
    return table


def memory_table(memory: list[dict[str, float]]) -> Table:
    """A row for each size of an array."""
    table = Table(title="Memory", title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("array, GB", "samples", "peak of the process, MB", "first opening, s"):
        table.add_column(name, justify="right")
    for found in memory:
        peak = found["peak_bytes"] / MEGABYTE
        table.add_row(
            f"{found['gigabytes']:g}", f"{found['samples']:,}", f"{peak:,.0f}", f"{found['open_seconds']:.1f}"
        )
    return table


def _run_config(data: VideoData) -> RunConfig:
    model = ModelConfig(n_hiddens=16, n_res_layers=1, downsample=(2, 4, 4))
    return RunConfig(data=data, model=model, training=TrainingConfig(batch_size=BATCH))


def _clip_by_clip(files: list[Path], config: VideoData) -> Iterator[np.ndarray]:
    # The first file of each name only: a pass over all copies would take minutes and say the same.
    for path in files[:: max(1, len(files) // 3)]:
        frames = np.concatenate(list(read_video(path, config)))
        for clip in range(len(frames) // config.clip_length):
            if clip:
                frames = np.concatenate(list(read_video(path, config)))
            yield frames[clip * config.clip_length : (clip + 1) * config.clip_length]


def _file_by_file(files: list[Path], config: VideoData) -> Iterator[np.ndarray]:
    for path in files:
        yield np.concatenate(list(read_video(path, config)))


def _epoch(dataset: Dataset, epoch: int) -> int:
    return sum(batch.shape[0] * batch.shape[2] for batch in batches(dataset.train, BATCH, seed=0, epoch=epoch))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="little data: does it run at all")
    parser.add_argument("--threads", type=int, help="CPU threads of training; all cores if not given")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything to this file too")
    parser.add_argument("--memory-of", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory_of:
        print(json.dumps(measure_memory(options.memory_of, options.folder)))
        return
    if options.threads:
        torch.set_num_threads(options.threads)
    write_json(options.json, *run(wide_console(), quick=options.quick))


if __name__ == "__main__":
    main()
