"""The arrays in npy and npz files."""

import struct
import tempfile
import tokenize
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfileobj
from typing import IO

import numpy as np
from numpy.lib import format as npy

from ndvq_tune.data.readers.array_contents import Contents, Header, Index, RawArray, Values, slab_indices

# Version 3 differs from 2 only in the names of fields, and arrays with fields are of no use here.
_READ_HEADER = {
    (1, 0): npy.read_array_header_1_0,
    (2, 0): npy.read_array_header_2_0,
    (3, 0): npy.read_array_header_2_0,
}


@contextmanager
def open_npy(path: Path) -> Iterator[Contents]:
    """Opens an npy file.

    Raises:
        ValueError: It is none, or is cut off.
    """
    with path.open("rb") as file:
        header = _read_header(file)
        offset = file.tell()
    _check_size(header, path.stat().st_size - offset)
    yield Contents(names=lambda: [""], get=lambda name: RawArray(path, header, offset))


@contextmanager
def open_npz(path: Path) -> Iterator[Contents]:
    """Opens an npz file; its arrays raise ``ValueError`` and zipfile's errors where they are damaged."""
    with zipfile.ZipFile(path) as archive:
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist() if _is_array(info)}

        def get(name: str) -> ZippedArray | None:
            return _zipped(path, archive, members[name]) if name in members else None

        yield Contents(names=lambda: list(members), get=get)


@dataclass(frozen=True)
class ZippedArray:
    """An array in an npz file, compressed or not."""

    path: Path
    archive: zipfile.ZipFile
    member: zipfile.ZipInfo
    header: Header
    offset: int  # of the values in the unpacked member

    def slabs(self, axis: int | None) -> Iterator[Values]:
        """Pieces along an axis, unpacked on the way."""
        slowest = 0 if self.header.order == "C" else len(self.header.shape) - 1
        with self.archive.open(self.member) as file:
            if axis is None or axis == slowest:
                file.read(self.offset)
                for index in slab_indices(self.header, axis, chunk=1):
                    yield _read(file, self.header, index)
            else:
                # Every slab would need the whole stream; unpacked in a file on disk it can be cut along any axis.
                with tempfile.TemporaryFile() as unpacked:
                    copyfileobj(file, unpacked)
                    yield from RawArray(unpacked, self.header, self.offset).slabs(axis)

    def view(self) -> Values | None:
        """A memory map of a stored member."""
        if self.member.compress_type != zipfile.ZIP_STORED:
            return None
        with self.path.open("rb") as file:
            file.seek(self.member.header_offset)
            name_length, extra_length = struct.unpack("<26x2H", file.read(30))
        start = self.member.header_offset + 30 + name_length + extra_length
        return RawArray(self.path, self.header, start + self.offset).view()


def _is_array(info: zipfile.ZipInfo) -> bool:
    return info.filename.endswith(".npy")


def _zipped(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> ZippedArray:
    with archive.open(member) as file:
        header = _read_header(file)
        offset = file.tell()
    _check_size(header, member.file_size - offset)
    return ZippedArray(path, archive, member, header, offset)


def _read_header(file: IO[bytes]) -> Header:
    version = npy.read_magic(file)
    if version not in _READ_HEADER:
        raise ValueError(f"npy version {version[0]}.{version[1]} is not known")
    try:
        shape, fortran, dtype = _READ_HEADER[version](file)
    except tokenize.TokenError as error:
        raise ValueError(f"the header is damaged: {error}") from error
    return Header(shape, dtype, "F" if fortran else "C")


def _check_size(header: Header, size: int) -> None:
    if size < header.nbytes:
        raise ValueError(f"cut off: {size} of {header.nbytes} bytes of values are there")


def _read(file: IO[bytes], header: Header, index: Index) -> Values:
    """The next values of a stream: those of ``index``, which cuts the slowest axis or nothing."""
    shape = [len(range(size)[part]) for size, part in zip(header.shape, index, strict=False)]
    values = np.empty((*shape, *header.shape[len(shape) :]), header.dtype, header.order)
    left = values.reshape(-1, order=header.order).view(np.uint8).data
    while left:
        n = file.readinto(left)  # type: ignore[attr-defined]
        if not n:
            raise EOFError("cut off")
        left = left[n:]
    return values
