"""A split as samples: windows over decoded recordings, cut out when they are asked for, and what their values mean."""

import mmap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from ndvq_tune.data.cache.source import Rows

Indices = Sequence[int] | npt.NDArray[np.int64] | slice


@dataclass(frozen=True)
class Window:
    """How samples are cut from recordings ``(length, *row)``.

    Attributes:
        length: Rows in a sample; None for one row without an axis of its own: an image, or an array.
        stride: Rows from the start of one sample to the next.
        step: Rows from one to the next within a sample.
        crop: Height and width of what is cut from each frame, the last two axes before the channels.

    Example:
        >>> Window(length=8, stride=4, step=2).span  # frames 0, 2, ..., 14
        15
    """

    length: int | None = None
    stride: int = 1
    step: int = 1
    crop: int | None = None

    @property
    def span(self) -> int:
        """Rows from a sample's first to its last, both counted."""
        return ((self.length or 1) - 1) * self.step + 1


@dataclass(frozen=True)
class Scale:
    """Which stored values become 0 and 1, between which models see them.

    Attributes:
        low: The value that becomes 0.
        high: The value that becomes 1.
    """

    low: float
    high: float

    @classmethod
    def of(cls, dtype: np.dtype[np.generic], minimum: float, maximum: float) -> "Scale":
        """0 to 255 for bytes; for every other type from the least to the greatest value of the training data.

        Args:
            dtype: Type of the stored values.
            minimum: The least stored value of the training data.
            maximum: The greatest.
        """
        return cls(0, 255) if dtype == np.uint8 else cls(minimum, maximum)

    def about_zero(self) -> "Scale":
        """A range about 0, the silence of a sound, that holds this one; this one itself if 0 is not inside.

        Example:
            >>> Scale(-0.5, 0.2).about_zero()
            Scale(low=-0.5, high=0.5)
        """
        reach = max(-self.low, self.high)
        return Scale(-reach, reach) if self.low < 0 < self.high else self

    def to_unit(self, batch: torch.Tensor, device: torch.device) -> torch.Tensor:
        """A batch of stored values on a device, as float32 in [0, 1]; test data may lie outside.

        It travels in its own type, which is smaller, and is converted where it is used.

        Example:
            >>> Scale(0, 255).to_unit(torch.tensor([0, 51, 255], dtype=torch.uint8), torch.device("cpu"))
            tensor([0.0000, 0.2000, 1.0000])
        """
        there = batch.to(device, non_blocking=True)
        # Only double precision keeps small differences between large values; every other type fits float32.
        floats = there.clone() if there.dtype == torch.float64 else there.float()
        if self.low:
            floats = floats - self.low
        return floats.div_(self.high - self.low).float()


class SampleSet:
    """Samples of one shape; no sample spans two recordings.

    ``samples[[4, 0]]`` is a tensor of the stored type and of shape ``(2, C, *S)``. Its memory is laid out channels
    last, as the rows are on disk, which is also what convolutions are fastest on; nothing is transposed.

    Example:
        Of a video of 20 frames, clips of 8 that begin every 4 frames:

        >>> samples = SampleSet([np.zeros((20, 32, 32, 3), np.uint8)], Window(length=8, stride=4), Scale(0, 255))
        >>> len(samples), samples.shape
        (4, (3, 8, 32, 32))
        >>> samples[[3, 0]].shape
        torch.Size([2, 3, 8, 32, 32])
    """

    def __init__(
        self, recordings: Sequence[Rows], window: Window, scale: Scale, maps: Sequence[mmap.mmap] = ()
    ) -> None:
        """Lays windows over recordings.

        Args:
            recordings: Each ``(length, *row)``, channels last; rows are of the same shape, or, where frames are
                cropped, of frames that are large enough.
            window: How to cut.
            scale: What the values mean.
            maps: The file that each recording lies in, if they lie in files.
        """
        self.window, self.scale = window, scale
        self._recordings, self._maps = recordings, maps
        counts = [max(0, (len(rows) - window.span) // window.stride + 1) for rows in recordings]
        self._ends = np.cumsum(counts, dtype=np.int64)
        self._begins = self._ends - counts

    def __len__(self) -> int:
        return int(self._ends[-1])

    @property
    def by_recording(self) -> list[range]:
        """The numbers of the samples of each recording, in the order of its rows."""
        return [range(begin, end) for begin, end in zip(self._begins.tolist(), self._ends.tolist(), strict=True)]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape ``(C, *S)`` of one sample."""
        *size, channels = self._layout
        return (channels, *size)

    @property
    def _layout(self) -> tuple[int, ...]:
        """Shape ``(*S, C)`` of one sample in memory."""
        *size, channels = self._recordings[0].shape[1:]
        if self.window.crop is not None:
            size[-2:] = [self.window.crop] * 2
        return (*(() if self.window.length is None else (self.window.length,)), *size, channels)

    def __getitem__(self, indices: Indices) -> torch.Tensor:
        return self.read(np.arange(len(self))[indices])

    def read(
        self, indices: npt.NDArray[np.int64], crops: npt.NDArray[np.float64] | None = None, pin_memory: bool = False
    ) -> torch.Tensor:
        """Copies samples out of the map, into memory of their own.

        Args:
            indices: Which.
            crops: Where each is cut from its frames, ``(B, 2)`` of shares in [0, 1) of the way down and to the right;
                from the centre if not given.
            pin_memory: Whether a GPU shall be able to fetch the batch by itself.

        Returns:
            ``(B, C, *S)`` of the stored type.
        """
        batch = torch.empty((len(indices), *self._layout), dtype=self.dtype, pin_memory=pin_memory)
        target = batch.numpy()
        owners = np.searchsorted(self._ends, indices, side="right")
        firsts = (indices - self._begins[owners]) * self.window.stride
        for number, (owner, first) in enumerate(zip(owners.tolist(), firsts.tolist(), strict=True)):
            rows = self._recordings[owner][first : first + self.window.span : self.window.step]
            if self.window.crop is not None:
                rows = _cropped(rows, self.window.crop, None if crops is None else crops[number])
            target[number] = rows[0] if self.window.length is None else rows
        release(self._maps[owner] for owner in np.unique(owners) if self._maps)
        return batch.movedim(-1, 1)

    @property
    def dtype(self) -> torch.dtype:
        """Type of the stored values."""
        return torch.from_numpy(np.empty(0, self._recordings[0].dtype)).dtype


def release(maps: Iterable[mmap.mmap]) -> None:
    """Lets go of the pages of mapped files, so that a process does not grow with the data that it has read.

    They stay in the system's cache as long as there is memory for them, and the next access gets them back. One access
    may map two megabytes, so this is called often.
    """
    for found in set(maps):
        found.madvise(mmap.MADV_DONTNEED)


def _cropped(rows: Rows, size: int, share: npt.NDArray[np.float64] | None) -> Rows:
    room = np.array(rows.shape[-3:-1]) - size
    top, left = room // 2 if share is None else (share * (room + 1)).astype(int)
    return rows[..., top : top + size, left : left + size, :]
