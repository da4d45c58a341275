"""``python -m benchmarks.optimizers``: our Muon beside Adam and the optimisers of libraries, at equal CPU time.

All train the base of ``benchmarks.ablation`` to a learning rate of 0, without weight decay, which makes AdamW Adam.
Each has what our Muon takes, and AdamW the rest, as in ours; Adam has all. The learning rate of each, behind its name,
is the best of ``SHARES`` of a middle one, on seeds that are not reported.
"""

import argparse
import json
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from benchmarks.ablation import BASE, SPACES, configs, data_of, for_seconds, table
from benchmarks.report import machine, print_machine, wide_console
from ndvq_tune.config import RunConfig
from ndvq_tune.data.batches.loader import batches
from ndvq_tune.data.dataset import open_dataset
from ndvq_tune.goals import Report
from ndvq_tune.training.loop import Training
from ndvq_tune.training.optimizers import Muon, is_matrix, optimizers

MISSING = "{} is left out: its package is not installed. To have it: pip install -e '.\\[bench]'"
OURS, ADAM = "our Muon", "Adam"
COMMON = {"training.max_epochs": 1000}  # of time only the share counts
SHARES, TUNING_SEEDS = (0.5, 1, 2, 4), (0, 1)
STEPS = 50  # that are timed: SOAP turns its axes in every tenth


class MuonOfViews(torch.optim.Muon):
    """PyTorch's own, which takes matrices only: views of the kernels."""

    def __init__(self, groups: Iterable[Mapping[str, Any]], lr: float, **settings: Any) -> None:
        (group,) = groups
        self._weights = group["params"]
        views = [nn.Parameter(weight.detach().view(len(weight), -1)) for weight in self._weights]
        super().__init__([{**group, "params": views}], lr, **settings)

    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Change the views, and so the weights."""
        for view, weight in zip(self.param_groups[0]["params"], self._weights, strict=True):
            view.grad = weight.grad.flatten(1)
        super().step()


def imported(package: str, name: str) -> Callable[..., torch.optim.Optimizer] | None:
    """An optimiser of a library; none if that is not installed."""
    if not find_spec(package):
        return None
    module = import_module(package)
    if package == "heavyball":
        module.utils.compile_mode = None  # compiling would take longer than these trainings
    return getattr(module, name)  # type: ignore[no-any-return]


class Contender(NamedTuple):
    """An optimiser: the middle of the learning rates tried, what makes it, and its settings."""

    rate: float
    make: Callable[..., torch.optim.Optimizer] | None
    settings: Mapping[str, Any] = {}


CONTENDERS = {
    OURS: Contender(0.03, Muon),
    "our Muon, momentum 0.8": Contender(0.03, Muon, {"momentum": 0.8}),
    ADAM: Contender(0.004, torch.optim.Adam, {"betas": (0.9, 0.95), "fused": True}),
    "torch Muon": Contender(0.03, MuonOfViews, {"adjust_lr_fn": "original"}),
    "pytorch-optimizer Muon": Contender(0.03, imported("pytorch_optimizer", "Muon"), {"use_adjusted_lr": False}),
    "pytorch-optimizer SOAP": Contender(0.008, imported("pytorch_optimizer", "SOAP")),
    "heavyball Muon": Contender(0.06, imported("heavyball", "Muon"), {"betas": (0.95, 0.99)}),
    "heavyball SOAP": Contender(
        0.008, imported("heavyball", "SOAP"), {"precondition_frequency": 10, "merge_dims": False}
    ),
}
Rated = tuple[str, float]  # a contender and its learning rate


def give(training: Training, rated: Rated) -> None:
    """Have a training use a contender, in place of the Muon of its configuration."""
    name, rate = rated
    weights: dict[bool, list[nn.Parameter]] = {True: [], False: []}
    for weight in training.model.parameters():
        weights[name == ADAM or is_matrix(weight)].append(weight)
    _, make, settings = CONTENDERS[name]
    assert make
    # pytorch-optimizer wants to be told by "use_muon"; set_learning_rates by "peak".
    group = {"params": weights[True], "use_muon": True, "peak": rate}
    training.optimizers = [
        make([group], lr=rate, weight_decay=0.0, **settings),
        *optimizers(weights[False], training.config.training),
    ]


def train(tried: Sequence[Rated], config: RunConfig, seed: int, seconds: float) -> dict[Rated, Report]:
    """The report of each contender after as much computing."""
    seeded = config.with_training(seed=seed)
    names = {f"{name} {rate:g}": (name, rate) for name, rate in tried}
    ends = for_seconds(dict.fromkeys(names, seeded), seconds, lambda name, training: give(training, names[name]))
    return {names[name]: end for name, end in ends.items()}


def best_rates(names: Sequence[str], config: RunConfig, seconds: float) -> list[Rated]:
    """The learning rate of each contender that ends with the least error, as the geometric mean of the seeds."""
    tried = {name: [(name, CONTENDERS[name].rate * share) for share in SHARES] for name in names}
    every = [rated for some in tried.values() for rated in some]
    ends = [train(every, config, seed, seconds) for seed in TUNING_SEEDS]
    return [min(some, key=lambda rated: math.prod(end[rated]["recon_loss"] for end in ends)) for some in tried.values()]


def milliseconds(contenders: Sequence[Rated], config: RunConfig) -> list[float]:
    """Mean CPU time of the optimisers of each contender in a step, in turn."""
    dataset = open_dataset(config.data)
    trainings = [Training(config, dataset) for _ in contenders]
    x = dataset.train.scale.to_unit(next(batches(dataset.train, config.training.batch_size)), torch.device("cpu"))
    for training, rated in zip(trainings, contenders, strict=True):
        give(training, rated)
        training.step(0, x)  # what is done once
    spent = [0.0 for _ in contenders]
    for _ in range(STEPS):
        for number, training in enumerate(trainings):
            for weight in training.model.parameters():
                weight.grad = 1e-3 * torch.randn_like(weight)  # anew: heavyball takes gradients away
            before = time.process_time()
            for optimizer in training.optimizers:
                optimizer.step()
            spent[number] += time.process_time() - before
    return [1e3 * seconds / STEPS for seconds in spent]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--dims", type=int, nargs="+", choices=SPACES, default=[2], help="dimensions of the data")
    parser.add_argument("--seconds", type=float, default=20, help="CPU seconds of each; a quarter for a rate tried")
    parser.add_argument("--seeds", type=int, default=2, help="repeat so often; medians are shown")
    parser.add_argument("--first-seed", type=int, default=100, help="the first of them; 0 and 1 choose the rates")
    parser.add_argument("--only", nargs="+", metavar="TEXT", default=[""], help="only those with one of these in name")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all results to this file too")
    options = parser.parse_args()
    torch.set_num_threads(1)
    console, described = wide_console(), machine()
    print_machine(console, described)
    chosen = [name for name in CONTENDERS if name == OURS or any(text in name for text in options.only)]
    names = [name for name in chosen if CONTENDERS[name].make]
    for name in chosen:
        if name not in names:
            console.print(MISSING.format(name))
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    results: dict[int, dict[str, Any]] = {}
    for n_dims in options.dims:
        config = configs({BASE: COMMON}, data_of(n_dims))[BASE]
        contenders = best_rates(names, config, options.seconds / 4)
        ends = [train(contenders, config, seed, options.seconds) for seed in seeds]
        reports = {" ".join(map(str, rated)): [end[rated] for end in ends] for rated in contenders}
        spent = dict(zip(reports, milliseconds(contenders, config), strict=True))
        results[n_dims] = {"reports": reports, "milliseconds": spent}
        title = f"{n_dims}D, {options.seconds:g} CPU s: NMSE against {next(iter(reports))}, less is better"
        console.print(table({BASE: next(iter(reports.values())), **reports}, title))
        console.print("of a step, optimiser, ms:", ", ".join(f"{name} {taken:.1f}" for name, taken in spent.items()))
        if options.json:
            options.json.write_text(json.dumps({"machine": described, "results": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
