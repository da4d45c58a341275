"""The arrays in HDF5 files and zarr folders."""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ndvq_tune.data.readers.array_contents import Contents, Header, RawArray, Values, slab_indices
from ndvq_tune.errors import UnavailableError

_ZARR_METADATA = ("zarr.json", ".zarray", ".zgroup")


@contextmanager
def open_hdf5(path: Path) -> Iterator[Contents]:
    """Opens an HDF5 file; h5py's errors come through.

    Raises:
        DataError: h5py is not installed.
    """
    h5py = _library("h5py", path)

    # Locks are kept to where there are any; some network file systems have none.
    with h5py.File(path, "r", locking="best-effort") as file:

        def names() -> list[str]:
            found: list[str] = []
            file.visititems(lambda name, node: found.append(name) if isinstance(node, h5py.Dataset) else None)
            return found

        def get(name: str) -> ChunkedArray | None:
            node = file.get(name)
            return _hdf5_array(h5py, node) if isinstance(node, h5py.Dataset) else None

        yield Contents(names, get)


@contextmanager
def open_zarr(path: Path) -> Iterator[Contents]:
    """Opens a zarr folder, of version 2 or 3; zarr's errors come through.

    Raises:
        DataError: zarr is not installed.
        ValueError: There is no metadata.
    """
    zarr = _library("zarr", path)
    if not any((path / name).exists() for name in _ZARR_METADATA):
        raise ValueError(f"a zarr folder has a file {' or '.join(_ZARR_METADATA)} in it")
    root = zarr.open(zarr.storage.LocalStore(path, read_only=True), mode="r")
    if isinstance(root, zarr.Array):
        yield Contents(names=lambda: [""], get=lambda name: _zarr_array(root))
        return

    def names() -> list[str]:
        return [name for name, node in root.members(max_depth=None) if isinstance(node, zarr.Array)]

    def get(name: str) -> ChunkedArray | None:
        node = root.get(name)
        return _zarr_array(node) if isinstance(node, zarr.Array) else None

    yield Contents(names, get)


@dataclass(frozen=True)
class ChunkedArray:
    """An array that its library reads.

    Attributes:
        data: What the library gives for it.
        header: Its shape and type.
        chunks: Steps along each axis that are stored together.
        raw: Where the file holds it, if that is in one piece and as it is in memory.
    """

    data: Any
    header: Header
    chunks: tuple[int, ...]
    raw: RawArray | None = None

    def slabs(self, axis: int | None) -> Iterator[Values]:
        """Pieces along an axis, in whole chunks where these are not too large."""
        if self.raw is not None:
            yield from self.raw.slabs(axis)
            return
        for index in slab_indices(self.header, axis, 1 if axis is None else self.chunks[axis]):
            yield np.asarray(self.data[index])

    def view(self) -> Values | None:
        """A memory map, where the array is in one piece."""
        return None if self.raw is None else self.raw.view()


def _library(name: str, path: Path) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise UnavailableError(f"{path}: needs {name}: pip install 'ndvq-tune[array]'") from error


def _hdf5_array(h5py: Any, data: Any) -> ChunkedArray:
    header = Header(data.shape or (), data.dtype)
    # A data set behind an external link is in another file. Types such as 12 of 16 bits are not what NumPy has, and
    # data sets that were never written have no place in the file.
    in_one_piece = (
        data.id.get_create_plist().get_layout() == h5py.h5d.CONTIGUOUS
        and data.external is None
        and data.id.get_storage_size() == header.nbytes
        and data.id.get_type() == h5py.h5t.py_create(data.dtype, logical=True)
    )
    raw = RawArray(Path(data.file.filename), header, data.id.get_offset()) if in_one_piece else None
    return ChunkedArray(data, header, data.chunks or (1,) * len(header.shape), raw)


def _zarr_array(data: Any) -> ChunkedArray:
    return ChunkedArray(data, Header(data.shape, data.dtype), data.chunks)
