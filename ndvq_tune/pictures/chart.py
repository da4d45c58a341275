"""Charts as pictures, for where nothing draws them anew: a slide, a page of MLflow."""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from ndvq_tune.atomic import replacing

if TYPE_CHECKING:
    from matplotlib.axis import Axis as Drawn
    from matplotlib.figure import Figure

Colour = tuple[int, int, int]
Point = tuple[float, float]
Style = Literal["dots", "joined", "rings", "line", "dotted", "steps"]

RED, BLUE, GREY, PALE = (209, 73, 91), (46, 111, 149), (160, 166, 176), (216, 220, 226)
_INK, _QUIET, _GRID = "#30343f", "#5b6270", "#e8ebef"
_SIZE, _DPI = (1600, 1000), 72  # in pixels; a point, in which letters and lines are measured, is one
_MARGIN, _TITLE, _TEXT = 16, 44, 28
_LINE, _LEGEND = 90, 88  # letters in a row
_WIDE = 4.0  # the largest over the smallest value of a logarithmic axis, at least
_FINE = 500.0  # the largest over the smallest value of one with ticks between powers of ten, at most
_ROOM = 0.05  # of the axis, beyond the values at each end
_DOT: dict[str, Any] = {"marker": "o", "markersize": 22, "markeredgecolor": "white", "markeredgewidth": 2}
_STYLES: dict[Style, dict[str, Any]] = {
    "dots": {**_DOT, "linestyle": "none"},
    "joined": _DOT,
    "rings": {"marker": "o", "markersize": 36, "markeredgewidth": 5, "fillstyle": "none", "linestyle": "none"},
    "line": {},
    "dotted": {"linestyle": "dashed"},
    "steps": {"drawstyle": "steps-post"},
}


@dataclass(frozen=True)
class Axis:
    """An axis.

    Attributes:
        title: What is on it, with the unit.
        low: The value at its beginning.
        high: The value at its end.
        log: Whether it is logarithmic.
        percent: Whether values are shares, to be shown in percent.
    """

    title: str
    low: float
    high: float
    log: bool = False
    percent: bool = False

    @classmethod
    def over(cls, title: str, values: Sequence[float]) -> Self:
        """The axis that shows all of these finite values: logarithmic if they are positive and far apart."""
        log = min(values) > 0 and max(values) >= _WIDE * min(values)
        low, high = (math.log10(end) if log else end for end in (min(values), max(values)))
        room = _ROOM * (high - low) or 0.5 * abs(low) or 1.0
        low, high = (10**end if log else end for end in (low - room, high + room))
        return cls(title, low, high, log)

    @property
    def fine(self) -> bool:
        """Whether a logarithmic axis has room for ticks between powers of ten, at 2 and 5."""
        return self.high < _FINE * self.low


@dataclass(frozen=True)
class Series:
    """Points that belong together.

    Attributes:
        name: For the legend.
        colour: Red, green and blue.
        points: Values on both axes, in order.
        style: ``dots``, or ``joined`` ones; ``rings`` around dots of another series; a ``line``, a ``dotted`` one,
            or ``steps``, each of which keeps a value until the next point.
    """

    name: str
    colour: Colour
    points: Sequence[Point]
    style: Style = "dots"


def chart(title: str, text: str, x: Axis, y: Axis, series: Sequence[Series], path: Path) -> None:
    """Writes a PNG of points over two axes, as wide as a slide.

    Args:
        title: Stands above it, large.
        text: One or two sentences below the title.
        x: The axis from left to right.
        y: The axis from bottom to top.
        series: What is drawn, later ones above; those without points are left out.
        path: The PNG to write.
    """
    with replacing(path) as new:
        figure(title, text, x, y, series).savefig(new, format="png")


def figure(title: str, text: str, x: Axis, y: Axis, series: Sequence[Series]) -> "Figure":
    """What ``chart`` writes. It belongs to no window, so that any thread may draw it.

    Args:
        title: As for ``chart``.
        text: As for ``chart``.
        x: As for ``chart``.
        y: As for ``chart``.
        series: As for ``chart``; one has points.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    margins = ConstrainedLayoutEngine(w_pad=_MARGIN / _DPI, h_pad=_MARGIN / _DPI)
    drawn = Figure((_SIZE[0] / _DPI, _SIZE[1] / _DPI), _DPI, layout=margins)
    drawn.suptitle(title, x=_MARGIN / _SIZE[0], ha="left", size=_TITLE, color=_INK, parse_math=False)
    scales = {"xscale": "log" if x.log else "linear", "yscale": "log" if y.log else "linear"}
    axes = drawn.add_subplot(**scales, xlim=(x.low, x.high), ylim=(y.low, y.high))
    axes.set_title(textwrap.fill(text, _LINE), loc="left", size=_TEXT, color=_QUIET, pad=20, parse_math=False)
    for axis, way in ((x, axes.xaxis), (y, axes.yaxis)):
        _mark(axis, way)
    axes.spines[:].set_color(_GRID)
    shown = [one for one in series if one.points]
    for order, one in enumerate(shown):
        colour = tuple(channel / 255 for channel in one.colour)
        style = {"color": colour, "linewidth": 4, "zorder": 3 + order, **_STYLES[one.style]}
        axes.plot(*zip(*one.points, strict=True), label=one.name, **style)
    columns = max(1, len(shown) * _LEGEND // sum(len(one.name) + 6 for one in shown))
    look = {"fontsize": _TEXT, "labelcolor": _INK, "frameon": False, "markerscale": 0.8}
    drawn.legend(loc="outside lower left", ncols=columns, **look)
    return drawn


def _mark(axis: Axis, drawn: "Drawn") -> None:
    """Title, ticks and grid of an axis."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    drawn.set_label_text(axis.title, size=_TEXT, color=_QUIET, parse_math=False)
    if axis.log:
        subs = (1, 2, 5) if axis.fine else (1,)
        drawn.set_major_locator(LogLocator(subs=subs, numticks=8))
        drawn.set_minor_locator(NullLocator())
    else:
        drawn.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10]))
    drawn.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}" if axis.percent else f"{value:.6g}"))
    drawn.set_tick_params(labelsize=_TEXT, labelcolor=_QUIET, color=_GRID)
    drawn.grid(color=_GRID, linewidth=2)
