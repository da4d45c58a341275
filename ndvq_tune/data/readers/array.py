"""Arrays in files: npy, npz, HDF5 and zarr."""

import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ndvq_tune.data.readers.array_chunked import open_hdf5, open_zarr
from ndvq_tune.data.readers.array_contents import BLOCK_BYTES, Contents, Stored, Values
from ndvq_tune.data.readers.array_npy import open_npy, open_npz
from ndvq_tune.errors import DataError, message_of
from ndvq_tune.problems import nearest

if TYPE_CHECKING:
    from ndvq_tune.config.data import ArrayData

_OPEN: dict[str, Callable[[Path], AbstractContextManager[Contents]]] = {
    ".npy": open_npy,
    ".npz": open_npz,
    ".h5": open_hdf5,
    ".hdf5": open_hdf5,
    ".zarr": open_zarr,
}
SUFFIXES = frozenset(_OPEN)
SETTINGS = ("axes", "key")

# What NumPy, zipfile, h5py and zarr raise for files that are damaged or not theirs.
_UNREADABLE = (
    OSError,
    ValueError,
    TypeError,
    KeyError,
    RuntimeError,
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)
_SHOWN_NAMES = 10


def read_array(path: Path, config: "ArrayData") -> Iterator[Values]:
    """Reads an array block by block.

    Args:
        path: The file, or the zarr folder.
        config: The axes and the name of the array.

    Yields:
        Blocks of shape ``(n, *S, C)`` in the file's type and native byte order, of at most 8 MiB or one sample.

    Raises:
        DataError: The file is damaged, cut off or holds no such array; the axes do not fit; the values are neither
            bool, integer nor float; one is NaN or infinite.
    """
    with _open(path, config) as (stored, axes):
        start = 0
        for slab in stored.slabs(axes.index("N") if "N" in axes else None):
            _check_finite(path, slab, axes, start)
            rows = _rows(slab, axes)
            step = max(1, BLOCK_BYTES // rows[0].nbytes)
            for first in range(0, len(rows), step):
                yield np.ascontiguousarray(rows[first : first + step], stored.header.dtype.type)
            start += len(rows)


def mapped(path: Path, config: "ArrayData") -> Values | None:
    """What ``read_array`` yields, as a view of the file itself.

    Args:
        path: The file, or the zarr folder.
        config: The axes and the name of the array.

    Returns:
        A read-only array of shape ``(N, *S, C)`` whose ``base`` is an ``np.memmap``; its strides are any, its values
        may be unaligned, and they are not checked for NaN. None where the file is packed, in chunks, or in the other
        byte order.

    Raises:
        DataError: As ``read_array``, as far as the header tells.
    """
    with _open(path, config) as (stored, axes):
        view = stored.view() if stored.header.dtype.isnative else None
        return None if view is None else np.asarray(_rows(view, axes))


def sample_shape_of(path: Path, config: "ArrayData") -> tuple[int, ...]:
    """Shape ``(C, *S)`` of one sample, from the header alone; raises as ``mapped``."""
    with _open(path, config) as (stored, axes):
        _, *spatial, channels = _rows(
            np.broadcast_to(np.empty((), stored.header.dtype), stored.header.shape), axes
        ).shape
        return (channels, *spatial)


@contextmanager
def _open(path: Path, config: "ArrayData") -> Iterator[tuple[Stored, str]]:
    try:
        if not path.is_dir() and path.stat().st_size == 0:
            raise DataError(f"{path}: the file is empty")
        with _OPEN[path.suffix.lower()](path) as contents:
            stored = _select(path, contents, config.key)
            _check_type(path, stored)
            yield stored, _axes(path, stored.header.shape, config.axes)
    except BlockingIOError as error:
        raise DataError(f"{path}: another program has the file open for writing") from error
    except _UNREADABLE as error:
        reason = getattr(error, "strerror", None) or message_of(error)
        raise DataError(f"{path}: not a readable array ({reason})") from error


def _select(path: Path, contents: Contents, key: str | None) -> Stored:
    names = contents.names() if key is None else [key]
    stored = contents.get(names[0]) if len(names) == 1 else None
    if stored is not None:
        return stored
    names = contents.names()
    if not names:
        raise DataError(f"{path}: there is no array in it")
    shown = ", ".join(names[:_SHOWN_NAMES]) + (f" and {len(names) - _SHOWN_NAMES} more" * (len(names) > _SHOWN_NAMES))
    if key is None:
        raise DataError(f"{path}: holds {len(names)} arrays; name one in data.key: {shown}")
    raise DataError(f"{path}: holds no array {key!r}{nearest(key, names)}; data.key may be: {shown}")


def _check_type(path: Path, stored: Stored) -> None:
    if stored.header.dtype.kind not in "biuf" or stored.header.dtype.itemsize > 8:
        raise DataError(
            f"{path}: values of type {stored.header.dtype}; allowed: bool, integers, float16, float32, float64"
        )


def _axes(path: Path, shape: tuple[int, ...], axes: str | None) -> str:
    """A letter for each axis; those that were not given are N, C and small letters."""
    if axes is None and len(shape) >= 3:
        axes = "NC" + "".join(chr(ord("a") + axis) for axis in range(len(shape) - 2))
    if axes is None or len(axes) != len(shape):
        given = "at least 3 are needed" if axes is None else f"data.axes is {axes}"
        raise DataError(
            f"{path}: shape {shape} has {len(shape)} axes, and {given}; data.axes: a capital letter for each axis, "
            "N for samples, C for channels, any other for the rest, such as NCHW, NTHWC or HW"
        )
    if 0 in shape:
        raise DataError(f"{path}: shape {shape} holds no values")
    return axes


def _rows(values: Values, axes: str) -> Values:
    """A view of shape ``(N, *S, C)``."""
    if "N" not in axes:
        values, axes = values[None], "N" + axes
    if "C" not in axes:
        values, axes = values[..., None], axes + "C"
    spatial = (axis for axis, letter in enumerate(axes) if letter not in "NC")
    return values.transpose(axes.index("N"), *spatial, axes.index("C"))


def _check_finite(path: Path, slab: Values, axes: str, start: int) -> None:
    if slab.dtype.kind != "f":
        return
    finite = np.isfinite(slab)
    if not finite.all():
        index = [int(i) for i in np.unravel_index(int(finite.argmin()), slab.shape)]
        value = slab[tuple(index)]
        if "N" in axes:
            index[axes.index("N")] += start
        raise DataError(f"{path}: {value} at index {index}; replace such values, or leave the samples out")
