"""Made-up photographs, and what Pillow makes of them."""

import io

import numpy as np
from PIL import Image


def photographs(channels: int, count: int = 3, height: int = 26, width: int = 34) -> np.ndarray:
    """Smooth pictures ``(N, C, H, W)`` of whole bytes."""
    rng = np.random.default_rng(channels)
    y, x = np.mgrid[:height, :width]
    waves = [
        np.sin(rng.uniform(0.1, 0.4) * x + rng.uniform(0.1, 0.4) * y + rng.uniform(0, 6))
        for _ in range(count * channels)
    ]
    noisy = np.array(waves).reshape(count, channels, height, width) + rng.normal(
        0, 0.03, (count, channels, height, width)
    )
    return (np.rint(127.5 + 80 * noisy).clip(0, 255) / 255).astype(np.float32)


def saved(picture: np.ndarray, kind: str, quality: int) -> bytes:
    """A picture ``(C, H, W)`` as a whole file, as anyone would save it."""
    pixels = np.rint(255 * picture).astype(np.uint8).transpose(1, 2, 0)
    file = io.BytesIO()
    Image.fromarray(pixels.squeeze(-1) if len(picture) == 1 else pixels).save(file, kind, quality=quality)
    return file.getvalue()


def shown(file: bytes, channels: int) -> np.ndarray:
    """What a file shows, ``(C, H, W)`` in [0, 1]."""
    mode = {1: "L", 3: "RGB"}[channels]
    pixels = np.asarray(Image.open(io.BytesIO(file)).convert(mode), np.float64) / 255
    return pixels.reshape(*pixels.shape[:2], channels).transpose(2, 0, 1)
