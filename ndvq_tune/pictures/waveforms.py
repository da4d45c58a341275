"""Signals as curves over their steps."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from ndvq_tune.pictures.sheet import BACKGROUND, GAP, INK, TEXT, beside, caption, font

if TYPE_CHECKING:
    import numpy.typing as npt

    Signal = npt.NDArray[np.float32]

# Far apart for every kind of colour vision, and in lightness.
BLUE, ORANGE = (46, 111, 149), (235, 120, 20)
CHANNELS = 6
_PANEL, _GRID = (247, 248, 250), (222, 224, 228)
_FINE = 3  # lines are drawn this much larger, and then reduced: that makes them smooth
_SMALL = 11  # size of the text at the axes
_LEFT, _NAMES, _BOTTOM = 40, 64, 2 * GAP + TEXT

Span = tuple[float, float]


@dataclass(frozen=True)
class Curve:
    """A line for each channel.

    Attributes:
        name: For the legend.
        colour: Red, green and blue.
        width: Pixels.
        values: Shape ``(C, L)``.
    """

    name: str
    colour: tuple[int, int, int]
    width: float
    values: "Signal"


def waveforms(curves: Sequence[Curve], span: Span, width: int) -> Image.Image:
    """Curves of one signal over each other, each of up to 6 channels in a lane of its own, over an axis of steps.

    Args:
        curves: The curves, all of one shape; later ones lie above.
        span: The values at the bottom and at the top of each lane; what is outside is cut off.
        width: Pixels of the picture.
    """
    channels, length = curves[0].values.shape
    lanes = min(channels, CHANNELS)
    left = _LEFT + (_NAMES if channels > 1 else 0)
    height, most = (110, 4) if channels == 1 else (64, 3)
    picture = Image.new("RGB", (width, lanes * (height + GAP) + _BOTTOM), BACKGROUND)
    draw = ImageDraw.Draw(picture)
    small = font(_SMALL)
    for channel in range(lanes):
        top = channel * (height + GAP)
        levels = ticks(*span, most)
        lines = [(curve, curve.values[channel]) for curve in curves]
        picture.paste(_lane(lines, span, levels, (width - left, height)), (left, top))
        for level in levels:
            y = max(_SMALL / 2, top + (span[1] - level) / (span[1] - span[0]) * height)
            draw.text((left - GAP, y), f"{level:g}", fill=INK, font=small, anchor="rm")
        if channels > 1:
            draw.text((0, top + height / 2), f"channel {channel}", fill=INK, font=small, anchor="lm")
    last = max(1, length - 1)
    for step in ticks(0, last, most=6):
        x = left + step / last * (width - left - 1)
        text, anchor = ("step  0", "lt") if step == 0 else (f"{step:g}", "rt" if x > width - 2 * TEXT else "mt")
        draw.text((x, picture.height - _BOTTOM + 1), text, fill=INK, font=small, anchor=anchor)
    return picture


def legend(curves: Sequence[Curve]) -> Image.Image:
    """The curves' names, each behind a piece of its line."""
    return beside([part for curve in curves for part in (_piece(curve), caption(curve.name, 200))], 2 * GAP)


def span_of(values: "Signal") -> Span:
    """The range that shows all finite values, and a little more."""
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    room = 0.08 * (high - low) or 0.5
    return low - room, high + room


def ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers between two: multiples of 1, 2 or 5 times a power of ten.

    Args:
        low: The least that a number may be.
        high: The greatest, above ``low``.
        most: How many there may be.

    Example:
        >>> ticks(-0.5, 7.2, most=4)
        [0.0, 2.0, 4.0, 6.0]
    """
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    for step in (power * factor for factor in (1, 2, 5, 10)):
        found = range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
        if len(found) <= most:
            break
    return [number * step for number in found]


def _lane(
    lines: "Sequence[tuple[Curve, Signal]]", span: Span, levels: Sequence[float], size: tuple[int, int]
) -> Image.Image:
    width, height = size[0] * _FINE, size[1] * _FINE
    lane = Image.new("RGB", (width, height), _PANEL)
    draw = ImageDraw.Draw(lane)
    unit = (height - 1) / (span[1] - span[0])
    for level in levels:
        y = (span[1] - level) * unit
        draw.line([(0, y), (width, y)], fill=_GRID, width=_FINE)
    for curve, values in lines:
        steps, shown = _thinned(np.nan_to_num(values, nan=span[0]).clip(*span), width)
        x = steps * ((width - 1) / max(1, len(values) - 1))
        points = list(zip(x.tolist(), ((span[1] - shown) * unit).tolist(), strict=True))
        joint = "curve" if len(points) < size[0] else None  # rounding every corner takes long, and shows on few only
        draw.line(points, fill=curve.colour, width=round(curve.width * _FINE), joint=joint)
    return lane.reduce(_FINE)


def _thinned(values: "Signal", columns: int) -> "tuple[npt.NDArray[np.int64], Signal]":
    """Steps and values to draw: all, or the least and the greatest of each column where steps are finer than pixels."""
    if len(values) <= 2 * columns:
        return np.arange(len(values)), values
    starts = np.linspace(0, len(values), columns, endpoint=False).astype(int)
    ends = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
    return starts.repeat(2), np.stack(ends, axis=1).ravel()


def _piece(curve: Curve) -> Image.Image:
    """A short piece of a curve's line, at the height of a caption's letters."""
    piece = Image.new("RGB", (2 * TEXT * _FINE, (TEXT + 2 * GAP) * _FINE), BACKGROUND)
    middle = (TEXT // 2 + 2) * _FINE
    ImageDraw.Draw(piece).line(
        [(0, middle), (piece.width, middle)], fill=curve.colour, width=round(curve.width * _FINE)
    )
    return piece.reduce(_FINE)
