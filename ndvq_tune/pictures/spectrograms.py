"""Sounds as pictures: how loud each frequency is over time."""

import math
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw
from plotly.colors import sample_colorscale
from scipy.signal import ShortTimeFFT, get_window

from ndvq_tune.pictures.sheet import BACKGROUND, GAP, INK, font
from ndvq_tune.pictures.waveforms import ticks

if TYPE_CHECKING:
    import numpy.typing as npt

    from ndvq_tune.pictures.waveforms import Signal

QUIETEST = -80.0
_WINDOW = 0.02  # seconds: some periods of a low voice
_WIDTH, _HEIGHT = 400, 160
_LEFT, _ABOVE, _BELOW, _RIGHT, _BAR = 62, 8, 20, 70, 10
_SMALL = 11


def decibels(wave: "Signal", rate: int) -> "Signal":
    """The power of each frequency at each time, ``(F, N)`` in decibels; the mean over channels.

    Args:
        wave: Shape ``(C, L)``, a fiftieth of a second or longer. Rows of the result go from 0 Hz to half the rate, its
            columns from the beginning to the end.
        rate: Steps a second.
    """
    length = 2 ** round(math.log2(rate * _WINDOW))
    transform = ShortTimeFFT(get_window("hann", length), hop=length // 4, fs=rate, scale_to="magnitude")
    spectra = transform.stft(wave.astype(np.float64), p0=0, p1=-(-wave.shape[1] // transform.hop))
    power = np.square(np.abs(spectra)).mean(axis=0)
    levels: Signal = (10 * np.log10(power + 1e-12)).astype(np.float32)
    return levels


def spectrogram(levels: "Signal", rate: int, seconds: float) -> Image.Image:
    """Levels as colours, over an axis of seconds and beside one of Hz, with what each colour means.

    Args:
        levels: As ``decibels`` gives them, relative to what shall have the brightest colour; 80 dB below, all is dark.
        rate: Steps a second.
        seconds: Length of the sound.
    """
    picture = Image.new("RGB", (_LEFT + _WIDTH + _RIGHT, _ABOVE + _HEIGHT + _BELOW), BACKGROUND)
    picture.paste(_coloured(levels, (_WIDTH, _HEIGHT)), (_LEFT, _ABOVE))
    bar = np.linspace(QUIETEST, 0, _HEIGHT, dtype=np.float32)[:, None]
    picture.paste(_coloured(bar, (_BAR, _HEIGHT)), (_LEFT + _WIDTH + 2 * GAP, _ABOVE))
    draw = ImageDraw.Draw(picture)

    def say(x: float, y: float, text: str, anchor: str) -> None:
        draw.text((x, y), text, fill=INK, font=font(_SMALL), anchor=anchor)

    def height(share: float) -> float:
        return _ABOVE + (1 - share) * (_HEIGHT - 1)

    for hertz in ticks(0, rate / 2, most=5):
        say(_LEFT - GAP, height(hertz / (rate / 2)), f"{hertz:,.0f} Hz", "rm")
    for level in ticks(QUIETEST, 0, most=5):
        say(picture.width - _RIGHT + _BAR + 3 * GAP, height(1 - level / QUIETEST), f"{level:.0f} dB", "lm")
    for second in ticks(0, seconds, most=5):
        say(_LEFT + second / seconds * (_WIDTH - 1), _ABOVE + _HEIGHT + GAP, f"{second:g} s", "mt")
    return picture


def _coloured(levels: "Signal", size: tuple[int, int]) -> Image.Image:
    """The first row below."""
    shown = Image.fromarray(levels[::-1]).resize(size, Image.Resampling.BILINEAR)
    share = (1 - np.asarray(shown) / QUIETEST).clip(0, 1)
    return Image.fromarray(_palette()[np.rint(share * 255).astype(int)])


@cache
def _palette() -> "npt.NDArray[np.uint8]":
    """256 colours from dark to bright; their lightness alone tells them apart."""
    colours = sample_colorscale("Viridis", np.linspace(0, 1, 256).tolist(), colortype="tuple")
    palette: npt.NDArray[np.uint8] = np.rint(255 * np.array(colours)).astype(np.uint8)
    return palette
