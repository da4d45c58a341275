"""How often recommended models use their codes on the test data: all codes in order of their use.

The more even the use, the flatter the line, and the closer the perplexity to the number of codes. Codebooks of a
residual quantizer are counted apart, as each of them has codes of its own. Codes of FSQ and LFQ are combinations of
levels and bits, and are counted like any others: few in use say that the latents do not fill their range.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go
from scipy.special import entr

from ndvq_tune.pictures.chart import BLUE, GREY, PALE, Axis, Colour, Point, Series, chart
from ndvq_tune.quantities import count_text
from ndvq_tune.records import TrialRecord
from ndvq_tune.report.plots import DISTINCT, styled
from ndvq_tune.report.wording import metric_text
from ndvq_tune.training.files import TRAINING, code_counts_of

TRIALS = 4
X = "codes, the most used first (share of the codebook)"
_POINTS = 200  # of a line


@dataclass(frozen=True)
class CodeUse:
    """How often a trial's model chose each code for the test data.

    Attributes:
        trial: The trial's name.
        counts: Shape ``(Q, n_codes)``: each codebook by itself.
    """

    trial: str
    counts: npt.NDArray[np.int64]

    @property
    def lines(self) -> list[list[Point]]:
        """For each codebook the use of its codes, the most used first; without those that are never used.

        A point has the share of the codebook up to that code, and how many times as often it was chosen as if all
        were chosen alike. The first point is the first code's, from 0 on; long lines are thinned.
        """
        return [_line(counts) for counts in self.counts]

    @property
    def text(self) -> str:
        """The number of codes, the perplexity, and how many codes were never used; of several codebooks one by one."""
        books, codes = self.counts.shape
        positions = int(self.counts[0].sum())
        perplexities = [metric_text("perplexity", _perplexity(counts)) for counts in self.counts]
        unused = [f"{codes - np.count_nonzero(counts):,}" for counts in self.counts]
        many = f"{books} codebooks of " if books > 1 else ""
        text = (
            f"{self.trial}: {many}{codes:,} codes, perplexity {', '.join(perplexities)}, never used {', '.join(unused)}"
        )
        if positions < codes:
            text += f", as there are only {count_text(positions, 'position')} in the test data"
        return f"{text}."


def code_uses(trials: Iterable[TrialRecord], folder: Path) -> list[CodeUse]:
    """What the weights of the first few trials say of their codes; those that say nothing, or are gone, are left out.

    Args:
        trials: The trials, the recommended one first.
        folder: The results folder.

    Raises:
        CheckpointError: If a checkpoint is damaged.
    """
    kept = (trial for trial in trials if trial.weights is not None and (folder / trial.weights / TRAINING).is_file())
    found = (CodeUse(trial.name, code_counts_of(folder / str(trial.weights))) for trial in islice(kept, TRIALS))
    return [use for use in found if use.counts.any()]


def code_use(found: Sequence[CodeUse]) -> go.Figure:
    """A line for each codebook of each trial, in the trial's colour; empty where nothing is known."""
    figure = go.Figure()
    if not found:
        return figure
    dash = {"color": "#8b929c", "width": 1, "dash": "dash"}
    figure.add_scatter(x=[0, 1], y=[1, 1], mode="lines", line=dash, name="even use", hoverinfo="skip")
    for use, colour in zip(found, DISTINCT, strict=False):
        for number, line in enumerate(use.lines):
            ranks, uses = zip(*line, strict=True)
            book = f"codebook {number + 1}, " if len(use.counts) > 1 else ""
            figure.add_scatter(
                x=ranks, y=uses, mode="lines", line={"color": colour, "width": max(1, 2.5 - 0.5 * number)},
                name=use.trial, legendgroup=use.trial, showlegend=number == 0,
                hovertemplate=f"{use.trial}<br>{book}first %{{x:.0%}}: %{{y:.3g}}<extra></extra>",
            )  # fmt: skip
    y = _use_axis(found)
    figure.update_xaxes(title=X, tickformat=".0%", range=[0, 1.003])
    span = [math.log10(y.low), math.log10(y.high)]
    dtick = "D2" if y.fine else 1  # at 1, 2 and 5, or only at powers of ten
    figure.update_yaxes(title=y.title, type="log", range=span, dtick=dtick, tickformat=".6~g")
    return styled(figure, height=340)


def write_code_use(use: CodeUse, path: Path) -> Path:
    """Writes a PNG of one trial's use of its codes.

    Args:
        use: How often each was chosen.
        path: The PNG to write.

    Returns:
        Its path.
    """
    lines = use.lines
    names = [f"codebook {number + 1}" for number in range(len(lines))] if len(lines) > 1 else ["codes"]
    series = [
        Series("even use", GREY, [(0, 1), (1, 1)], "dotted"),
        *(
            Series(name, _shade(number, len(lines)), line, "line")
            for number, (name, line) in enumerate(zip(names, lines, strict=True))
        ),
    ]
    x = Axis(X, 0, 1, percent=True)
    chart("How often codes are used", use.text, x, _use_axis([use]), series, path)
    return path


def _use_axis(found: Sequence[CodeUse]) -> Axis:
    """A logarithmic axis, however alike all codes are used."""
    values = [value for use in found for line in use.lines for _, value in line]
    return Axis.over("use of a code (1: even use)", [0.5, 2, *values])


def _perplexity(counts: npt.NDArray[np.int64]) -> float:
    return float(np.exp(entr(counts / counts.sum()).sum()))


def _line(counts: npt.NDArray[np.int64]) -> list[Point]:
    used = np.sort(counts[counts > 0])[::-1]
    shown = np.unique(np.linspace(0, len(used) - 1, min(len(used), _POINTS)).round().astype(int))
    even = counts.sum() / len(counts)
    points = [((rank + 1) / len(counts), float(used[rank] / even)) for rank in shown.tolist()]
    return [(0.0, points[0][1]), *points]


def _shade(number: int, count: int) -> Colour:
    """From blue for the first codebook towards pale for the last one."""
    share = 0.8 * number / max(1, count - 1)
    red, green, blue = (round(start + (end - start) * share) for start, end in zip(BLUE, PALE, strict=True))
    return red, green, blue
