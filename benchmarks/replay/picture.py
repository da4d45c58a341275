"""How the gap to the best closed over time, as a picture."""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.replay.comparison import GAPS, Runs, gap_at
from benchmarks.replay.strategies import OURS

POINTS = 40
FLOOR = 1e-3  # of the logarithmic scale: what is closer than this is drawn there


def write_picture(path: Path, scenarios: Mapping[str, Runs], budget: float) -> None:
    """Draw medians over all runs, with their intervals, a panel a scenario."""
    import matplotlib as mpl  # here, because it takes a second and most runs draw nothing

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(1, len(scenarios), figsize=(6.5 * len(scenarios), 5), squeeze=False)
    times = np.linspace(0, budget, POINTS + 1)[1:]
    for axes, (name, runs) in zip(panels[0], scenarios.items(), strict=True):
        for index, (strategy, found) in enumerate(runs.items()):
            gaps = [gap_at(found, time) for time in times]
            low, middle, high = ([_drawn(getattr(g, part)) for g in gaps] for part in ("low", "median", "high"))
            colour, width = ("black", 2.5) if strategy == OURS else (mpl.colormaps["tab20"](index % 20), 1.2)
            axes.plot(times, middle, label=strategy, color=colour, linewidth=width)
            axes.fill_between(times, low, high, color=colour, alpha=0.12, linewidth=0)
        for gap in GAPS:
            axes.axhline(gap, color="grey", linewidth=0.5, linestyle=":")
        axes.set(title=name, xlabel="simulated seconds", ylabel="gap to the best of the table", yscale="log")
        axes.set(xlim=(0, budget), ylim=(FLOOR, 1))
        axes.legend(fontsize=7, loc="upper right")
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _drawn(gap: float) -> float:
    return min(max(gap, FLOOR), 10.0) if math.isfinite(gap) else 10.0
