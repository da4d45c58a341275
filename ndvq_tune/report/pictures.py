"""Pictures of what a model makes of its input: inputs above reconstructions."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ndvq_tune.errors import ShapeError
from ndvq_tune.report.files import replacing

if TYPE_CHECKING:
    from torch import Tensor

    Pixels = np.ndarray[tuple[int, int, int, int], np.dtype[np.uint8]]

SAMPLES = 2
FRAMES = 8
IMAGES = 8
_FRAME_SIZE = 128
_GAP = 4
_MARGIN = 8
_TEXT = 12
_BACKGROUND, _INK = (255, 255, 255), (90, 90, 90)


def reconstructions(originals: "Tensor", reconstructed: "Tensor", path: Path) -> None:
    """Writes a PNG with inputs above their reconstructions.

    Args:
        originals: Videos ``(B, C, T, H, W)``, of which up to 2 are shown as 8 frames over time each, or images
            ``(B, C, H, W)``, up to 8 side by side; in [0, 1]. One channel is grey, of more the first three are colours.
        reconstructed: The model's output, of the same shape; values outside [0, 1] are cut off.
        path: The PNG to write.

    Raises:
        ShapeError: The two differ in shape, or are neither videos nor images.
    """
    if originals.shape != reconstructed.shape:
        raise ShapeError(f"inputs {tuple(originals.shape)} and reconstructions {tuple(reconstructed.shape)} differ")
    above, below = _strips(originals), _strips(reconstructed)
    pairs = [_pair(a, b) for a, b in zip(above, below, strict=True)]
    width = pairs[0].width + 2 * _MARGIN
    sheet = Image.new("RGB", (width, sum(pair.height + _MARGIN for pair in pairs) + _MARGIN), _BACKGROUND)
    for number, pair in enumerate(pairs):
        sheet.paste(pair, (_MARGIN, _MARGIN + number * (pair.height + _MARGIN)))
    with replacing(path) as draft:
        sheet.save(draft, format="PNG", optimize=True)


def _strips(batch: "Tensor") -> "list[Pixels]":
    """The frames to show of each strip, ``(frames, H, W, 3)``."""
    array = batch.detach().cpu().float().numpy()
    if array.ndim == 5:
        frames = array.shape[2]
        chosen = np.unique(np.linspace(0, frames - 1, min(FRAMES, frames)).round().astype(int))
        strips = [clip[:, chosen].swapaxes(0, 1) for clip in array[:SAMPLES]]  # (C, T, H, W) to (T, C, H, W)
    elif array.ndim == 4:
        strips = [array[:IMAGES]]
    else:
        raise ShapeError(f"a picture needs videos (B, C, T, H, W) or images (B, C, H, W), but got {array.shape}")
    return [_pixels(strip) for strip in strips]


def _pixels(strip: "np.ndarray[tuple[int, ...], np.dtype[np.float32]]") -> "Pixels":
    channels = strip[:, :3] if strip.shape[1] >= 3 else strip[:, :1].repeat(3, axis=1)
    levels = np.nan_to_num(channels).clip(0, 1) * 255
    return levels.round().astype(np.uint8).transpose(0, 2, 3, 1)


def _pair(above: "Pixels", below: "Pixels") -> Image.Image:
    font = ImageFont.load_default(_TEXT)
    rows = [("input", _row(above)), ("reconstruction", _row(below))]
    line = _TEXT + 2 * _GAP
    height = rows[0][1].height
    pair = Image.new("RGB", (rows[0][1].width, 2 * (line + height)), _BACKGROUND)
    draw = ImageDraw.Draw(pair)
    for number, (text, row) in enumerate(rows):
        top = number * (line + height)
        draw.text((0, top + _GAP - 1), text, fill=_INK, font=font)
        pair.paste(row, (0, top + line))
    return pair


def _row(strip: "Pixels") -> Image.Image:
    """Frames side by side; small ones are enlarged by a whole factor, so that no pixel is invented."""
    frames, height, width = strip.shape[:3]
    factor = max(1, -(-_FRAME_SIZE // max(height, width)))
    size = (width * factor, height * factor)
    row = Image.new("RGB", (frames * (size[0] + _GAP) - _GAP, size[1]), _BACKGROUND)
    for number, frame in enumerate(strip):
        picture = Image.fromarray(np.ascontiguousarray(frame)).resize(size, Image.Resampling.NEAREST)
        row.paste(picture, (number * (size[0] + _GAP), 0))
    return row
