"""``python -m benchmarks.quality``: what the seed's model and ours learn from the same data in the same time.

Same samples, same batches, same latent grid, codes and widths; each trains as it is meant to, the seed's also at our
learning rate. Ours trains twice: for as many steps as the seed's, and for as long. One evaluator judges all.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import torch
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks import samples as data
from benchmarks import seed
from benchmarks.learners import Learner, Ours, Quality, Seed, judge
from benchmarks.report import Goal, goals_table, machine, print_machine, wide_console, write_json
from benchmarks.samples import Samples
from ndvq_tune.config import TrainingConfig
from ndvq_tune.data.batches.loader import batches
from ndvq_tune.data.batches.samples import SampleSet, Scale, Window

LOADERS = {1: data.sound, 2: data.images, 3: data.video}
STEPS = {1: 500, 2: 600, 3: 500}
POINTS = 5  # of a learning curve
RUNS = 4  # of a dimension and seed, at most: what --minutes is shared among
PUBLISHED, AT_OUR_RATE = "seed", f"seed, lr {TrainingConfig().learning_rate:g}"
OURS, OURS_FOR_AS_LONG = "ours, same steps", "ours, same time"


@dataclass(frozen=True)
class Point:
    """A point of a learning curve: how far training was, without the time of evaluations, and how good."""

    steps: int
    seconds: float
    quality: Quality


Curve = list[Point]
Clock = Callable[[int, float], tuple[int, int]]


def for_steps(total: int) -> Clock:
    """Trains for so many steps."""
    return lambda steps, seconds: (steps, total)


def for_seconds(total: float) -> Clock:
    """Trains for so long; the schedule is told, in milliseconds."""
    return lambda steps, seconds: (round(seconds * 1e3), round(total * 1e3))


def train(build: Callable[[], Learner], samples: Samples, clock: Clock, random_seed: int) -> Curve:
    """Train a new model until the clock says that the training is over; the last point is its end."""
    torch.manual_seed(random_seed)
    learner = build()
    stream = _endless(samples, random_seed)
    curve: Curve = []
    steps, seconds = 0, 0.0
    done, total = clock(steps, seconds)
    while done < total:
        start = time.perf_counter()
        learner.step(next(stream), done, total)
        steps, seconds = steps + 1, seconds + time.perf_counter() - start
        done, total = clock(steps, seconds)
        if done * POINTS >= total * (len(curve) + 1):
            curve.append(Point(steps, seconds, judge(learner, samples)))
    return curve


def _endless(samples: Samples, random_seed: int) -> Iterator[torch.Tensor]:
    rows = SampleSet([samples.train.movedim(1, -1).numpy()], Window(), Scale(0, 1))
    for epoch in count():
        yield from (batch.contiguous() for batch in batches(rows, samples.batch, seed=random_seed, epoch=epoch))


def compare(samples: Samples, steps: int, random_seed: int) -> dict[str, Curve]:
    """The curves of all models, by name."""
    runs: dict[str, Callable[[], Learner]] = {OURS: partial(Ours, samples)}
    if seed.NDimVQVAE:
        at_our_rate = partial(Seed, samples, TrainingConfig().learning_rate)
        runs = {PUBLISHED: partial(Seed, samples, seed.LEARNING_RATE), AT_OUR_RATE: at_our_rate} | runs
    curves = {name: train(build, samples, for_steps(steps), random_seed) for name, build in runs.items()}
    if PUBLISHED in curves:
        clock = for_seconds(curves[PUBLISHED][-1].seconds)
        curves[OURS_FOR_AS_LONG] = train(partial(Ours, samples), samples, clock, random_seed)
    return curves


def medians(repeats: list[dict[str, Curve]]) -> dict[str, Point]:
    """The end of each model's training, each figure the median over all repeats."""
    return {name: _median([curves[name][-1] for curves in repeats]) for name in repeats[0]}


def _median(points: list[Point]) -> Point:
    figures = {name: statistics.median(vars(p.quality)[name] for p in points) for name in vars(points[0].quality)}
    steps, seconds = (statistics.median(getattr(p, name) for p in points) for name in ("steps", "seconds"))
    return Point(round(steps), seconds, Quality(**figures))


def table(samples: Samples, ends: dict[str, Point]) -> Table:
    """One line a model."""
    shown = Table(title=samples.name, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    shown.add_column("", no_wrap=True)
    for column in ("steps", "seconds", "NMSE", "PSNR dB", "perplexity", "usage"):
        shown.add_column(column, justify="right", no_wrap=True)
    for name, end in ends.items():
        figures = end.quality
        quality = (f"{figures.nmse:.4f}", f"{figures.psnr:.2f}", f"{figures.perplexity:.1f}", f"{figures.usage:.0%}")
        shown.add_row(name, f"{end.steps:,}", f"{end.seconds:.1f}", *quality)
    return shown


def goals(n_dims: int, ends: dict[str, Point]) -> list[Goal]:
    """What is asked of ours beside each of the seed's runs, if they are there."""
    asked = [(OURS, 1.0), (OURS_FOR_AS_LONG, 0.5)] if n_dims == 3 else [(OURS, 1.0)]
    theirs = [name for name in (PUBLISHED, AT_OUR_RATE) if name in ends]
    return [
        Goal(f"{n_dims}D: NMSE, {ours} / {name}", _nmse(ends, ours) / _nmse(ends, name), bound, "", at_least=False)
        for ours, bound in asked
        for name in theirs
    ]


def _nmse(ends: dict[str, Point], name: str) -> float:
    return ends[name].quality.nmse


def affordable_steps(samples: Samples, seconds: float) -> int:
    """How many steps of the slowest model take this long."""
    build = partial(Seed, samples, seed.LEARNING_RATE) if seed.NDimVQVAE else partial(Ours, samples)
    first, *_, last = train(build, samples, for_steps(POINTS), random_seed=0)
    return max(POINTS, round(seconds * (last.steps - first.steps) / (last.seconds - first.seconds)))


def run(console: Console, options: argparse.Namespace) -> tuple[dict[str, Any], list[Goal]]:
    """Train everything, and print each kind of data when it is done."""
    described = machine()
    print_machine(console, described)
    found: dict[str, Any] = {}
    asked: list[Goal] = []
    for n_dims in options.dims:
        samples = LOADERS[n_dims]()
        steps = options.steps or STEPS[n_dims]
        if options.minutes:
            steps = affordable_steps(samples, options.minutes * 60 / len(options.dims) / options.seeds / RUNS)
        repeats = [compare(samples, steps, random_seed) for random_seed in range(options.seeds)]
        ends = medians(repeats)
        console.print(table(samples, ends))
        asked += goals(n_dims, ends)
        found[samples.name] = {"medians": _plain(ends), "repeats": [_plain(curves) for curves in repeats]}
    if asked:
        console.print(goals_table(asked))
    if seed.NDimVQVAE is None:
        console.print(seed.MISSING)
    return {"machine": described, "data": found}, asked


def _plain(points: dict[str, Any]) -> dict[str, Any]:
    return {
        name: [asdict(point) for point in value] if isinstance(value, list) else asdict(value)
        for name, value in points.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--steps", type=int, help=f"training steps; {STEPS} by dimensions if not given")
    length.add_argument("--minutes", type=float, help="as many steps as fit into this time, everything together")
    parser.add_argument("--dims", type=int, nargs="+", choices=LOADERS, default=list(LOADERS), help="kinds of data")
    parser.add_argument("--seeds", type=int, default=1, help="repeat so often and report medians")
    parser.add_argument("--threads", type=int, help="CPU threads; all cores if not given")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything, curves too, to this file")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    write_json(options.json, *run(wide_console(), options))


if __name__ == "__main__":
    main()
