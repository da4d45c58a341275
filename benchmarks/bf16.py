"""``python -m benchmarks.bf16``: where convolutions in half precision are wrong on this processor, and what bf16 gains.

Every convolution that models make, and some more, is computed in half precision and in float64 from the same numbers,
with huge numbers in all memory that is new. A result is wrong if it is off by more than a tenth of its norm. Then whole
training steps: in fp32, and in bf16 as training does it, with each layer that goes wrong left to fp32.
"""

import argparse
import itertools
import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich import box
from rich.console import Console
from rich.table import Table
from torch.nn import functional as F  # noqa: N812

from benchmarks.measure import Step, median_seconds
from benchmarks.report import machine, print_machine, wide_console, write_json
from ndvq_tune.config import ModelConfig
from ndvq_tune.model import build_model
from ndvq_tune.model.convolution import channels_last
from ndvq_tune.training.fast_paths import BF16_INSTRUCTIONS, TOLERANCE, keep_right_layers_fast, unclean_memory

BATCH = 4
TRIES = 5
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
LAYOUTS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "channels-last": channels_last,
    "contiguous": torch.Tensor.contiguous,
}
RESULTS = ("forward", "input", "weight", "bias")  # all but the first are gradients
CONVOLUTIONS: dict[tuple[str, int], Callable[..., torch.Tensor]] = {
    ("conv", 2): F.conv2d,
    ("conv", 3): F.conv3d,
    ("transposed", 2): F.conv_transpose2d,
    ("transposed", 3): F.conv_transpose3d,
}
CHANNELS = ((1, 8), (2, 8), (3, 8), (8, 1), (8, 3), (8, 8), (16, 8), (8, 16), (3, 24), (24, 24), (24, 12), (64, 64))
GRIDS = {2: ((1, 16), (1, 64), (4, 4), (8, 8), (16, 16)), 3: ((1, 4, 4), (2, 4, 4), (2, 8, 8), (4, 8, 8), (8, 16, 16))}
STRIDES = {2: ((1, 1), (1, 2), (2, 2), (3, 3)), 3: ((1, 1, 1), (1, 2, 2), (2, 2, 2), (1, 3, 3))}
WIDTHS = (24, 64)
STEPS, SECONDS = 20, 30.0


@dataclass(frozen=True)
class Case:
    """A convolution of kernel ``stride + 2`` and padding 1, as models make them.

    Attributes:
        kind: ``conv`` or ``transposed``.
        channels: In and out.
        stride: Strides.
        grid: Sizes on its coarse side: of what a convolution gives, of what a transposed one takes.
        groups: Groups of channels; models have one.
    """

    kind: str
    channels: tuple[int, int]
    stride: tuple[int, ...]
    grid: tuple[int, ...]
    groups: int = 1

    def __str__(self) -> str:
        inwards, outwards = self.channels
        stride, grid = ("x".join(map(str, sizes)) for sizes in (self.stride, self.grid))
        groups = f", {self.groups} groups" if self.groups > 1 else ""
        return f"{self.kind} {inwards} -> {outwards}, stride {stride}, {grid}{groups}"

    def tensors(self) -> list[torch.Tensor]:
        """Random input, weight, bias and gradient of the result, in float32."""
        fine = [size * stride for size, stride in zip(self.grid, self.stride, strict=True)]
        kernel = [stride + 2 for stride in self.stride]
        inwards, outwards = self.channels
        ends = [self.grid, fine] if self.kind == "transposed" else [fine, self.grid]
        rows, columns = (inwards, outwards) if self.kind == "transposed" else (outwards, inwards)
        shapes = [(BATCH, inwards, *ends[0]), (rows, columns // self.groups, *kernel), (outwards,)]
        return [torch.randn(shape) for shape in (*shapes, (BATCH, outwards, *ends[1]))]

    def results(self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, gradient: torch.Tensor) -> list[Any]:
        """What ``RESULTS`` names."""
        inputs = [tensor.detach().requires_grad_() for tensor in (x, weight, bias)]
        y = CONVOLUTIONS[self.kind, len(self.stride)](*inputs, stride=self.stride, padding=1, groups=self.groups)
        return [y.detach(), *torch.autograd.grad(y, inputs, gradient)]


@dataclass(frozen=True)
class Row:
    """How a convolution went in one type, layout and number of threads.

    Attributes:
        case: The convolution, in words.
        dtype: ``bf16`` or ``fp16``.
        layout: Of input and gradient.
        threads: CPU threads.
        tries: How often it was computed.
        nan: Of these, how often each result had NaN or infinity.
        wrong: How often it had not, and was off by more than a tenth.
    """

    case: str
    dtype: str
    layout: str
    threads: int
    tries: int
    nan: dict[str, int]
    wrong: dict[str, int]


def cases(quick: bool) -> Iterator[Case]:
    """The convolutions to look at."""
    for n_dims, strides in STRIDES.items():
        for kind, channels, stride, grid in itertools.product(("conv", "transposed"), CHANNELS, strides, GRIDS[n_dims]):
            if not quick or (n_dims == 3 and channels in CHANNELS[3:7] and stride == (1, 2, 2) and grid == (2, 4, 4)):
                yield Case(kind, channels, stride, grid)
    for kind, n_dims in CONVOLUTIONS:
        yield Case(kind, (16, 16), STRIDES[n_dims][2], GRIDS[n_dims][-2], groups=2)


def look_at(case: Case, dtype: str, layout: str, threads: int, tries: int) -> Row:
    """Compute a convolution several times, from other numbers each."""
    torch.set_num_threads(threads)
    nan: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    for seed in range(tries):
        torch.manual_seed(seed)
        rounded = [tensor.to(DTYPES[dtype]) for tensor in case.tensors()]
        expected = case.results(*(tensor.double() for tensor in rounded))
        x, weight, bias, gradient = rounded
        arranged = LAYOUTS[layout](x), weight, bias, LAYOUTS[layout](gradient)
        with unclean_memory():
            found = case.results(*arranged)
        for name, actual, exact in zip(RESULTS, found, expected, strict=True):
            error = ((actual.double() - exact).norm() / exact.norm()).item()
            (wrong if math.isfinite(error) else nan)[name] += not error <= TOLERANCE
    return Row(str(case), dtype, layout, threads, tries, dict(+nan), dict(+wrong))


def table(rows: Iterable[Row]) -> Table:
    """The rows in which something went wrong."""
    shown = Table(title="NaN, wrong by over 10%", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("convolution", "type", "layout", "threads", *RESULTS):
        shown.add_column(name, no_wrap=True)
    for row in rows:
        counts = [f"{row.nan.get(name, 0)}, {row.wrong.get(name, 0)} of {row.tries}" for name in RESULTS]
        shown.add_row(row.case, row.dtype, row.layout, str(row.threads), *counts)
    return shown


def steps(width: int) -> tuple[dict[str, Step], float, float]:
    """Training steps of a video model in fp32 and bf16, seconds that the check took, and the share it left in bf16."""
    shape, config = (3, 8, 64, 64), ModelConfig(n_dims=3, downsample=(4, 4, 4), n_hiddens=width)
    models = {"fp32": build_model(config, shape), "bf16": build_model(config, shape)}
    start = time.perf_counter()
    share = keep_right_layers_fast(models["bf16"], BATCH, bf16=True)
    seconds = time.perf_counter() - start
    x = torch.rand(BATCH, *shape)

    def step(precision: str) -> None:
        model = models[precision]
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16" and share > 0):
            recon_loss, _, vq_output = model(x)
        model.zero_grad(set_to_none=True)
        (recon_loss + vq_output["commitment_loss"]).backward()

    return {name: partial(step, name) for name in models}, seconds, share


def run(console: Console, quick: bool) -> dict[str, Any]:
    """Look at all convolutions, then time steps."""
    described = machine() | {"bf16": [name for name in BF16_INSTRUCTIONS if torch.cpu.get_capabilities().get(name)]}
    print_machine(console, described)
    console.print(f"bf16 instructions: {', '.join(described['bf16']) or 'none'}", highlight=False)
    cores = torch.get_num_threads()
    ways = list(itertools.product(DTYPES, LAYOUTS, sorted({1, cores})))
    rows = [look_at(case, *way, 1 if quick else TRIES) for case in cases(quick) for way in ways]
    torch.set_num_threads(cores)
    bad = [row for row in rows if row.nan or row.wrong]
    console.print(f"{len(bad)} of {len(rows)} convolutions, each in {len(ways)} ways, are wrong", highlight=False)
    console.print(table(bad))
    timed = []
    for width in WIDTHS[:1] if quick else WIDTHS:
        both, check, share = steps(width)
        seconds = median_seconds(both, 2 if quick else STEPS, SECONDS)
        gain = seconds["fp32"] / seconds["bf16"]
        timed.append({"n_hiddens": width, "seconds": seconds, "check_seconds": check, "bf16_layers": share})
        console.print(
            f"{width} hiddens: step {seconds['fp32'] * 1e3:.0f} ms in fp32, {seconds['bf16'] * 1e3:.0f} ms in bf16 "
            f"({gain:.2f}x); {share:.0%} of its layers in bf16; checked in {check / seconds['fp32']:.1f} steps",
            highlight=False,
        )
    return {"machine": described, "config": torch.__config__.show(), "wrong": list(map(asdict, bad)), "steps": timed}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few shapes, once each: does it run at all")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything to this file too")
    options = parser.parse_args()
    write_json(options.json, run(wide_console(), options.quick), [])


if __name__ == "__main__":
    main()
