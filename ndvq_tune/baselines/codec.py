"""What a codec is, whatever it codes: samples and a setting of quality in, bits and reconstructions out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float32]
"""Samples ``(N, C, *S)``; those of models and data lie in [0, 1]."""

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Codec:
    """A codec with a setting for its quality.

    Attributes:
        name: As people know it.
        settings: Of its quality, the lowest first.
        code: Takes samples and a setting; gives the bits of all of them, and what is decoded from these.
        joins: Whether samples are coded one after the other as one recording; neighbours belong together then.
    """

    name: str
    settings: Sequence[int]
    code: Callable[[Values, int], tuple[int, Values]]
    joins: bool = False


def to_pixels(samples: Values) -> Pixels:
    """Samples of 1 or 3 channels as bytes, channels last: ``(N, *S, C)``; what is outside [0, 1] is cut off."""
    pixels: Pixels = np.rint(255 * np.moveaxis(samples, 1, -1).clip(0, 1)).astype(np.uint8)
    return pixels


def from_pixels(pixels: Sequence[Pixels]) -> Values:
    """What ``to_pixels`` took, of samples ``(*S, C)``."""
    return np.moveaxis(np.stack(pixels), -1, 1).astype(np.float32) / np.float32(255)
