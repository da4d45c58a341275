"""Images: decoded, set upright, scaled and cropped."""

import struct
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import av
import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageFile, ImageOps, UnidentifiedImageError

from ndvq_tune.config.data import ImageData, Picture
from ndvq_tune.data.readers.video import scaled_size
from ndvq_tune.errors import DataError, message_of

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp"})
SETTINGS = ("channels", "bits", "resolution", "resize", "crop")

Pixels = npt.NDArray[np.unsignedinteger[Any]]
"""uint8 or uint16 of shape ``(H, W, C)``: grey, grey and alpha, RGB or RGBA; the greatest value is white, or opaque."""

_FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP")
# What Pillow raises where a file is damaged: its decoders check little before they index and unpack.
_DAMAGED = (OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, OverflowError, struct.error)
# EXIF orientation: whether rows and columns are swapped, then the direction of rows and of columns.
_UPRIGHT = {
    2: (False, 1, -1),
    3: (False, -1, -1),
    4: (False, -1, 1),
    5: (True, 1, 1),
    6: (True, 1, -1),
    7: (True, -1, -1),
    8: (True, -1, 1),
}


def read_image(path: Path, config: ImageData) -> Iterator[Pixels]:
    """Decodes an image; of a file with several, such as a TIFF of pages or an animation, the first.

    Images are turned as their EXIF orientation says. Colours are taken as they are, without colour management.

    Args:
        path: The image file.
        config: How it is scaled and cropped, its channels and bits; see ``fit``.

    Yields:
        One block of shape ``(1, H, W, C)``, uint8 for 8 bits and uint16 for 16.

    Raises:
        DataError: The file is empty, is not an image, is damaged or cut off, is too large for Pillow, or has neither 8
            nor 16 bits a value.
    """
    yield fit(_decode(path), config, config.bits)[None]


def _decode(path: Path) -> Pixels:
    try:
        if path.stat().st_size == 0:
            raise DataError(f"{path}: the file is empty")
        with warnings.catch_warnings():
            # The others are about odd metadata, which does not matter here.
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            # An open file, not its path: Pillow 13 maps plain grey TIFFs by path, and garbles them if they are rotated.
            with path.open("rb") as file, Image.open(file, formats=_FORMATS) as image:
                return _deep_colour(file, image) if _is_deep_colour(image) else to_pixels(image)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise DataError(f"{path}: the image has more than {Image.MAX_IMAGE_PIXELS} pixels; make it smaller") from error
    except UnidentifiedImageError as error:
        raise DataError(f"{path}: not an image with 8 or 16 bits ({', '.join(_FORMATS)})") from error
    except (av.FFmpegError, *_DAMAGED) as error:
        reason = getattr(error, "strerror", None) or message_of(error)
        raise DataError(f"{path}: not a readable image ({reason})") from error


def to_pixels(image: Image.Image) -> Pixels:
    """The pixels of a Pillow image, upright, with as many channels as it has; CMYK and palettes become RGB.

    Raises:
        ValueError: Its values have neither 8 nor 16 bits.
        OSError: It is damaged or cut off.
    """
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I;16"):
        return np.asarray(upright).astype(np.uint16)[..., None]
    if upright.mode in ("I", "F"):
        raise ValueError("values that are neither 8 nor 16 bits; save it with those, or as .npy for data.type: array")
    grey = upright.mode in ("1", "L", "LA", "La")
    plain = upright.convert(("L" if grey else "RGB") + ("A" if upright.has_transparency_data else ""))
    return _with_channel_axis(plain)


def _with_channel_axis(image: Image.Image) -> Pixels:
    pixels: Pixels = np.asarray(image)
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _is_deep_colour(image: ImageFile.ImageFile) -> bool:
    """Whether the image has 16 bits a colour, of which Pillow keeps 8."""
    tiff_bits = getattr(image, "tag_v2", {}).get(ExifTags.Base.BitsPerSample, ())
    return image.mode in ("RGB", "RGBA") and (16 in tiff_bits or any(";16" in str(tile.args) for tile in image.tile))


def _deep_colour(file: BinaryIO, image: ImageFile.ImageFile) -> Pixels:
    """All 16 bits of a colour image, by FFmpeg; it conceals damage, so the upper 8 have to be what Pillow finds."""
    swapped, down, right = _UPRIGHT.get(image.getexif().get(ExifTags.Base.Orientation, 1), (False, 1, 1))
    upper = np.asarray(ImageOps.exif_transpose(image))[..., :3]
    layout = "rgba64le" if image.has_transparency_data else "rgb48le"
    file.seek(0)
    with av.open(file) as container:
        found: Pixels | None = next((frame.to_ndarray(format=layout) for frame in container.decode(video=0)), None)
    if found is not None:
        upright = (found.swapaxes(0, 1) if swapped else found)[::down, ::right]
        if np.array_equal(upright[..., :3] >> 8, upper):
            return upright
    raise ValueError("16 bit colours stored in an unusual way; save it as PNG")


def fit(pixels: Pixels, config: Picture, bits: int) -> Pixels:
    """Scales, crops and converts an image.

    The shorter side is scaled to ``config.shorter_side`` (bicubic, widened when it shrinks, so that it does not alias),
    then the centre is cropped; with ``crop: random`` the scaled image stays whole, for cropping later. Where alpha is
    dropped, the image is laid over black. Grey is Rec. 601 luma, as in Pillow.

    Args:
        pixels: The image.
        config: ``channels``, ``resolution``, ``resize`` and ``crop``.
        bits: 8 or 16. Values are scaled by 257, which takes white to white.

    Returns:
        C-contiguous, of shape ``(H, W, config.channels)``, uint8 or uint16.
    """
    height, width = pixels.shape[:2]
    pixels = _resize(pixels, *scaled_size(width, height, config.shorter_side))
    if config.crop == "centre":
        top, left = ((side - config.resolution) // 2 for side in pixels.shape[:2])
        pixels = pixels[top : top + config.resolution, left : left + config.resolution]
    return np.ascontiguousarray(_with_channels(_with_bits(pixels, bits), config.channels))


def _resize(pixels: Pixels, width: int, height: int) -> Pixels:
    if pixels.shape[:2] == (height, width):
        return pixels
    if pixels.dtype == np.uint8:
        image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
        return _with_channel_axis(image.resize((width, height), Image.Resampling.BICUBIC))
    values = pixels.astype(np.float32)
    # As Pillow does with 8 bits: what is transparent must not colour its neighbours.
    has_alpha = pixels.shape[2] in (2, 4)
    if has_alpha:
        values[..., :-1] *= values[..., -1:] / 65535
    channels = (Image.fromarray(channel) for channel in np.moveaxis(values, 2, 0))
    resized = [np.asarray(channel.resize((width, height), Image.Resampling.BICUBIC)) for channel in channels]
    scaled = np.stack(resized, axis=2)
    if has_alpha:
        scaled[..., :-1] *= 65535 / np.maximum(scaled[..., -1:], 1)
    rounded: Pixels = np.clip(np.rint(scaled), 0, 65535).astype(np.uint16)
    return rounded


def _with_bits(pixels: Pixels, bits: int) -> Pixels:
    if bits == 16 and pixels.dtype == np.uint8:
        return pixels.astype(np.uint16) * 257
    if bits == 8 and pixels.dtype == np.uint16:
        return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return pixels


def _with_channels(pixels: Pixels, channels: int) -> Pixels:
    opaque = np.iinfo(pixels.dtype).max
    if pixels.shape[2] in (1, 3):
        pixels = np.concatenate([pixels, np.full_like(pixels[..., :1], opaque)], axis=2)
    colour, alpha = pixels[..., :-1], pixels[..., -1:]
    if channels == 4:
        return np.concatenate([np.broadcast_to(colour, (*colour.shape[:2], 3)), alpha], axis=2)
    # 32 bits without a sign hold every product of two 16 bit values, and half of one for rounding.
    wide = (colour.astype(np.uint32) * alpha + np.uint32(opaque // 2)) // np.uint32(opaque)
    if channels == 1 and wide.shape[2] == 3:
        # 0.299, 0.587 and 0.114 over 2^16: Pillow's integers, so that both round alike.
        wide = (wide @ np.array([[19595], [38470], [7471]], np.uint32) + np.uint32(0x8000)) >> np.uint32(16)
    return np.broadcast_to(wide, (*wide.shape[:2], channels)).astype(pixels.dtype)
