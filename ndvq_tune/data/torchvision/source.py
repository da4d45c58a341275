"""Torchvision's data sets as a source."""

import hashlib
import importlib.metadata
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ndvq_tune.config import TorchvisionData
from ndvq_tune.data.cache.source import Content, Item, Progress, Rows, silent
from ndvq_tune.data.readers.image import Pixels, fit, to_pixels
from ndvq_tune.data.torchvision.opening import MISSING, needs_package, opened
from ndvq_tune.errors import DataError, UnavailableError, message_of

_SETTINGS = ("channels", "resolution", "resize", "crop")
# What they raise for a sample that is missing or damaged.
_UNREADABLE = (*MISSING, ValueError, TypeError, LookupError, SyntaxError)


@dataclass(frozen=True)
class TorchvisionSource:
    """One split of a data set of torchvision.

    Attributes:
        config: The data set.
        subset: ``train`` or ``test``; None where ``data.split`` divides it.
    """

    config: TorchvisionData
    subset: str | None

    @property
    def noun(self) -> str:
        """What the samples are called."""
        return "images" if self.config.clip_length is None else "videos"

    @property
    def place(self) -> str:
        """The class, the folder and the split, for messages."""
        subset = "" if self.subset is None else f" ({self.subset})"
        return f"torchvision's {self.config.name} in {self.config.path}{subset}"

    @property
    def settings(self) -> dict[str, Any]:
        """The configuration's values that decoded rows depend on."""
        return self.config.model_dump(mode="json", include=set(_SETTINGS))

    def items(self, progress: Progress = silent) -> list[Item]:
        """All samples by number; see ``Source``. Downloads the data set if it is not there.

        Their content is known by where they come from, not by their bytes: torchvision checks what it downloads.

        Raises:
            DataError: There is no such data set, it does not take the options, or it is not there and cannot be
                downloaded.
        """
        count = len(self._data)
        if count == 0:
            raise DataError(f"{self.place}: there are no {self.noun} in it")
        origin = [
            importlib.metadata.version("torchvision"),
            self.config.name,
            str(Path(self.config.path).expanduser().absolute()),
            self._options,
            self.subset,
        ]
        size = self.config.resolution**2 * self.config.channels
        return [
            Item(f"{index:0{len(str(count - 1))}}", size, hashlib.sha256(f"{index} {origin}".encode()).hexdigest()[:32])
            for index in range(count)
        ]

    @contextmanager
    def read(self, item: Item) -> Iterator[Content]:
        """One sample, an image being one frame: a block of uint8 of shape ``(n, H, W, C)``.

        Raises:
            DataError: It cannot be read, is a video where an image is expected, or the other way round.
            UnavailableError: Its class needs another package, as those do that decode videos.
        """
        try:
            frames = _frames(self._data[int(item.name)], self.config.clip_length is not None)
            block = np.stack([fit(frame, self.config, 8) for frame in frames])
        except ImportError as error:
            raise UnavailableError(f"{self.place} {needs_package(error)}") from error
        except _UNREADABLE as error:
            raise DataError(f"{self.path_of(item)}: {message_of(error)}") from error
        yield Content(iter([block]))

    def mapped(self, item: Item) -> Rows | None:
        """None: samples have to be decoded."""

    def path_of(self, item: Item) -> str:
        """The data set and the number of a sample, for messages."""
        return f"{self.place}, number {int(item.name)}"

    @property
    def _options(self) -> str:
        try:
            return json.dumps(self.config.options, sort_keys=True)
        except TypeError as error:
            raise DataError(f"data.options: {error}; allowed: what YAML can hold") from error

    @property
    def _data(self) -> Any:
        return opened(self.config.name, self.config.path, self._options, self.subset)


def _frames(sample: Any, is_video: bool) -> list[Pixels]:
    """A sample's frames ``(H, W, C)``. What else a data set gives, such as a label, comes after the image or video."""
    picture = sample[0] if isinstance(sample, tuple | list) else sample
    if isinstance(picture, Image.Image):
        frames = to_pixels(picture)
    else:
        values = np.asarray(picture)
        values = values[None] if values.ndim == 2 else values
        if values.dtype not in (np.uint8, np.uint16) or values.ndim not in (3, 4) or values.shape[-3] > 4:
            raise ValueError(f"neither an image (C, H, W) nor a video (T, C, H, W): {values.dtype} {values.shape}")
        frames = np.moveaxis(values, -3, -1)
    if is_video != (frames.ndim == 4):
        raise ValueError(
            "an image, not a video; leave data.clip_length out" if is_video else "a video; set data.clip_length"
        )
    return list(frames if is_video else frames[None])
