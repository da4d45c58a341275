"""How benchmarks measure: step times in turn, and memory and FLOPs in a process of their own."""

import statistics
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ndvq_tune.training.memory import peak_bytes, reset_peak
from ndvq_tune.training.torch_internals import CPU_ATTENTION_FLOPS

Step = Callable[[], object]

MATRIX = 2048
_CPU = torch.device("cpu")


@dataclass(frozen=True)
class Footprint:
    """What a step takes beside time.

    Attributes:
        built: Bytes that building its model took.
        peak: Bytes on top of that at the peak of the first steps.
        flops: FLOPs of a step: convolutions, matrix products and attention.
    """

    built: float
    peak: float
    flops: int


def median_seconds(steps: Mapping[str, Step], count: int, seconds: float) -> dict[str, float]:
    """Median time of each step; one of each in turn, so that all meet the same load of the machine.

    Args:
        steps: What to time. One call of each comes before, to warm up.
        count: Calls of each.
        seconds: After this long, but at least two calls, a step takes no further part.
    """
    for step in steps.values():
        step()
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(count):
        for name, step in steps.items():
            if len(times[name]) < 2 or sum(times[name]) < seconds:
                start = time.perf_counter()
                step()
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(taken) for name, taken in times.items()}


def footprint(build: Callable[[], Step], threads: int, count: int, seconds: float) -> Footprint:
    """Memory and FLOPs of a step, from fresh processes: memory that others freed would hide what it needs.

    The worst of several counts: where the allocator puts memory is partly chance, and so is what it can use again.

    Args:
        build: What builds the model and gives its step; a function of a module, so that it can be sent.
        threads: CPU threads of a process.
        count: Processes, one after the other.
        seconds: After this long, no further one.
    """
    found: list[Footprint] = []
    start = time.perf_counter()
    while len(found) < count and (not found or time.perf_counter() - start < seconds):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            found.append(process.submit(_footprint, build, threads).result())
    return max(found, key=lambda footprint: footprint.peak)


def _footprint(build: Callable[[], Step], threads: int) -> Footprint:
    torch.set_num_threads(threads)
    empty = _resident()
    step = build()
    built = _resident()
    for _ in range(2):  # the optimiser has its memory from the first on, and it counts in the second
        step()
    peak = peak_bytes(_CPU)
    return Footprint(built=built - empty, peak=peak - built, flops=count_flops(step))


def _resident() -> float:
    reset_peak(_CPU)
    return peak_bytes(_CPU)


def count_flops(step: Step) -> int:
    """FLOPs of one call, forward and backward."""
    with FlopCounterMode(display=False, custom_mapping=CPU_ATTENTION_FLOPS) as counter:
        step()
    flops: int = counter.get_total_flops()
    return flops


def matrix_product() -> Step:
    """What a CPU does fastest: the first ceiling."""
    left, right = torch.rand(2, MATRIX, MATRIX)
    return lambda: left @ right


def convolution() -> Step:
    """A 3D convolution of the size that models here have, forward and backward: the second ceiling."""
    torch.manual_seed(0)
    conv = nn.Conv3d(32, 32, 3, padding=1).to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    x = torch.rand(2, 32, 8, 32, 32).to(memory_format=torch.channels_last_3d).requires_grad_()
    return lambda: conv(x).sum().backward()
