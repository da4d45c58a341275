"""``python -m benchmarks.real``: the same search in real time, by ours, by Ray Tune, and by Optuna alone.

Each gets the same space, lanes, trainer and seconds on the clock, imports and start-up included. The spaces are the
shipped ones with one objective, narrowed to points that all keep the bit budget, because only ours can be told of one;
and without first points, but for one way. What counts is the lowest validation loss that any trial has reported so far.
"""

import argparse
import json
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.equal_time import ratio
from benchmarks.report import machine, print_machine, wide_console, write_json
from benchmarks.searching import ROOT, of_file, of_study, run
from benchmarks.turns import Report
from ndvq_tune.data.dataset import open_dataset
from ndvq_tune.search.space import SearchSpace

LANES = 2
SHARES = (0.25, 0.5, 1.0)  # of the time
NARROWED = {  # to points of at most 0.25 bits a pixel of a video, 0.57 of an image and 2 a step of a signal
    "video3d": ("model.n_codes={choice: [128, 256]}",),
    "image2d": ("model.n_codes={choice: [256, 512]}",),
    "signal1d": (
        "model.n_codes={choice: [128, 256]}",
        "model.downsample={choice: [[8], [16]]}",
        "model.quantizer.n_quantizers={choice: [2], when: {model.quantizer.type: residual}}",
    ),
}
CURVES = ("search.sampler={type: curves}", "search.scheduler={type: promote}")

Way = Callable[[SearchSpace, Path, float], list[Report]]
"""Searches a space in a folder for so many seconds, and gives its reports."""


@dataclass(frozen=True)
class Found:
    """What a search found.

    Attributes:
        data: Name of the space.
        way: How it was searched.
        seed: Of the search.
        trials: Trials that reported.
        losses: Each loss that was the lowest so far, with the seconds since the command began.
    """

    data: str
    way: str
    seed: int
    trials: int
    losses: tuple[tuple[float, float], ...]

    def best(self, seconds: float) -> float:
        """The lowest loss so far."""
        return min((loss for at, loss in self.losses if at <= seconds), default=math.inf)


def ours(space: SearchSpace, folder: Path, seconds: float) -> list[Report]:
    """Our command."""
    _run(
        ["ndvq_tune.search", "--space", str(_written(space, folder)), "--output", str(folder / "run")], folder, seconds
    )
    return of_study(folder / "run", space)


def guess(space: SearchSpace, folder: Path, seconds: float) -> list[Report]:
    """Our command with the first points of the shipped space."""
    first = [dict(point) for point in SearchSpace.load(_shipped(space.name)).search.first]
    return ours(_changed(space, folder, f"search.first={json.dumps(first)}"), folder, seconds)


def curves(space: SearchSpace, folder: Path, seconds: float) -> list[Report]:
    """Our command with the model of learning curves."""
    return ours(_changed(space, folder, *CURVES), folder, seconds)


def ray_tune(*options: str) -> Way:
    """Ray Tune with OptunaSearch and ASHA."""

    def way(space: SearchSpace, folder: Path, seconds: float) -> list[Report]:
        reports = folder / "reports.jsonl"
        arguments = [str(_written(space, folder)), str(reports), str(folder / "ray"), *options]
        _run(["benchmarks.official_recipe", *arguments], folder, seconds)
        return of_file(reports)

    return way


def optuna(space: SearchSpace, folder: Path, seconds: float) -> list[Report]:
    """Optuna with TPE and Hyperband, a thread a lane."""
    reports = folder / "reports.jsonl"
    _run(["benchmarks.optuna_alone", str(_written(space, folder)), str(reports)], folder, seconds)
    return of_file(reports)


OURS = "ours"
WAYS: Mapping[str, Way] = {
    OURS: ours,
    "ours, with the shipped guess": guess,
    "ours, curves": curves,
    "Ray Tune, a TorchTrainer a trial": ray_tune(),
    "Ray Tune, a function a trial": ray_tune("--function"),
    "Optuna, threads": optuna,
}


def space_of(data: str, seed: int) -> SearchSpace:
    """The space that all search."""
    path = _shipped(data)
    changes = {
        "data.path": str(ROOT / "data" / Path(SearchSpace.load(path).data.path).name),
        "search.objectives": [{"metric": "recon_loss", "mode": "min"}],
        "search.constraints": [],
        "search.confirm": None,
        "search.first": [],
        "search.trials": 10_000,
        "search.seed": seed,
        "search.resources.lanes": LANES,
    }
    return SearchSpace.load(path, [*NARROWED[data], *(f"{key}={json.dumps(value)}" for key, value in changes.items())])


def search(data: str, way: str, seed: int, seconds: float) -> Found:
    """One search, from the start of its command until the time is over."""
    space = space_of(data, seed)
    open_dataset(space.data)  # decoded before, so that nobody pays for it
    with tempfile.TemporaryDirectory() as folder:
        began = time.time()
        reports = WAYS[way](space, Path(folder), seconds)
    losses: list[tuple[float, float]] = []
    in_time = sorted((report.at - began, report.loss) for report in reports if report.at - began <= seconds)
    for at, loss in in_time:
        if not losses or loss < losses[-1][1]:
            losses.append((at, loss))
    return Found(data, way, seed, len({report.trial for report in reports}), tuple(losses))


def _shipped(data: str) -> Path:
    return ROOT / "search_spaces" / f"{data}.yaml"


def _changed(space: SearchSpace, folder: Path, *overrides: str) -> SearchSpace:
    return SearchSpace.load(_written(space, folder), overrides)


def _written(space: SearchSpace, folder: Path) -> Path:
    path = folder / "space.yaml"
    path.write_text(space.to_yaml())
    return path


def _run(command: Sequence[str], folder: Path, seconds: float) -> None:
    code, said = run(command, folder, seconds)
    if code:
        raise SystemExit(f"{command[0]} failed: {said}")


def table(data: str, found: Sequence[Found], seconds: float) -> Table:
    """A row a way: medians of the lowest loss at shares of the time, and that of ours over it at the end."""
    shown = Table(
        title=f"{data}: {seconds:g} s, {LANES} lanes, medians over {len({one.seed for one in found})} seeds",
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    shown.add_column("", no_wrap=True)
    shares = [f"after {share * seconds:g} s" for share in SHARES]
    for column in ("trials", "first report", *shares, "ours over it", "95% interval"):
        shown.add_column(column, justify="right", no_wrap=True)
    by_way = {way: [one for one in found if one.way == way] for way in WAYS if any(one.way == way for one in found)}
    mine = [one.best(seconds) for one in by_way.get(OURS, ())]
    for way, runs in by_way.items():
        bests = [f"{statistics.median(one.best(share * seconds) for one in runs):.4f}" for share in SHARES]
        first = statistics.median(one.losses[0][0] if one.losses else math.inf for one in runs)
        its = [one.best(seconds) for one in runs]
        compared = ["", ""]
        if mine and way != OURS and all(map(math.isfinite, its)):
            middle, low, high = ratio(mine, its)
            compared = [f"{middle:.2f}x", f"{low:.2f} to {high:.2f}" if len(its) > 1 else ""]
        trials = f"{statistics.median(one.trials for one in runs):g}"
        shown.add_row(way, trials, f"{first:.0f} s", *bests, *compared)
    return shown


def picture(path: Path, found: Sequence[Found], seconds: float) -> None:
    """Draw the lowest loss over time, a panel a space: medians, and behind them each seed."""
    import matplotlib as mpl  # here, because it takes a second and most runs draw nothing

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    spaces = list(dict.fromkeys(one.data for one in found))
    times = np.linspace(0, seconds, 400)
    figure, panels = plt.subplots(1, len(spaces), figsize=(6.5 * len(spaces), 4), squeeze=False)
    for axes, data in zip(panels[0], spaces, strict=True):
        for place, way in enumerate(WAYS):
            runs = [one for one in found if (one.data, one.way) == (data, way)]
            lines = np.array([[one.best(at) for at in times] for one in runs]).reshape(len(runs), len(times))
            colour = "black" if way == OURS else mpl.colormaps["tab10"](place - 1)
            for line in lines:
                axes.plot(times, np.where(np.isfinite(line), line, np.nan), color=colour, alpha=0.25, linewidth=0.8)
            if runs:
                middle = np.median(lines, axis=0)
                width = 2.5 if way == OURS else 1.6
                axes.plot(
                    times, np.where(np.isfinite(middle), middle, np.nan), color=colour, label=way, linewidth=width
                )
        axes.set(title=data, xlabel="seconds since the command", yscale="log", xlim=(0, seconds), ylim=(None, 1))
        axes.grid(which="both", alpha=0.2)
    panels[0][0].set_ylabel("lowest recon_loss so far")
    panels[0][0].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)


def compare(console: Console, options: argparse.Namespace) -> None:
    """Run everything, print each space when it is done, and write the file after each search."""
    described = machine()
    print_machine(console, described)
    found: list[Found] = []
    for data in options.data:
        for seed in range(options.first_seed, options.first_seed + options.seeds):
            for way in options.ways:
                found.append(search(data, way, seed, options.seconds))
                write_json(options.json, {"machine": described, "rows": [asdict(one) for one in found]}, [])
        console.print(table(data, [one for one in found if one.data == data], options.seconds))
    if options.picture:
        picture(options.picture, found, options.seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", nargs="+", choices=NARROWED, default=list(NARROWED), help="shipped spaces")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS), metavar="WAY", help=f"of {list(WAYS)}")
    parser.add_argument("--seconds", type=float, default=300, help="of each search, from the start of its command")
    parser.add_argument("--seeds", type=int, default=3, help="searches of each")
    parser.add_argument("--first-seed", type=int, default=0, help="the first of those seeds")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw the losses over time into this file")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write a row for every search to this file")
    compare(wide_console(), parser.parse_args())


if __name__ == "__main__":
    main()
