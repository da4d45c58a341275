"""``python -m benchmarks.quality``: what our model and its peers learn from the same data in the same CPU time.

Same samples, same batches, same latent grid and bits where a peer allows it. Each peer trains as published, and with
the Adam that ours has too; all learners take turns step by step, and one evaluator judges them on held-out data. The
goals ask how ours, with Muon, compares with the best peer of all.
"""

import argparse
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.equal_time import endless, ratio, train
from benchmarks.learners import Learner, Ours, Tokenizer, judge
from benchmarks.peers import missing, peers
from benchmarks.report import Goal, goals_table, machine, print_machine, wide_console, write_json
from benchmarks.samples import DOWNLOADED, INSTALLED, Samples
from ndvq_tune.config import TrainingConfig
from ndvq_tune.data.batches.samples import SampleSet, Scale, Window
from ndvq_tune.errors import NdvqError

BEST, WITH_ADAM = "ours, Muon", "ours, Adam"
MUON, ADAM = (TrainingConfig.model_validate({"optimizer": kind}) for kind in ("muon", "adam"))
GOALS = {1: 0.40, 2: 0.65, 3: 0.40}  # NMSE of ours over that of the best peer, at most

Contender = Callable[[], Learner]
Rows = Sequence[Mapping[str, Any]]
"""One a training: ``dims``, ``learner``, ``seed``, ``seconds``, ``steps`` and what the judge says."""


def contenders(samples: Samples, texts: Sequence[str] | None = None) -> dict[str, Contender]:
    """Ours and its peers, each with each of its trainings, by name.

    Args:
        samples: What they learn.
        texts: Only those with one of these in their names; all if not given.
    """
    ours = partial(Ours, samples)
    found = {
        BEST: partial(_learner, ours, MUON),
        WITH_ADAM: partial(_learner, ours, ADAM),
    }
    for name, peer in peers(samples).items():
        found[f"{name}, as published"] = partial(_learner, peer.build, peer.published)
        found[f"{name}, our Adam"] = partial(_learner, peer.build, ADAM)
    return {name: build for name, build in found.items() if not texts or any(text in name for text in texts)}


def _learner(build: Callable[[], Tokenizer], training: TrainingConfig) -> Learner:
    return Learner(build(), training)


def compare(samples: Samples, chosen: Mapping[str, Contender], seconds: float, seed: int) -> list[dict[str, Any]]:
    """Train new models in turn, and judge them.

    Args:
        samples: What they learn.
        chosen: The learners, by name.
        seconds: CPU seconds of each.
        seed: Of weights and batches.

    Returns:
        A row for each learner.
    """
    stored = SampleSet([samples.train.movedim(1, -1).numpy()], Window(), Scale(0, 1))
    learners = {}
    for name, build in chosen.items():
        torch.manual_seed(seed)
        learners[name] = build()
    steps = {name: learner.step for name, learner in learners.items()}
    streams = {name: map(torch.Tensor.contiguous, endless(stored, samples.batch, seed)) for name in learners}
    spent = train(steps, streams, seconds)
    return [
        {
            "dims": len(samples.downsample),
            "learner": name,
            "seed": seed,
            "seconds": spent[name].seconds,
            "steps": spent[name].steps,
            **asdict(judge(learner.model, samples)),
        }
        for name, learner in learners.items()
    ]


def by_learner(rows: Rows) -> dict[str, Rows]:
    """The rows of each learner, in the order of their seeds."""
    names = dict.fromkeys(row["learner"] for row in rows)
    return {name: [row for row in rows if row["learner"] == name] for name in names}


def nmse(rows: Rows) -> list[float]:
    """The error of each row."""
    return [row["nmse"] for row in rows]


def best_peer(learners: Mapping[str, Rows]) -> str | None:
    """The peer and training with the least error, as the geometric mean over the seeds."""
    theirs = [name for name in learners if name not in (BEST, WITH_ADAM)]
    return min(theirs, key=lambda name: statistics.geometric_mean(nmse(learners[name])), default=None)


def table(title: str, rows: Rows) -> Table:
    """One line a learner: medians over the seeds, and the error over that of the best peer, seed by seed."""
    shown = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    shown.add_column("", no_wrap=True)
    for column in ("steps", "NMSE", "PSNR dB", "perplexity", "bits", "over best peer", "95% interval"):
        shown.add_column(column, justify="right", no_wrap=True)
    learners = by_learner(rows)
    best = best_peer(learners)
    for name, its in learners.items():
        steps, error, psnr, perplexity, bits = (
            statistics.median(row[figure] for row in its)
            for figure in ("steps", "nmse", "psnr", "perplexity", "bits_per_element")
        )
        against = ratio(nmse(its), nmse(learners[best])) if best else None
        compared = f"{against[0]:.2f}x" if against else ""
        interval = f"{against[1]:.2f} to {against[2]:.2f}" if against and len(its) > 1 and name != best else ""
        figures = (f"{steps:,.0f}", f"{error:.4f}", f"{psnr:.2f}", f"{perplexity:.1f}", f"{bits:.4f}")
        shown.add_row(f"[bold]{name}" if name == best else name, *figures, compared, interval)
    return shown


def goals(n_dims: int, rows: Rows) -> list[Goal]:
    """What is asked of ours beside the best peer, if both are there."""
    learners = by_learner(rows)
    best = best_peer(learners)
    if best is None or BEST not in learners:
        return []
    middle, *_ = ratio(nmse(learners[BEST]), nmse(learners[best]))
    return [Goal(f"{n_dims}D: NMSE, {BEST} / {best}", middle, GOALS[n_dims], at_least=False)]


def run(console: Console, options: argparse.Namespace) -> None:
    """Train everything, print each kind of data when it is done, and write the file after each seed."""
    described = {**machine(), "download": options.download}
    print_machine(console, described)
    if missing():
        console.print(f"Not installed, and left out: {', '.join(missing())}. To have them: pip install -e '.\\[bench]'")
    rows: list[dict[str, Any]] = []
    asked: list[Goal] = []
    for n_dims in options.dims:
        samples = (DOWNLOADED if options.download else INSTALLED)[n_dims]()
        chosen = contenders(samples, options.only)
        with console.status("") as status:
            for number, seed in enumerate(range(options.first_seed, options.first_seed + options.seeds), start=1):
                status.update(f"{samples.name}: seed {number} of {options.seeds}, {len(chosen)} learners")
                rows += compare(samples, chosen, options.seconds, seed)
                write_json(options.json, {"machine": described, "rows": rows}, asked)
        of_these = [row for row in rows if row["dims"] == n_dims]
        title = f"{samples.name}: {options.seconds:g} CPU s a learner, seeds from {options.first_seed}: {options.seeds}"
        console.print(table(title, of_these))
        asked += goals(n_dims, of_these)
    if asked:
        console.print(goals_table(asked))
    write_json(options.json, {"machine": described, "rows": rows}, asked)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--dims", type=int, nargs="+", choices=GOALS, default=list(GOALS), help="kinds of data")
    parser.add_argument("--seconds", type=float, default=180, help="CPU seconds of each training")
    parser.add_argument("--seeds", type=int, default=3, help="repeat so often; medians are shown")
    parser.add_argument("--first-seed", type=int, default=0, help="the first of those seeds")
    parser.add_argument("--only", nargs="+", metavar="TEXT", help="only learners with one of these in their names")
    parser.add_argument("--download", action="store_true", help="fetch speech, render levels; else the sample clips")
    parser.add_argument("--threads", type=int, help="CPU threads; all cores if not given")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write a row for each training to this file")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    try:
        run(wide_console(), options)
    except NdvqError as error:
        parser.exit(2, f"{error}\n")


if __name__ == "__main__":
    main()
