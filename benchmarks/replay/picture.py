"""How the gap to the best closed over time, as a picture."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.replay.comparison import Runs, gap_at
from benchmarks.replay.outcome import GAPS
from benchmarks.replay.strategies import OURS, TOLD, is_told

POINTS = 40
FLOOR = 1e-3  # of the logarithmic scale: what is closer than this is drawn there


def write_picture(path: Path, scenarios: Mapping[str, Runs], budget: float) -> None:
    """Draw medians over all runs, a panel a scenario; ours with its interval, and without its variants."""
    import matplotlib as mpl  # here, because it takes a second and most runs draw nothing

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(1, len(scenarios), figsize=(9 * len(scenarios), 4.5), squeeze=False)
    times = np.linspace(0, budget, POINTS + 1)[1:]
    for axes, (name, runs) in zip(panels[0], scenarios.items(), strict=True):
        colours: dict[str, Any] = {OURS: "black"}
        for strategy, found in runs.items():
            if strategy.startswith(f"{OURS}: "):
                continue
            gaps = [gap_at(found, time) for time in times]
            low, middle, high = ([_drawn(getattr(g, part)) for g in gaps] for part in ("low", "median", "high"))
            colour = colours.setdefault(strategy.removesuffix(TOLD), mpl.colormaps["tab10"](len(colours) - 1))
            width, style = (2.5 if strategy == OURS else 1.2), ("--" if is_told(strategy) else "-")
            axes.plot(times, middle, style, label=strategy, color=colour, linewidth=width)
            if strategy == OURS:
                axes.fill_between(times, low, high, color=colour, alpha=0.12, linewidth=0)
        for gap in GAPS:
            axes.axhline(gap, color="grey", linewidth=0.5, linestyle=":")
        axes.set(title=name, xlabel="simulated seconds", ylabel="gap to the best", yscale="log")
        axes.set(xlim=(0, budget), ylim=(FLOOR, 1))
        axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.01, 1))
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _drawn(gap: float) -> float:
    return min(max(gap, FLOOR), 10.0) if math.isfinite(gap) else 10.0
