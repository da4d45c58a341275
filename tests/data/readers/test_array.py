import io
import os
import struct
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ndvq_tune.config.data import ArrayData
from ndvq_tune.data.readers.array import SUFFIXES, mapped, read_array, sample_shape_of
from ndvq_tune.data.readers.array_contents import slab_indices
from ndvq_tune.errors import DataError

h5py = pytest.importorskip("h5py")
zarr = pytest.importorskip("zarr")

Array = np.ndarray[Any, Any]
Write = Callable[[Path, Array], None]


def config(**settings: Any) -> ArrayData:
    return ArrayData(**settings)


def noise(shape: tuple[int, ...] = (7, 2, 5, 3), dtype: str = "f4") -> Array:
    values = np.random.default_rng(0).normal(0, 30, shape)
    return (values > 0) if dtype == "?" else np.abs(values).astype(dtype)


def read(path: Path, **settings: Any) -> Array:
    blocks = list(read_array(path, config(**settings)))
    assert all(block.flags.c_contiguous and len(block) for block in blocks)
    assert all(block.dtype.isnative for block in blocks)
    assert len({(block.shape[1:], block.dtype) for block in blocks}) == 1
    return np.concatenate(blocks)


def write_npy(path: Path, values: Array) -> None:
    np.save(path, values)


def write_npy_fortran(path: Path, values: Array) -> None:
    with path.open("wb") as file:  # np.save would add a suffix to one in capitals
        np.save(file, np.asfortranarray(values))


def write_npz(path: Path, values: Array) -> None:
    np.savez(path, images=values)


def write_npz_fortran(path: Path, values: Array) -> None:
    np.savez(path, images=np.asfortranarray(values))


def write_npz_packed(path: Path, values: Array) -> None:
    np.savez_compressed(path, images=values)


def write_npz_packed_fortran(path: Path, values: Array) -> None:
    np.savez_compressed(path, images=np.asfortranarray(values))


def write_hdf5(path: Path, values: Array) -> None:
    with h5py.File(path, "w", userblock_size=512) as file:
        file["group/images"] = values


def write_hdf5_chunked(path: Path, values: Array) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("images", data=values, chunks=tuple(min(2, n) for n in values.shape), compression="gzip")


def write_hdf5_external(path: Path, values: Array) -> None:
    with h5py.File(path, "w") as file:
        external = [(str(path.with_suffix(".bin")), 0, h5py.h5f.UNLIMITED)]
        file.create_dataset("images", data=values, external=external)


def write_zarr2(path: Path, values: Array) -> None:
    zarr.create_array(path, data=values, chunks=tuple(-(-n // 2) for n in values.shape), zarr_format=2)


def write_zarr3(path: Path, values: Array) -> None:
    zarr.open_group(path, mode="w").create_array("group/images", data=values, chunks=values.shape)


def write_zarr_sharded(path: Path, values: Array) -> None:
    zarr.create_array(path, data=values, chunks=(2, *values.shape[1:]), shards=(4, *values.shape[1:]))


MAPPED: list[tuple[str, Write]] = [
    ("a.npy", write_npy),
    ("b été.NPY", write_npy_fortran),
    ("c.npz", write_npz),
    ("d.npz", write_npz_fortran),
    ("e.h5", write_hdf5),
]
PACKED: list[tuple[str, Write]] = [
    ("f.npz", write_npz_packed),
    ("g.npz", write_npz_packed_fortran),
    ("h.hdf5", write_hdf5_chunked),
    ("i.h5", write_hdf5_external),
    ("j.zarr", write_zarr2),
    ("k.zarr", write_zarr3),
    ("l.zarr", write_zarr_sharded),
]
ALL = MAPPED + PACKED
IDS = {"ids": lambda value: getattr(value, "__name__", value)}
# Axes of a file, and how einsum would bring a file of shape (7, 2, 5, 3) into rows.
AXES = [
    (None, "nchw->nhwc"),
    ("NCHW", "nchw->nhwc"),
    ("NHWC", "nhwc->nhwc"),
    ("CTNH", "ctnh->nthc"),
    ("HWCN", "hwcn->nhwc"),
    ("NTHW", "nthw->nthw"),
    ("CTHW", "cthw->thwc"),
    ("TXYZ", "txyz->txyz"),
]


def writer_of(name: str) -> Write:
    return next(write for other, write in ALL if name.endswith(Path(other).suffix))


def list_of(path: Path, settings: ArrayData) -> list[Array]:
    return list(read_array(path, settings))


LOOKS = [list_of, mapped, sample_shape_of]


def set_sizes(monkeypatch: pytest.MonkeyPatch, block: int, slab: int) -> None:
    monkeypatch.setattr("ndvq_tune.data.readers.array.BLOCK_BYTES", block)
    monkeypatch.setattr("ndvq_tune.data.readers.array_contents.BLOCK_BYTES", block)
    monkeypatch.setattr("ndvq_tune.data.readers.array_contents.SLAB_BYTES", slab)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of about 128 bytes, so that a small array is read in many."""
    set_sizes(monkeypatch, block=128, slab=256)


def expected(values: Array, axes: str | None, rule: str) -> Array:
    rows = np.einsum(rule, values)
    rows = rows if axes is None or "N" in axes else rows[None]
    return rows if axes is None or "C" in axes else rows[..., None]


@pytest.mark.parametrize(("axes", "rule"), AXES)
@pytest.mark.parametrize(("name", "write"), ALL, **IDS)
def test_rows_are_samples_with_channels_last(
    tmp_path: Path, small_blocks: None, name: str, write: Write, axes: str | None, rule: str
) -> None:
    values = noise()
    write(tmp_path / name, values)
    rows = expected(values, axes, rule)
    assert np.array_equal(read(tmp_path / name, axes=axes), rows)
    assert sample_shape_of(tmp_path / name, config(axes=axes)) == (rows.shape[-1], *rows.shape[1:-1])
    view = mapped(tmp_path / name, config(axes=axes))
    assert (view is not None) == ((name, write) in MAPPED)
    assert view is None or np.array_equal(view, rows)


@pytest.mark.parametrize(("name", "write"), MAPPED, **IDS)
def test_a_view_is_a_read_only_map_of_the_file(tmp_path: Path, name: str, write: Write) -> None:
    write(tmp_path / name, noise())
    view = mapped(tmp_path / name, config())
    assert view is not None
    assert isinstance(view.base, np.memmap)
    assert not view.flags.writeable
    content = (tmp_path / name).read_bytes()
    value = noise()[3, 1, 2, 1].tobytes()
    (tmp_path / name).write_bytes(content.replace(value, np.float32(99).tobytes()))
    assert view[3, 2, 1, 1] == 99


@pytest.mark.parametrize("dtype", ["?", "u1", "i2", "u8", "f2", "f8", ">i2", ">f4"])
@pytest.mark.parametrize(("name", "write"), ALL, **IDS)
def test_types_stay_as_they_are_in_native_byte_order(tmp_path: Path, name: str, write: Write, dtype: str) -> None:
    values = noise((3, 2, 4), dtype)
    write(tmp_path / name, values)
    rows = read(tmp_path / name)
    assert rows.dtype == np.dtype(dtype).newbyteorder("=")
    assert np.array_equal(rows, values.transpose(0, 2, 1))
    view = mapped(tmp_path / name, config())
    assert (view is not None) == ((name, write) in MAPPED and not dtype.startswith(">"))
    assert view is None or (view.dtype == rows.dtype and np.array_equal(view, rows))


@pytest.mark.parametrize("dtype", ["c8", "U3", "M8[s]", "g", [("x", "f4"), ("y", "f4")], "O"])
def test_other_types_are_refused(tmp_path: Path, dtype: Any) -> None:
    np.save(tmp_path / "a.npy", np.zeros((3, 2, 4), dtype))
    for look in LOOKS:
        with pytest.raises(DataError, match=r"a\.npy: values of type .*allowed: bool, integers, float16"):
            look(tmp_path / "a.npy", config())


def test_hdf5_strings_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = "text"
    with pytest.raises(DataError, match="values of type object"):
        read(tmp_path / "a.h5")


@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_first_nan_is_named(tmp_path: Path, small_blocks: None, suffix: str, value: float) -> None:
    values = noise((7, 2, 5, 3), "f8")
    values[5:, 1, 3:] = value
    writer_of(suffix)(tmp_path / f"a{suffix}", values)
    with pytest.raises(DataError, match=rf"{value} at index \[5, 1, 3, 0\]; replace"):
        read(tmp_path / f"a{suffix}")
    with pytest.raises(DataError, match=rf"{value} at index \[5, 1, 3, 0\]; replace"):
        read(tmp_path / f"a{suffix}", axes="TCHW")


@pytest.mark.parametrize(
    ("shape", "axes", "reason"),
    [
        ((4, 3), None, r"shape \(4, 3\) has 2 axes, and at least 3 are needed; data\.axes: a capital letter"),
        ((4, 3, 2), "NCHW", r"shape \(4, 3, 2\) has 3 axes, and data\.axes is NCHW"),
        ((), "L", r"shape \(\) has 0 axes"),
        ((0, 3, 2), None, r"shape \(0, 3, 2\) holds no values"),
        ((4, 3, 0), "LNC", r"shape \(4, 3, 0\) holds no values"),
    ],
)
@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.h5", "a.zarr"])
def test_shapes_that_do_not_fit(tmp_path: Path, name: str, shape: tuple[int, ...], axes: str, reason: str) -> None:
    path = tmp_path / name
    if name == "a.h5":
        with h5py.File(path, "w") as file:
            file["x"] = np.ones(shape)
    elif name == "a.zarr":
        zarr.create_array(path, shape=shape, dtype="f4")
    else:
        writer_of(name)(path, np.ones(shape))
    for look in LOOKS:
        with pytest.raises(DataError, match=reason):
            look(path, config(axes=axes))


@pytest.fixture(params=[".npz", ".h5", ".zarr"])
def several(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A file of two arrays: ``train/images``, all 1, and ``labels``."""
    path: Path = tmp_path / f"two{request.param}"
    arrays = {"train/images": np.ones((4, 3, 2)), "labels": np.zeros((4, 1, 1))}
    if request.param == ".npz":
        np.savez(path, **arrays)
    elif request.param == ".h5":
        with h5py.File(path, "w") as file:
            file.update(arrays)
    else:
        group = zarr.open_group(path, mode="w")
        for name, values in arrays.items():
            group.create_array(name, data=values)
    return path


def test_key_names_the_array(several: Path) -> None:
    assert read(several, key="train/images").sum() == 24
    assert sample_shape_of(several, config(key="labels")) == (1, 1)
    view = mapped(several, config(key="train/images"))
    assert (view is None) == (several.suffix == ".zarr")
    assert view is None or view.sum() == 24


def test_without_a_key_the_names_are_listed(several: Path) -> None:
    with pytest.raises(DataError, match=r"holds 2 arrays; name one in data.key: (labels, train/im|train/images, lab)"):
        read(several)


@pytest.mark.parametrize("key", ["train/image", "train"])
def test_wrong_key_lists_the_names(several: Path, key: str) -> None:
    hint = "; did you mean 'train/images'" if key == "train/image" else ""
    with pytest.raises(DataError, match=rf"holds no array '{key}'{hint}.*; data.key may be: .*labels"):
        read(several, key=key)


def test_long_lists_of_names_are_cut(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **{f"image{i:02}": noise() for i in range(13)})
    with pytest.raises(DataError, match=r"holds 13 arrays.*image09 and 3 more$"):
        read(tmp_path / "a.npz")


def test_files_without_arrays(tmp_path: Path) -> None:
    h5py.File(tmp_path / "a.h5", "w").close()
    zarr.open_group(tmp_path / "a.zarr", mode="w")
    zipfile.ZipFile(tmp_path / "a.npz", "w").close()
    for path in tmp_path.iterdir():
        for key in (None, "images"):
            with pytest.raises(DataError, match="there is no array in it"):
                read(path, key=key)


def test_hdf5_links_are_followed_even_to_other_files(tmp_path: Path) -> None:
    write_hdf5(tmp_path / "a.h5", noise())
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["far"] = h5py.ExternalLink("a.h5", "group/images")
        file["loop"] = h5py.SoftLink("/")
        file["broken"] = h5py.SoftLink("/nowhere")
    assert np.array_equal(read(tmp_path / "b.h5", key="far"), read(tmp_path / "a.h5"))
    view = mapped(tmp_path / "b.h5", config(key="loop/far"))
    assert view is not None
    assert np.array_equal(view, read(tmp_path / "a.h5"))
    with pytest.raises(DataError, match="there is no array in it"):
        read(tmp_path / "b.h5", key="broken")


def test_hdf5_arrays_that_are_not_as_in_memory_are_not_mapped(tmp_path: Path) -> None:
    twelve_bits = h5py.h5t.STD_I16LE.copy()
    twelve_bits.set_precision(12)
    twelve_bits.set_offset(4)
    with h5py.File(tmp_path / "a.h5", "w", userblock_size=512) as file:
        space = h5py.h5s.create_simple((2, 3, 4))
        written = h5py.h5d.create(file.id, b"twelve_bits", twelve_bits, space)
        written.write(h5py.h5s.ALL, h5py.h5s.ALL, np.arange(24, dtype="i2").reshape(2, 3, 4))
        file.create_dataset("unwritten", (2, 3, 4), "f4", fillvalue=7)
    assert np.array_equal(read(tmp_path / "a.h5", key="twelve_bits"), np.arange(24).reshape(2, 3, 4).transpose(0, 2, 1))
    assert np.all(read(tmp_path / "a.h5", key="unwritten") == 7)
    assert mapped(tmp_path / "a.h5", config(key="twelve_bits")) is None
    assert mapped(tmp_path / "a.h5", config(key="unwritten")) is None


@pytest.mark.parametrize(("name", "library"), [("a.h5", "h5py"), ("a.zarr", "zarr")])
def test_missing_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, library: str) -> None:
    writer_of(name)(tmp_path / name, noise())
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(DataError, match=rf"{name}: needs {library}: pip install 'ndvq-tune\[array\]'"):
        read(tmp_path / name)


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.npy", b"", "the file is empty"),
        ("a.npz", b"", "the file is empty"),
        ("a.h5", b"", "the file is empty"),
        ("a.npy", b"x,y\n1,2\n" * 99, "not a readable array .*magic string"),
        ("a.npz", b"x,y\n1,2\n" * 99, "not a readable array .*not a zip file"),
        ("a.h5", b"x,y\n1,2\n" * 99, "not a readable array .*file signature not found"),
        ("a.npy", b"\x93NUMPY\x09\x00abc", "not a readable array"),
        ("a.npy", b"\x93NUMPY\x01\x00\x10\x00{'descr': '<f4',", "not a readable array"),
        ("a.zarr", b"x", "not a readable array .*a zarr folder has a file zarr.json"),
    ],
)
def test_other_files_are_refused(
    tmp_path: Path, look: Callable[..., Any], name: str, content: bytes, reason: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=rf"{name}: {reason}"):
        look(tmp_path / name, config())


def test_an_error_of_a_library_without_a_text_is_told_by_its_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise EOFError

    write_npz(tmp_path / "a.npz", noise())
    monkeypatch.setattr(zipfile, "ZipFile", fail)
    with pytest.raises(DataError, match=r"a\.npz: not a readable array \(EOFError\)"):
        read(tmp_path / "a.npz")


@pytest.mark.parametrize("metadata", [None, "", "{", "{}", '{"zarr_format": 3, "node_type": "array"}'])
def test_zarr_folder_with_bad_metadata(tmp_path: Path, metadata: str | None) -> None:
    (tmp_path / "a.zarr").mkdir()
    if metadata is not None:
        (tmp_path / "a.zarr" / "zarr.json").write_text(metadata)
    with pytest.raises(DataError, match=r"a\.zarr: (not a readable array|there is no array)"):
        read(tmp_path / "a.zarr")


def test_missing_file_and_folder_with_a_files_name(tmp_path: Path) -> None:
    (tmp_path / "folder.npy").mkdir()
    with pytest.raises(DataError, match="Is a directory"):
        read(tmp_path / "folder.npy")
    with pytest.raises(DataError, match="No such file"):
        read(tmp_path / "none.h5")


@pytest.mark.parametrize("share", [0.02, 0.5, 0.99])
@pytest.mark.parametrize(("name", "write"), [pair for pair in ALL if not pair[0].endswith(".zarr")], **IDS)
def test_cut_off_files_are_noticed(tmp_path: Path, name: str, write: Write, share: float) -> None:
    path = tmp_path / name
    write(path, noise((50, 3, 8, 8)))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    for look in LOOKS:
        with pytest.raises(DataError, match=r"not a readable array \(.+\)$"):
            look(path, config())


@pytest.mark.parametrize(("name", "write"), [pair for pair in ALL if pair[0].endswith(".npz")], **IDS)
def test_changed_bytes_in_npz_are_noticed(tmp_path: Path, name: str, write: Write) -> None:
    path = tmp_path / name
    write(path, noise((50, 3, 8, 8)))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="not a readable array"):
        read(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("rows", [2, 64, 512])
def test_checksums_in_npz_are_compared(tmp_path: Path, method: int, rows: int) -> None:
    np.savez(tmp_path / "a.npz", images=np.zeros((rows, 1, 512)))
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        content, checksum = archive.read("images.npy"), archive.infolist()[0].CRC
    with zipfile.ZipFile(tmp_path / "b.npz", "w", method) as archive:
        archive.writestr("images.npy", content)
    packed = (tmp_path / "b.npz").read_bytes()
    (tmp_path / "b.npz").write_bytes(packed.replace(struct.pack("<I", checksum), b"bad!"))
    with pytest.raises(DataError, match="Bad CRC-32"):
        read(tmp_path / "b.npz")


def test_npz_array_shorter_than_its_header_says(tmp_path: Path) -> None:
    member = io.BytesIO()
    np.save(member, noise())
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("images.npy", member.getvalue()[:-4])
    for look in LOOKS:
        with pytest.raises(DataError, match="cut off: 836 of 840 bytes"):
            look(tmp_path / "a.npz", config())


def test_cut_off_zarr_chunk_is_noticed(tmp_path: Path) -> None:
    write_zarr2(tmp_path / "a.zarr", noise())
    chunk = tmp_path / "a.zarr" / "1.0.1.0"
    chunk.write_bytes(chunk.read_bytes()[:20])
    with pytest.raises(DataError, match=r"a\.zarr: not a readable array"):
        read(tmp_path / "a.zarr")


@pytest.fixture
def nobody() -> Iterator[None]:
    """Root may read everything, so it becomes somebody else."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    yield
    os.seteuid(0)


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.h5", "a.zarr"])
def test_unreadable_permissions(tmp_path: Path, name: str, request: pytest.FixtureRequest) -> None:
    path = tmp_path / name
    writer_of(name)(path, noise())
    path.chmod(0)
    request.getfixturevalue("nobody")
    with pytest.raises(DataError, match=f"{name}: not a readable array .*ermission denied"):
        read(path)


@pytest.mark.parametrize("settings", ["", ", libver='latest'"])
def test_hdf5_still_open_for_writing(tmp_path: Path, settings: str) -> None:
    code = f"""if True:
        import h5py, sys
        file = h5py.File({str(tmp_path / "a.h5")!r}, "w"{settings})
        file["x"] = [[[1.0]]]
        file.flush()
        print("open", flush=True)
        sys.stdin.read()
    """
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        with pytest.raises(DataError, match="another program has the file open for writing"):
            read(tmp_path / "a.h5")
        writer.kill()
    if settings:
        with pytest.raises(DataError, match="already open for write"):
            read(tmp_path / "a.h5")


@pytest.mark.parametrize("order", ["C", "F"])
def test_large_files_need_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: str) -> None:
    set_sizes(monkeypatch, block=8 << 20, slab=8 << 20)
    path, shape = tmp_path / "a.npy", (500_000, 1, 32, 32)
    header = {"descr": "<f4", "fortran_order": order == "F", "shape": shape}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + 4 * np.prod(shape))
    tracemalloc.start()
    view = mapped(path, config())
    blocks = read_array(path, config())
    shapes = [next(blocks).shape for _ in range(3)]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert view is not None
    assert view.shape == (500_000, 32, 32, 1)
    assert path.stat().st_size > 2e9
    assert shapes == [(2048, 32, 32, 1)] * 3
    assert peak < 32 << 20


@pytest.mark.parametrize("write", [write_npz_packed, write_npz_packed_fortran])
def test_packed_files_are_never_in_memory_as_a_whole(
    tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "a.npz", np.zeros((96, 1, 512, 512), np.uint8))
    set_sizes(monkeypatch, block=1 << 20, slab=1 << 20)
    if write is write_npz_packed:  # is a stream of samples already
        monkeypatch.setattr("tempfile.TemporaryFile", None)
    tracemalloc.start()
    lengths = [len(block) for block in read_array(tmp_path / "a.npz", config())]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert lengths == [4] * 24
    assert peak < 6 << 20


def test_scattered_samples_are_read_many_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_sizes(monkeypatch, block=64 << 10, slab=256 << 10)
    write_npy_fortran(tmp_path / "a.npy", noise((1024, 1, 16, 16)))
    slabs: list[int] = []

    def spy(*arguments: Any) -> Iterator[Any]:
        for index in slab_indices(*arguments):
            slabs.append(index[0].stop - index[0].start)
            yield index

    monkeypatch.setattr("ndvq_tune.data.readers.array_contents.slab_indices", spy)
    assert {len(block) for block in read_array(tmp_path / "a.npy", config())} == {64}
    assert slabs == [256] * 4


def test_blocks_are_small_and_chunks_are_unpacked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zarr.create_array(tmp_path / "a.zarr", shape=(96, 1, 512, 1024), chunks=(40, 1, 256, 1024), dtype="u1")
    reads: list[Any] = []
    original = zarr.Array.__getitem__

    def spy(self: Any, index: Any) -> Any:
        reads.append(index[0])
        return original(self, index)

    monkeypatch.setattr(zarr.Array, "__getitem__", spy)
    lengths = [len(block) for block in read_array(tmp_path / "a.zarr", config())]
    assert reads == [slice(0, 40), slice(40, 80), slice(80, 96)]
    assert lengths == [16, 16, 8, 16, 16, 8, 16]
