import errno
import os
import pickle
import tracemalloc
from pathlib import Path

import pytest

from ndvq_tune.data.folder.files import SourceFile, find_files, has_folder, join, list_folder, local
from ndvq_tune.errors import DataError

MP4 = frozenset({".mp4"})
ZARR = frozenset({".zarr", ".npy"})


def write(folder: Path, *names: str, content: bytes = b"abc") -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def names(folder: Path, suffixes: frozenset[str] = MP4) -> list[str]:
    return [file.name for file in find_files(str(folder), suffixes).files]


def test_finds_files_of_the_kinds_asked_for_nested_and_sorted(tmp_path: Path) -> None:
    wanted = ["a.mp4", "b/c d/e.MP4", "b/Änderung été.mov", "z/日本.mp4"]
    write(tmp_path, *wanted, "notes.txt", "h.mp4.part", "mp4", "b/.mp4")
    (tmp_path / "folder.mp4").mkdir()

    assert names(tmp_path, MP4 | {".mov"}) == sorted(wanted)


def test_files_of_other_kinds_are_named_without_what_is_hidden_or_lies_beside_data(tmp_path: Path) -> None:
    write(tmp_path, "a.mp4", "h.mp4.part", "sub/b.OGV", "scan.zarr/.zarray", "scan.zarr/0.0", "scan.zarr/0.1")
    write(tmp_path, ".c.ogv", ".trash/d.ogv", "README", "notes.TXT", "sub/labels.csv", "info.json", "Thumbs.db")
    assert find_files(str(tmp_path), MP4).others == ("h.mp4.part", "scan.zarr", "sub/b.OGV")
    assert find_files(str(tmp_path), MP4 | {".csv", ".part"}).others == ("scan.zarr", "sub/b.OGV")


def test_folders_named_like_a_video_are_looked_into(tmp_path: Path) -> None:
    write(tmp_path, "clips.mp4/a.mp4")
    assert names(tmp_path) == ["clips.mp4/a.mp4"]


def test_hidden_files_and_folders_are_left_out(tmp_path: Path) -> None:
    write(tmp_path, "a.mp4", ".b.mp4", ".trash/c.mp4", "d/.cache/e/f.mp4")
    assert names(tmp_path) == ["a.mp4"]


def test_a_hidden_folder_on_the_way_to_the_data_set_hides_nothing(tmp_path: Path) -> None:
    write(tmp_path, ".data/a.mp4")
    assert names(tmp_path / ".data") == ["a.mp4"]


def test_size_time_and_place_are_those_of_the_file(tmp_path: Path) -> None:
    write(tmp_path, "sub/a.mp4", content=b"12345")
    path = tmp_path / "sub/a.mp4"
    os.utime(path, ns=(1, 1_234_567_890_123_456_789))
    assert find_files(str(tmp_path), MP4).files == (SourceFile("sub/a.mp4", str(path), 5, 1_234_567_890_123_456_789),)


def test_places_are_absolute_though_the_folder_is_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "data/a.mp4")
    monkeypatch.chdir(tmp_path)
    (file,) = find_files("data", MP4).files
    assert file.uri == str(tmp_path / "data/a.mp4")


def test_listings_can_be_pickled(tmp_path: Path) -> None:
    write(tmp_path, "a.mp4")
    listing = find_files(str(tmp_path), MP4)
    assert pickle.loads(pickle.dumps(listing)) == listing


def test_a_zarr_folder_counts_as_one_file(tmp_path: Path) -> None:
    write(tmp_path, "sub/a.zarr/.zarray", "sub/a.zarr/0.0", "sub/a.zarr/c/0/.npy", "sub/a.zarr/x.npy", content=b"1234")
    write(tmp_path, "b.npy")
    for folder, _, parts in os.walk(tmp_path / "sub"):
        for part in [".", *parts]:
            os.utime(Path(folder, part), ns=(0, 1_000_000_000))
    # Neither the first nor the last that is looked at.
    os.utime(tmp_path / "sub/a.zarr/c", ns=(0, 7_000_000_000))

    plain, zarr = find_files(str(tmp_path), ZARR).files

    assert plain.name == "b.npy"
    assert zarr == SourceFile("sub/a.zarr", str(tmp_path / "sub/a.zarr"), 16, 7_000_000_000)


def test_a_zarr_folder_is_an_ordinary_folder_where_zarr_is_not_asked_for(tmp_path: Path) -> None:
    write(tmp_path, "a.zarr/b.mp4")
    assert names(tmp_path) == ["a.zarr/b.mp4"]


def test_links_to_files_and_folders_are_followed(tmp_path: Path) -> None:
    write(tmp_path, "elsewhere/a.mp4", "elsewhere/b.mp4")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data/c.mp4").symlink_to(tmp_path / "elsewhere/a.mp4")
    listing = find_files(str(tmp_path / "data"), MP4)
    assert [(file.name, file.size) for file in listing.files] == [
        ("c.mp4", 3),
        ("linked/a.mp4", 3),
        ("linked/b.mp4", 3),
    ]


def test_links_that_loop_end(tmp_path: Path) -> None:
    write(tmp_path, "a.mp4", "b/c.mp4", "d/e.mp4")
    (tmp_path / "up").symlink_to(tmp_path)
    (tmp_path / "b/up").symlink_to("..")
    (tmp_path / "b/across").symlink_to("../d")
    (tmp_path / "d/back").symlink_to("../b")
    listing = find_files(str(tmp_path), MP4)
    # Each of b and d is in the other once, but not again below that.
    assert {file.name for file in listing.files} == {
        "a.mp4", "b/c.mp4", "d/e.mp4", "b/across/e.mp4", "d/back/c.mp4"
    }  # fmt: skip
    assert listing.unreadable == {}


def test_broken_links_are_named(tmp_path: Path) -> None:
    write(tmp_path, "good.mp4")
    (tmp_path / "gone.mp4").symlink_to("nowhere.mp4")
    (tmp_path / "folder").symlink_to("/no/such/folder")
    (tmp_path / "self.mp4").symlink_to("self.mp4")
    (tmp_path / "notes.txt").symlink_to("nowhere.txt")
    listing = find_files(str(tmp_path), MP4)
    assert [file.name for file in listing.files] == ["good.mp4"]
    assert listing.unreadable == {
        "gone.mp4": "the link leads nowhere",
        "folder": "the link leads nowhere",
        "self.mp4": os.strerror(errno.ELOOP).lower(),
    }


def test_folders_that_may_not_be_read_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "a.mp4", "v1.0/b.mp4", "set.zarr/0/0")
    scandir = os.scandir

    def refuse(path: str) -> object:
        if Path(path).name in ("v1.0", "0"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    listing = find_files(str(tmp_path), MP4 | ZARR)
    assert [file.name for file in listing.files] == ["a.mp4"]
    assert listing.unreadable == {"v1.0/": "permission denied", "set.zarr": "permission denied"}


def test_files_that_may_not_be_read_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "a.mp4", "b.mp4", "c.txt")
    # The user that runs the tests may read everything.
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name == "a.mp4")
    listing = find_files(str(tmp_path), MP4)
    assert [file.name for file in listing.files] == ["a.mp4"]
    assert listing.unreadable == {"b.mp4": "permission denied"}


def test_a_pipe_is_not_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.mp4")
    assert find_files(str(tmp_path), MP4).unreadable == {"a.mp4": "neither a file nor a folder"}


def test_names_that_are_not_utf8_are_named_in_letters_that_can_be_written(tmp_path: Path) -> None:
    write(tmp_path, "good.mp4")
    for name in (b"b\xff.mp4", b"b\xff.txt"):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(b"x")
    listing = find_files(str(tmp_path), MP4)
    assert [file.name for file in listing.files] == ["good.mp4"]
    assert listing.unreadable == {"b\\udcff.mp4": "its name is not valid UTF-8; rename it"}


def test_file_uris_are_paths(tmp_path: Path) -> None:
    write(tmp_path, "my data/a.mp4")
    (file,) = find_files(f"file://{tmp_path}/my%20data", MP4).files
    assert file.uri == str(tmp_path / "my data/a.mp4")
    with pytest.raises(DataError, match="three slashes"):
        find_files("file://data", MP4)


@pytest.mark.parametrize(("name", "reason"), [("missing", "no such folder"), ("a.mp4", "not a directory")])
def test_what_is_no_folder_is_an_error(tmp_path: Path, name: str, reason: str) -> None:
    write(tmp_path, "a.mp4")
    with pytest.raises(DataError, match=f"{name}: {reason}"):
        find_files(str(tmp_path / name), MP4)
    with pytest.raises(DataError, match=f"{name}: {reason}"):
        list_folder(str(tmp_path / name), 3)
    assert not has_folder(str(tmp_path), name)


def test_folders_are_listed_for_messages(tmp_path: Path) -> None:
    write(tmp_path, "train/a.mp4", "b.txt", ".hidden/c", "c.txt")
    assert list_folder(str(tmp_path), 5) == ["b.txt", "c.txt", "train/"]
    assert list_folder(str(tmp_path), 2) == ["b.txt", "c.txt"]
    assert has_folder(str(tmp_path), "train")
    assert not has_folder(str(tmp_path), "test")
    assert names(Path(join(str(tmp_path), "train"))) == ["a.mp4"]


def test_a_file_on_this_machine_is_itself_and_stays(tmp_path: Path) -> None:
    write(tmp_path, "a.mp4")
    (file,) = find_files(str(tmp_path), MP4).files
    with local(file) as path:
        assert path == tmp_path / "a.mp4"
    assert path.exists()


@pytest.mark.slow
def test_a_folder_with_100_000_files_is_listed_in_little_memory(tmp_path: Path) -> None:
    for folder in range(10):
        (tmp_path / str(folder)).mkdir()
        for number in range(10_000):
            os.close(os.open(tmp_path / f"{folder}/{number:05}.mp4", os.O_CREAT | os.O_WRONLY))
    tracemalloc.start()
    try:
        listing = find_files(str(tmp_path), MP4)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(listing.files) == 100_000
    assert listing.unreadable == {}
    assert peak < 100e6
