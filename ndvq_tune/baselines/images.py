"""JPEG and WebP, by Pillow."""

import io
from functools import partial
from typing import Any

import numpy as np
from PIL import Image, features

from ndvq_tune.baselines.codec import Codec, Pixels, Values, from_pixels, to_pixels

QUALITIES = range(1, 101)
TABLES_APART = 2  # libjpeg's "abbreviated" image, whose tables were sent before
JFIF, RIFF = 18, 20  # bytes of the headers that say what kind of file it is, and how large


def image_codecs() -> tuple[Codec, ...]:
    """Those that this build of Pillow has."""
    codecs = {"jpg": Codec("JPEG", QUALITIES, _jpeg), "webp": Codec("WebP", QUALITIES, _webp)}
    return tuple(codec for feature, codec in codecs.items() if features.check(feature))


def _jpeg(samples: Values, quality: int) -> tuple[int, Values]:
    """Without its header, and the tables that all images of a quality share; they would be most of a small file."""
    save = partial(_saved, format="JPEG", quality=quality)
    pictures = [_picture(pixels) for pixels in to_pixels(samples)]
    size = sum(len(save(picture, streamtype=TABLES_APART)) - JFIF for picture in pictures)
    return 8 * size, from_pixels([_opened(save(picture), picture.mode) for picture in pictures])


def _webp(samples: Values, quality: int) -> tuple[int, Values]:
    """Without its headers. There is no grey WebP: grey is coded as colour."""
    pictures = [_picture(pixels) for pixels in to_pixels(samples)]
    files = [_saved(picture, format="WEBP", quality=quality) for picture in pictures]
    size = sum(len(file) - RIFF for file in files)
    pairs = zip(files, pictures, strict=True)
    return 8 * size, from_pixels([_opened(file, picture.mode) for file, picture in pairs])


def _picture(pixels: Pixels) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels))


def _saved(picture: Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, **options)
    return file.getvalue()


def _opened(file: bytes, mode: str) -> Pixels:
    pixels = np.asarray(Image.open(io.BytesIO(file)).convert(mode))
    return pixels[..., None] if pixels.ndim == 2 else pixels
