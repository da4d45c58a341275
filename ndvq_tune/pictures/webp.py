"""WebP of one picture or of many that move, no larger than it may be."""

import io
from bisect import bisect_right
from collections.abc import Sequence
from functools import cache

from PIL import Image

_QUALITIES = (10, 20, 30, 40, 50, 60, 70, 80, 90, 95)


def webp(picture: Image.Image, most: int) -> bytes:
    """A picture without loss, or else in the best quality that fits.

    Args:
        picture: The picture.
        most: Bytes that it may take; the lowest quality may take more.
    """
    exact = _encoded([picture], lossless=True)
    return exact if len(exact) <= most else _fitting([picture], most)


def animation(frames: Sequence[Image.Image], durations: Sequence[int], most: int) -> bytes:
    """Pictures that follow each other for ever, in the best quality that fits.

    Args:
        frames: The pictures, of one size; two at least.
        durations: How long each is seen, in milliseconds.
        most: Bytes that all may take; the lowest quality may take more.
    """
    return _fitting(frames, most, save_all=True, append_images=frames[1:], duration=list(durations), loop=0)


def _fitting(frames: Sequence[Image.Image], most: int, **options: object) -> bytes:
    @cache
    def at(quality: int) -> bytes:
        return _encoded(frames, quality=quality, **options)

    within = bisect_right(_QUALITIES, most, key=lambda quality: len(at(quality)))
    return at(_QUALITIES[max(0, within - 1)])


def _encoded(frames: Sequence[Image.Image], **options: object) -> bytes:
    file = io.BytesIO()
    frames[0].save(file, format="WEBP", **options)
    return file.getvalue()
