"""Charts as pictures, for where nothing draws them anew: a slide, a page of MLflow."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from pathlib import Path
from typing import Literal, Self

from PIL import Image, ImageDraw

from ndvq_tune.pictures.sheet import BACKGROUND, caption, font, save
from ndvq_tune.pictures.waveforms import ticks

Colour = tuple[int, int, int]
Point = tuple[float, float]
Style = Literal["dots", "joined", "rings", "line", "dotted", "steps"]

RED, BLUE, GREY, PALE = (209, 73, 91), (46, 111, 149), (160, 166, 176), (216, 220, 226)
_INK, _QUIET, _GRID = (48, 52, 63), (91, 98, 112), (232, 235, 239)
_WIDTH, _PANEL_HEIGHT = 1600, 720
_TITLE, _TEXT = 44, 30  # sizes of letters
_GAP = 14
_DOT, _RING = 11, 19  # radii
_FINE = 2  # lines and dots are drawn this much larger, and then reduced: that makes them smooth
_WIDE = 4.0  # the largest over the smallest value of a logarithmic axis, at least
_TICKS = 8  # at most, on an axis
_DIGITS = ((1, 1.5, 2, 3, 4, 5, 7), (1, 2, 5), (1,))  # of ticks on a logarithmic one
_ROOM = 0.05  # of the axis, beyond the values at each end


@dataclass(frozen=True)
class Axis:
    """An axis with its ticks.

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

    def place(self, value: float) -> float:
        """Where a value is, from 0 at the beginning to 1 at the end."""
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> dict[float, str]:
        """Round values and their texts."""
        values = _log_ticks(self.low, self.high) if self.log else ticks(self.low, self.high, most=_TICKS)
        return {value: f"{value:.0%}" if self.percent else f"{value:.6g}" for value in values}


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
    shown = [one for one in series if one.points]
    head = [
        caption(title, _WIDTH, _TITLE, _INK),
        caption(text, _WIDTH, _TEXT, _QUIET),
        _legend(shown),
        caption(y.title, _WIDTH, _TEXT, _QUIET),
    ]
    left, right = (_longest(axis.ticks().values()) + _GAP for axis in (y, x))
    top = sum(part.height + _GAP for part in head)
    size = (_WIDTH - left - right // 2, _PANEL_HEIGHT)
    picture = Image.new("RGB", (_WIDTH, top + size[1] + 2 * _GAP + 5 * _TEXT // 2), BACKGROUND)
    above = 0
    for part in head:
        picture.paste(part, (0, above))
        above += part.height + _GAP
    picture.paste(_panel(x, y, shown, size), (left, top))
    draw = ImageDraw.Draw(picture)
    beside = {(left - _GAP, top + (1 - y.place(value)) * size[1]): label for value, label in y.ticks().items()}
    below = {(left + x.place(value) * size[0], top + size[1] + _GAP): label for value, label in x.ticks().items()}
    under = {(left + size[0] / 2, picture.height): x.title}
    for anchor, texts in (("rm", beside), ("mt", below), ("mb", under)):
        for at, label in texts.items():
            draw.text(at, label, fill=_QUIET, font=font(_TEXT), anchor=anchor)
    save(picture, path)


def _longest(texts: Iterable[str]) -> int:
    return round(max(font(_TEXT).getlength(text) for text in texts))


def _panel(x: Axis, y: Axis, series: Sequence[Series], size: tuple[int, int]) -> Image.Image:
    """What is between the axes, with a line at each tick."""
    width, height = size[0] * _FINE, size[1] * _FINE
    panel = Image.new("RGB", (width, height), BACKGROUND)
    draw = ImageDraw.Draw(panel)
    for value in y.ticks():
        at = (1 - y.place(value)) * height
        draw.line([(0, at), (width, at)], fill=_GRID, width=2 * _FINE)
    for value in x.ticks():
        at = x.place(value) * width
        draw.line([(at, 0), (at, height)], fill=_GRID, width=2 * _FINE)
    draw.rectangle([0, 0, width - 1, height - 1], outline=GREY, width=2 * _FINE)
    for one in series:
        _draw(draw, one, [(x.place(at) * width, (1 - y.place(value)) * height) for at, value in one.points])
    return panel.reduce(_FINE)


def _draw(draw: ImageDraw.ImageDraw, series: Series, points: Sequence[Point]) -> None:
    """A series at these places of a picture."""
    if series.style in ("line", "joined"):
        draw.line(list(points), fill=series.colour, width=4 * _FINE, joint="curve")
    match series.style:
        case "dots" | "joined":
            for at in points:
                draw.circle(at, _DOT * _FINE, fill=series.colour, outline=BACKGROUND, width=2 * _FINE)
        case "rings":
            for at in points:
                draw.circle(at, _RING * _FINE, outline=series.colour, width=5 * _FINE)
        case "dotted":
            for begin, end in pairwise(points):
                _pieces(draw, begin, end, series.colour)
        case "steps":
            corners = [(end[0], begin[1]) for begin, end in pairwise(points)]
            path = [*chain.from_iterable(zip(points, corners, strict=False)), points[-1]]
            draw.line(path, fill=series.colour, width=4 * _FINE)


def _pieces(draw: ImageDraw.ImageDraw, begin: Point, end: Point, colour: Colour) -> None:
    """A straight line of short pieces."""
    length, piece = math.dist(begin, end), 12.0 * _FINE
    for start in range(int(length / piece)):
        if start % 2 == 0:
            shares = (start * piece / length, min(1.0, (start + 1) * piece / length))
            pair = [tuple(b + (e - b) * share for b, e in zip(begin, end, strict=True)) for share in shares]
            draw.line(pair, fill=colour, width=3 * _FINE)


def _legend(series: Sequence[Series]) -> Image.Image:
    """The names of series, each behind a piece of what it looks like, in as many rows as they need."""
    cells = [_cell(one) for one in series]
    rows: list[list[Image.Image]] = [[]]
    for cell in cells:
        if rows[-1] and sum(other.width for other in rows[-1]) + cell.width > _WIDTH:
            rows.append([])
        rows[-1].append(cell)
    height = max((cell.height for cell in cells), default=1)
    legend = Image.new("RGB", (_WIDTH, height * len(rows)), BACKGROUND)
    for number, row in enumerate(rows):
        left = 0
        for cell in row:
            legend.paste(cell, (left, number * height))
            left += cell.width
    return legend


def _cell(series: Series) -> Image.Image:
    side = 2 * (_RING + 3)
    sign = Image.new("RGB", (2 * side * _FINE, side * _FINE), BACKGROUND)
    draw = ImageDraw.Draw(sign)
    middle, reach = (side * _FINE, side * _FINE / 2), 0.8 * side * _FINE
    if series.style not in ("dots", "rings"):
        style: Style = "line" if series.style == "joined" else series.style
        _draw(draw, replace(series, style=style), [(middle[0] - reach, middle[1]), (middle[0] + reach, middle[1])])
    if series.style in ("dots", "rings", "joined"):
        _draw(draw, series, [middle])
    name = caption(series.name, _WIDTH, _TEXT, _INK)
    cell = Image.new("RGB", (2 * side + name.width + 3 * _GAP, side), BACKGROUND)
    cell.paste(sign.reduce(_FINE), (0, 0))
    cell.paste(name, (2 * side, (side - _TEXT) // 2))
    return cell


def _log_ticks(low: float, high: float) -> list[float]:
    """Multiples of powers of ten between two positive numbers, in the finest division that is not too fine."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits in _DIGITS:
        found = [digit * 10.0**power for power in powers for digit in digits]
        shown = [tick for tick in found if low <= tick <= high]
        if len(shown) <= _TICKS:
            return shown
    return shown[:: -(-len(shown) // _TICKS)]
