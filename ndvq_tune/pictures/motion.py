"""Clips and volumes that move, beside what a model makes of them."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ndvq_tune.atomic import replacing
from ndvq_tune.pictures.frames import reduced, strips
from ndvq_tune.pictures.sheet import beside
from ndvq_tune.pictures.webp import animation

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from ndvq_tune.pictures.frames import Frame

FRAMES = 48
RATE = 8.0
BYTES = 64_000
_FASTEST = 50.0  # browsers slow down what is much faster
_LARGEST = 192


def motion(original: "Tensor", reconstructed: "Tensor", rate: float | None, path: Path) -> None:
    """Writes an animated WebP of about 64 kB that goes on for ever: the input, at its right the reconstruction.

    Args:
        original: A video or a volume ``(C, T, H, W)`` in [0, 1]; of ``(C, D, T, H, W)`` the middle of ``D`` is shown.
        reconstructed: What a model made of it; what is outside [0, 1] is cut off.
        rate: Frames a second. The first 48 are shown, of a faster clip than 50 a second every second one, or fewer. If
            there is no rate, up to 48 are spread over all of it, 8 a second.
        path: The file to write.
    """
    length = original.shape[-3]
    step = math.ceil(length / FRAMES if rate is None else rate / _FASTEST)
    played = range(0, length, step)[:FRAMES]
    before, after = (strips(clip[None], lambda _: played)[0] for clip in (original, reconstructed))
    ends = np.rint(np.arange(len(played) + 1) * (1000 / RATE if rate is None else 1000 * step / rate)).astype(int)
    frames = [_frame(*pair) for pair in zip(before, after, strict=True)]
    with replacing(path) as draft:
        draft.write_bytes(animation(frames, np.diff(ends).tolist(), BYTES))


def _frame(before: "Frame", after: "Frame") -> "Image.Image":
    """Both in their own size: browsers enlarge them, and so few pixels are compressed little."""
    return beside([reduced(frame, _LARGEST) for frame in (before, after)])
