"""Peak memory of this process, from a point on."""

import resource
import sys
from contextlib import suppress
from pathlib import Path

import torch

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


def reset_peak(device: torch.device) -> None:
    """Forget the peak so far, so that a trial on a warm process does not inherit that of the trial before."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    if _CLEAR.exists():
        with suppress(OSError):  # a container may not allow it
            _CLEAR.write_text("5")


def peak_bytes(device: torch.device) -> float:
    """Highest memory since ``reset_peak``: the GPU's, or the process's resident memory on a CPU.

    Without ``/proc`` (macOS) a process's peak cannot be reset, so it is that of its whole life.
    """
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated(device))
    if _STATUS.exists():
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM"))
        return float(line.split()[1]) * 1024
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * (1 if sys.platform == "darwin" else 1024)
