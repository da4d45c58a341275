"""Rows written as files that people open: videos, images, sounds, and arrays for all else."""

import itertools
import wave
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

from ndvq_tune.config.card import DataCard
from ndvq_tune.tokens.streams import Rows

Shape = tuple[int, ...]

_QUALITY = {"crf": "12", "preset": "medium"}  # H.264 that the eye does not tell from the frames
_FRAME_RATE = 25.0  # where none is known
_LOUDEST = 2**15 - 1  # of 16 bits
_DENOMINATOR = 1001  # of frame rates, such as 30000/1001


@dataclass(frozen=True)
class Form:
    """A kind of file.

    Attributes:
        suffix: Of its name.
        write: Writes rows ``(n, *S', C)``, in order, to a path. It is told the shape ``(*S, C)`` of all together, and
            how many there are in a second, if that is known.
    """

    suffix: str
    write: Callable[[Path, Iterator[Rows], Shape, float | None], None]


def form_of(type_: str, card: DataCard) -> Form:
    """What recordings are written as.

    Args:
        type_: ``data.type`` of the files that they came from.
        card: What the model was trained on.
    """
    if type_ == "image" and card.dtype != "uint8":
        return _ARRAY
    if type_ == "signal":
        return _FORMS["sound"] if card.sample_rate is not None else _ARRAY
    return _FORMS.get(type_, _ARRAY)


def _video(path: Path, rows: Iterator[Rows], shape: Shape, rate: float | None) -> None:
    height, width = shape[1:3]
    with av.open(str(path.absolute()), "w", format="mp4") as container:
        stream = container.add_stream("libx264", Fraction(rate or _FRAME_RATE).limit_denominator(_DENOMINATOR))
        stream.width, stream.height = width, height
        # Colour at half the size needs even sides.
        stream.pix_fmt = "yuv444p" if height % 2 or width % 2 else "yuv420p"
        stream.options = _QUALITY
        for block in rows:
            for pixels in block:
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(_rgb(pixels)), "rgb24")
                container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _image(path: Path, rows: Iterator[Rows], shape: Shape, rate: float | None) -> None:
    pixels = np.concatenate(list(rows))
    Image.fromarray(pixels[..., 0] if shape[-1] == 1 else pixels).save(path, format="PNG")


def _sound(path: Path, rows: Iterator[Rows], shape: Shape, rate: float | None) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(shape[-1])
        file.setsampwidth(2)
        file.setframerate(round(rate or 0))
        for block in rows:
            steps = np.rint(np.clip(block, -1, 1) * _LOUDEST).astype("<i2")
            file.writeframes(steps.tobytes())


def _array(path: Path, rows: Iterator[Rows], shape: Shape, rate: float | None) -> None:
    first = next(rows)
    array = np.lib.format.open_memmap(path, "w+", first.dtype, shape)
    start = 0
    for block in itertools.chain([first], rows):
        array[start : start + len(block)] = block
        start += len(block)
    array.flush()


def _rgb(pixels: Rows) -> Rows:
    return pixels.repeat(3, axis=-1) if pixels.shape[-1] == 1 else pixels


_ARRAY = Form(".npy", _array)
_FORMS: Mapping[str, Form] = {
    "video": Form(".mp4", _video),
    "image": Form(".png", _image),
    "sound": Form(".wav", _sound),
}
