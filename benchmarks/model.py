"""``python -m benchmarks.model``: time and memory of a training step, of the seed's model and of ours.

One step of each in turn, medians; peak memory is from a process of its own each. Further columns hold the FLOPs a
second against what the CPU reaches with a matrix product and with a 3D convolution. ``LEGEND`` says it in full.
"""

import argparse
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks import seed
from benchmarks.contenders import Case, QuantizerCase, models, quantizers
from benchmarks.measure import (
    MATRIX,
    Footprint,
    Step,
    convolution,
    count_flops,
    footprint,
    matrix_product,
    median_seconds,
)
from benchmarks.report import Goal, goals_table, machine, print_machine, wide_console, write_json

CASES = (
    Case((3, 16, 64, 64), (2, 2, 2), batch=1, faster=100, smaller=10),
    Case((3, 16, 64, 64), (4, 4, 4), batch=2, faster=10),
    Case((3, 8, 32, 32), (2, 4, 4), batch=4, faster=3),
    Case((3, 32, 32), (4, 4), batch=16, faster=3),
    Case((3, 256), (4,), batch=32, faster=3),
)
QUANTIZER_CASES = (QuantizerCase(4096), QuantizerCase(16_384))
QUANTIZER_GOALS = {"seed": 50.0, "VectorQuantize": 5.0}
LARGE_CODEBOOK, LARGE_CODEBOOK_GB = QuantizerCase(262_144, only_ours=True), 1.5
JUDGED = "ours, axial"
STEPS, SECONDS = 30, 20.0  # of each model in a case, at most
PROCESSES, PROCESS_SECONDS = 3, 60.0
LEGEND = (
    "A step is forward, backward and optimiser; faster and smaller: against the first line. Peak: the worst of "
    f"{PROCESSES} processes; of a model: on top of the built model; of a quantizer: with its codebook. GFLOP/s as a "
    f"share of those of a product of two {MATRIX} x {MATRIX} matrices, and of a channels-last 3D convolution with its "
    "backward pass, timed in the same turns."
)


@dataclass(frozen=True)
class Row:
    """One model in one case.

    Attributes:
        case: The case, in words.
        name: The model.
        seconds: Median time of a step.
        built: Bytes that building it took.
        peak: Bytes on top of that at the peak.
        flops: FLOPs of a step.
        of_matrix_product: Its FLOPs a second over those of the matrix product.
        of_convolution: The same over those of the convolution.
    """

    case: str
    name: str
    seconds: float
    built: float
    peak: float
    flops: int
    of_matrix_product: float
    of_convolution: float


def measure(case: Any, builders: Mapping[str, Callable[[], Step]], quick: bool) -> list[Row]:
    """Footprints first, from processes of their own; then times, in turn."""
    steps, processes = (3, 1) if quick else (STEPS, PROCESSES)
    threads = torch.get_num_threads()
    footprints = {name: footprint(build, threads, processes, PROCESS_SECONDS) for name, build in builders.items()}
    ceilings = {"matrix product": matrix_product(), "convolution": convolution()}
    seconds = median_seconds({name: build() for name, build in builders.items()} | ceilings, steps, SECONDS)
    speeds = [count_flops(step) / seconds[name] for name, step in ceilings.items()]
    return [_row(case, name, seconds[name], found, *speeds) for name, found in footprints.items()]


def _row(case: Any, name: str, seconds: float, found: Footprint, matrix_product: float, convolution: float) -> Row:
    speed = found.flops / seconds
    return Row(
        case=str(case),
        name=name,
        seconds=seconds,
        built=found.built,
        peak=found.peak,
        flops=found.flops,
        of_matrix_product=speed / matrix_product,
        of_convolution=speed / convolution,
    )


def table(rows: Sequence[Row], with_built: bool) -> Table:
    """Rows of one case; ratios are the first row's figure, the seed's if it is there, over that of the row."""
    shown = Table(title=rows[0].case, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    shown.add_column("", no_wrap=True)
    for column in ("step\nms", "peak\nMB", "\nfaster", "\nsmaller", "GFLOP\n/s", "of\nmatmul", "of\nconv"):
        shown.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        shown.add_row(*_cells(row, rows[0], with_built))
    return shown


def _cells(row: Row, first: Row, with_built: bool) -> list[str]:
    return [
        row.name,
        f"{row.seconds * 1e3:,.1f}",
        f"{_memory(row, with_built) / 1e6:,.0f}",
        "" if row is first else f"{first.seconds / row.seconds:.1f}x",
        "" if row is first else f"{_memory(first, with_built) / _memory(row, with_built):.1f}x",
        f"{row.flops / row.seconds / 1e9:,.0f}",
        f"{row.of_matrix_product:.0%}",
        f"{row.of_convolution:.0%}",
    ]


def _memory(row: Row, with_built: bool) -> float:
    return row.peak + row.built * with_built


def model_goals(case: Case, rows: Iterable[Row]) -> list[Goal]:
    """What is asked of our model beside the seed's, if that is there."""
    by_name = {row.name: row for row in rows}
    if "seed" not in by_name:
        return []
    theirs, ours = by_name["seed"], by_name[JUDGED]
    return [
        Goal(f"{case}: faster than seed", theirs.seconds / ours.seconds, case.faster),
        Goal(f"{case}: less memory than seed", theirs.peak / ours.peak, case.smaller),
    ]


def quantizer_goals(case: QuantizerCase, rows: Iterable[Row]) -> list[Goal]:
    """What is asked of our quantizer beside each other one, and of a codebook that only ours can hold."""
    by_name = {row.name: row for row in rows}
    ours = by_name.pop("ours")
    size = f"{case.n_codes:,} codes"
    if case == LARGE_CODEBOOK:
        return [Goal(f"{size}: peak memory", _memory(ours, True) / 1e9, LARGE_CODEBOOK_GB, " GB", at_least=False)]
    return [
        Goal(f"{size}: faster than {name}", row.seconds / ours.seconds, QUANTIZER_GOALS[name])
        for name, row in by_name.items()
    ]


def run(console: Console, quick: bool) -> tuple[dict[str, Any], list[Goal]]:
    """Measure everything, and print each case when it is done."""
    described = machine()
    print_machine(console, described)
    rows: dict[str, list[Row]] = {"model": [], "quantizer": []}
    goals: list[Goal] = []
    for case in CASES[2:] if quick else CASES:
        measured = measure(case, models(case), quick)
        console.print(table(measured, with_built=False))
        rows["model"] += measured
        goals += model_goals(case, measured)
    for quantizer_case in QUANTIZER_CASES[:1] if quick else (*QUANTIZER_CASES, LARGE_CODEBOOK):
        measured = measure(quantizer_case, quantizers(quantizer_case), quick)
        console.print(table(measured, with_built=True))
        rows["quantizer"] += measured
        goals += quantizer_goals(quantizer_case, measured)
    console.print(LEGEND, style="dim", highlight=False)
    if goals:
        console.print(goals_table(goals))
    if seed.NDimVQVAE is None:
        console.print(seed.MISSING)
    return {"machine": described} | {name: [vars(row) for row in found] for name, found in rows.items()}, goals


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small cases and few steps: does it run at all")
    parser.add_argument("--threads", type=int, help="CPU threads; all cores if not given")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything to this file too")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    write_json(options.json, *run(wide_console(), options.quick))


if __name__ == "__main__":
    main()
