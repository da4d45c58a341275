"""What every file format gives: an array whose header is known and whose values are read slab by slab."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[Any]
Index = tuple[slice, ...]
Order = Literal["C", "F"]

BLOCK_BYTES = 8 << 20
# A chunk that spans more samples than a block holds is unpacked once up to this size, and again for each slab beyond.
SLAB_BYTES = 64 << 20
# Neighbours on disk: where one sample is scattered over the file, slabs are made wide enough to read runs of this size.
_RUN_BYTES = 64 << 10


class Stored(Protocol):
    """An array in an open file."""

    @property
    def header(self) -> "Header":
        """Shape and type as in the file, in any byte order."""

    def slabs(self, axis: int | None) -> Iterator[Values]:
        """The values in pieces along an axis, or all at once; with the file's axes and type, each a copy."""

    def view(self) -> Values | None:
        """The values as a read-only ``np.memmap`` of the file, or None where they are packed."""


@dataclass(frozen=True)
class Contents:
    """What one file holds.

    Attributes:
        names: Lists the names of all arrays.
        get: The array of a name, or None. A file that cannot hold more than one ignores the name.
    """

    names: Callable[[], list[str]]
    get: Callable[[str], Stored | None]


@dataclass(frozen=True)
class Header:
    """What tells how an array lies in a run of bytes."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    order: Order = "C"

    @property
    def nbytes(self) -> int:
        """Size of the values in bytes."""
        return math.prod(self.shape) * self.dtype.itemsize


@dataclass(frozen=True)
class RawArray:
    """An array that lies in a file as it would in memory."""

    file: Path | IO[bytes]
    header: Header
    offset: int

    def slabs(self, axis: int | None) -> Iterator[Values]:
        """Copies of pieces along an axis."""
        chunk = 1 if axis is None else max(1, _RUN_BYTES // self.view().strides[axis])
        # A new map for each slab: pages of an old one would count as this process's memory until it goes.
        for index in slab_indices(self.header, axis, chunk):
            yield np.array(self.view()[index])

    def view(self) -> Values:
        """A memory map."""
        return np.memmap(self.file, self.header.dtype, "r", self.offset, self.header.shape, self.header.order)


def slab_indices(header: Header, axis: int | None, chunk: int) -> Iterator[Index]:
    """Cuts an array along an axis.

    Args:
        header: The array.
        axis: The axis to cut; None for the array as a whole.
        chunk: Steps along the axis that are stored together, so that reading one costs as much as reading all.

    Yields:
        Indices of slabs of at most 8 MiB, or of one whole chunk where that is no more than 64 MiB; at least one step.
    """
    if axis is None:
        yield ()
        return
    length = header.shape[axis]
    row_bytes = header.nbytes // length
    block, slab = (max(1, size // row_bytes) for size in (BLOCK_BYTES, SLAB_BYTES))
    step = max(block // chunk * chunk, min(chunk, slab))
    for start in range(0, length, step):
        yield (*(slice(None),) * axis, slice(start, min(start + step, length)))
