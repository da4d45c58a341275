"""Images, videos and volumes as rows of frames."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from ndvq_tune.pictures.sheet import beside

if TYPE_CHECKING:
    from torch import Tensor

    Values = np.ndarray[tuple[int, ...], np.dtype[np.float32]]
    Pixels = np.ndarray[tuple[int, int, int, int], np.dtype[np.uint8]]
    Frame = np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]

FRAMES = 8
_ENLARGED, _LARGEST = 128, 256


def shown_frames(length: int) -> list[int]:
    """The frames to show of a clip: the first, the last, and some between; 8 at most.

    Example:
        >>> shown_frames(29)
        [0, 4, 8, 12, 16, 20, 24, 28]
    """
    return sorted(set(np.linspace(0, length - 1, min(FRAMES, length)).round().astype(int).tolist()))


def strips(batch: "Tensor", frames: Callable[[int], Sequence[int]] = shown_frames) -> "list[Pixels]":
    """The frames to show of each sample, ``(frames, H, W, 3)``.

    Args:
        batch: Images ``(B, C, H, W)``; videos or volumes ``(B, C, T, H, W)``; or ``(B, C, D, T, H, W)``, of which the
            middle of ``D`` is shown. In [0, 1]; what is outside is cut off. One or two channels: the first is grey.
            More: the first three are red, green and blue.
        frames: Which to show of a clip of so many; up to 8 spread over it, if not given.
    """
    array = batch.detach().cpu().float().numpy()
    if array.ndim == 4:
        return [_pixels(image[None]) for image in array]
    if array.ndim == 6:
        array = array[:, :, array.shape[2] // 2]
    return [_pixels(clip[:, frames(clip.shape[1])].swapaxes(0, 1)) for clip in array]  # (C, T, ...) to (T, C, ...)


def row(strip: "Pixels") -> Image.Image:
    """Frames side by side; small ones are enlarged by a whole factor, so that no pixel is invented."""
    return beside([_enlarged(reduced(frame, _LARGEST)) for frame in strip])


def reduced(frame: "Frame", largest: int) -> Image.Image:
    """A frame; a large one is reduced by a whole factor.

    Args:
        frame: Shape ``(H, W, 3)``.
        largest: Pixels that its longer side may take.
    """
    image = Image.fromarray(np.ascontiguousarray(frame))
    return image.reduce(max(1, -(-max(image.size) // largest)))


def _enlarged(image: Image.Image) -> Image.Image:
    factor = max(1, -(-_ENLARGED // max(image.size)))
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)


def _pixels(strip: "Values") -> "Pixels":
    channels = strip[:, :3] if strip.shape[1] >= 3 else strip[:, :1].repeat(3, axis=1)
    levels = np.nan_to_num(channels).clip(0, 1) * 255
    return levels.round().astype(np.uint8).transpose(0, 2, 3, 1)
