"""Pictures of what a model makes of its input."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from ndvq_tune.errors import ShapeError
from ndvq_tune.pictures.frames import row, strips
from ndvq_tune.pictures.sheet import below, caption, save
from ndvq_tune.pictures.waveforms import BLUE, ORANGE, Curve, legend, span_of, waveforms

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

CLIPS = 2
IMAGES = 8
SIGNALS = 4
_APART = 12
_SIGNAL_WIDTH = 900


def reconstructions(originals: "Tensor", reconstructed: "Tensor", path: Path) -> None:
    """Writes a PNG with inputs and their reconstructions.

    Args:
        originals: In [0, 1]. Videos or volumes ``(B, C, T, H, W)``, of which up to 2 are shown as 8 frames each, of
            ``(B, C, D, T, H, W)`` those in the middle of ``D``; images ``(B, C, H, W)``, up to 8 side by side; signals
            ``(B, C, L)``, up to 4, the reconstruction drawn over the input.
        reconstructed: The model's output, of the same shape; values outside [0, 1], or outside the inputs' range for
            signals, are cut off.
        path: The PNG to write.

    Raises:
        ShapeError: The two differ in shape, or have another number of dimensions.
    """
    if originals.shape != reconstructed.shape:
        raise ShapeError(f"inputs {tuple(originals.shape)} and reconstructions {tuple(reconstructed.shape)} differ")
    if originals.ndim not in _DRAWN:
        raise ShapeError(
            "a picture needs signals (B, C, L), images (B, C, H, W), videos (B, C, T, H, W) or (B, C, D, T, H, W), "
            f"but got {tuple(originals.shape)}"
        )
    save(below(_DRAWN[originals.ndim](originals, reconstructed), _APART), path)


def _signals(originals: "Tensor", reconstructed: "Tensor") -> list[Image.Image]:
    inputs, outputs = (batch[:SIGNALS].detach().cpu().float().numpy() for batch in (originals, reconstructed))
    pairs = [
        (Curve("input", BLUE, 2.4, signal), Curve("reconstruction", ORANGE, 1.2, made))
        for signal, made in zip(inputs, outputs, strict=True)
    ]
    return [legend(pairs[0]), *(waveforms(pair, span_of(inputs), _SIGNAL_WIDTH) for pair in pairs)]


def _images(originals: "Tensor", reconstructed: "Tensor") -> list[Image.Image]:
    """All inputs in one row, all reconstructions in another."""
    pixels = [np.concatenate(strips(batch[:IMAGES])) for batch in (originals, reconstructed)]
    return [_pair(*map(row, pixels))]


def _clips(originals: "Tensor", reconstructed: "Tensor") -> list[Image.Image]:
    inputs, outputs = (strips(batch[:CLIPS]) for batch in (originals, reconstructed))
    return [_pair(row(clip), row(made)) for clip, made in zip(inputs, outputs, strict=True)]


def _pair(original: Image.Image, reconstructed: Image.Image) -> Image.Image:
    rows = (("input", original), ("reconstruction", reconstructed))
    return below([part for text, picture in rows for part in (caption(text, picture.width), picture)])


_DRAWN: "dict[int, Callable[[Tensor, Tensor], list[Image.Image]]]" = {3: _signals, 4: _images, 5: _clips, 6: _clips}
