"""Sample images: patches of two photographs, and frames of the sample clips."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import av
from av.video.reformatter import Interpolation
from PIL import Image

from ndvq_tune.data.cache.source import Progress
from ndvq_tune.data.sample_data import installed
from ndvq_tune.data.sample_data.video import sample_size, train_frames

PATCH = 96  # pixels
EVERY = 4  # frames: neighbours are nearly alike
GAP = 12  # frames, half a second between training and test


def make(folder: Path, progress: Progress) -> None:
    """Fills ``folder/train`` and ``folder/test`` with PNG files.

    Raises:
        DataError: The photographs or the clips are not installed.
    """
    sources = [(path, patches) for path in installed.photographs()] + [(path, frames) for path in installed.clips()]
    for done, (path, images) in enumerate(sources):
        progress("Cutting sample images", done, len(sources))
        for split, name, image in images(path):
            image.save(folder / split / f"{path.stem}_{name}.png")
    progress("Cutting sample images", len(sources), len(sources))


def patches(path: Path) -> Iterator[tuple[str, str, Image.Image]]:
    """Cuts a photograph into squares of 96 pixels, none of which overlap.

    Yields:
        ``"train"`` or ``"test"``, a name, and the square. Those for testing are the row at the lower edge.
    """
    with Image.open(path) as photograph:
        bottom = photograph.height - PATCH
        tops = [(top, "train") for top in range(0, bottom - PATCH + 1, PATCH)] + [(bottom, "test")]
        for (top, split), left in itertools.product(tops, range(0, photograph.width - PATCH + 1, PATCH)):
            yield split, f"x{left:03}_y{top:03}", photograph.crop((left, top, left + PATCH, top + PATCH))


def frames(path: Path) -> Iterator[tuple[str, str, Image.Image]]:
    """Takes every fourth frame of a video, scaled to a shorter side of 128 pixels.

    Yields:
        ``"train"`` or ``"test"``, a name, and the frame. Test frames are those of the test part of the sample videos;
        training frames end half a second before.
    """
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        first_test = train_frames(stream.frames)
        split = dict.fromkeys(range(0, first_test - GAP, EVERY), "train")
        split |= dict.fromkeys(range(first_test, stream.frames, EVERY), "test")
        width, height = sample_size(stream)
        for index, frame in enumerate(container.decode(stream)):
            if index in split:
                image = frame.to_image(width=width, height=height, interpolation=Interpolation.BICUBIC)
                yield split[index], f"frame{index:03}", image
