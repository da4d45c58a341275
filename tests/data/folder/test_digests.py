import hashlib
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ndvq_tune.data.cache.source import silent
from ndvq_tune.data.folder import digests as module
from ndvq_tune.data.folder.digests import digests
from ndvq_tune.data.folder.files import SourceFile, find_files
from ndvq_tune.errors import DataError

LONG_AGO = 1_600_000_000 * 10**9
KINDS = frozenset({".bin", ".zarr"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "train"
    for name in ("a.bin", "b.bin", "sub/日本 c.bin"):
        write(folder / name, name.encode())
    return folder


def write(path: Path, content: bytes, modified: int = LONG_AGO) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, ns=(modified, modified))


class Log(list[tuple[str, int, int]]):
    def __call__(self, description: str, done: int, total: int) -> None:
        self.append((description, done, total))

    @property
    def read(self) -> int:
        return self[-1][2] if self else 0


def find(folder: Path) -> tuple[SourceFile, ...]:
    return find_files(str(folder), KINDS).files


def run(cache: Path, folder: Path) -> tuple[dict[str, str], int]:
    """Digests by name, and how many files were read for them."""
    files, log = find(folder), Log()
    found = digests(cache, str(folder), files, log)
    return {file.name: digest for file, digest in zip(files, found, strict=True)}, log.read


def memory(cache: Path) -> Path:
    (path,) = (cache / "digests").iterdir()
    return path


def blake2b(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def test_digests_are_those_of_the_content_in_the_order_of_the_files(cache: Path, folder: Path) -> None:
    write(folder / "large.bin", bytes(3_000_001))
    files = find(folder)
    expected = [blake2b(Path(file.uri).read_bytes()) for file in files]
    assert digests(cache, str(folder), files, silent) == expected
    assert digests(cache, str(folder), files[::-1], silent) == expected[::-1]


def test_progress_counts_the_files_that_are_read(cache: Path, folder: Path) -> None:
    log = Log()
    digests(cache, str(folder), find(folder), log)
    assert log == [("Reading train files", done, 3) for done in range(4)]
    log.clear()
    digests(cache, str(folder), find(folder), log)
    assert log == []


def test_only_what_changed_is_read_again(cache: Path, folder: Path) -> None:
    before, _ = run(cache, folder)
    write(folder / "a.bin", b"A.bin", LONG_AGO + 1)
    write(folder / "b.bin", b"longer than it was")
    after, read = run(cache, folder)
    assert read == 2
    assert after["a.bin"] == blake2b(b"A.bin")
    assert after["b.bin"] == blake2b(b"longer than it was")
    assert after["sub/日本 c.bin"] == before["sub/日本 c.bin"]


def test_what_is_gone_is_forgotten(cache: Path, folder: Path) -> None:
    run(cache, folder)
    (folder / "a.bin").unlink()
    assert run(cache, folder)[1] == 0
    assert set(json.loads(memory(cache).read_text())) == {"b.bin", "sub/日本 c.bin"}


def test_a_file_that_was_changed_just_now_is_read_again(cache: Path, folder: Path) -> None:
    # Too soon for the time of change to tell the next change from this one.
    now = time.time_ns()
    write(folder / "a.bin", b"first", now)
    run(cache, folder)
    write(folder / "a.bin", b"other", now)
    found, read = run(cache, folder)
    assert read == 1
    assert found["a.bin"] == blake2b(b"other")


@pytest.mark.parametrize(
    "damage", [b"", b"[1, 2]", b'{"a.bin": [1, 2]}', b'{"a.bin": 5}', b"\xff\xfe", b'{"a.bin": ["x", 1, "y"]}', None]
)
def test_a_damaged_memory_is_written_anew(cache: Path, folder: Path, damage: bytes | None) -> None:
    expected, _ = run(cache, folder)
    path = memory(cache)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    assert run(cache, folder) == (expected, 3)
    assert run(cache, folder) == (expected, 0)


def test_folders_do_not_share_a_memory(cache: Path, folder: Path, tmp_path: Path) -> None:
    run(cache, folder)
    write(tmp_path / "test/a.bin", b"A.bin")
    assert run(cache, tmp_path / "test") == ({"a.bin": blake2b(b"A.bin")}, 1)
    assert run(cache, folder)[1] == 0


def test_a_zarr_folder_is_digested_with_all_of_its_parts(cache: Path, folder: Path) -> None:
    parts = {".zarray": b"{}", "c/0/0": b"12", "c/0/1": b"3"}
    seen = set()

    def look() -> None:
        found, _ = run(cache, folder)
        seen.add(found["x.zarr"])

    for name, content in parts.items():
        write(folder / "x.zarr" / name, content)
    look()
    look()
    assert len(seen) == 1
    write(folder / "x.zarr/.zarray", b"[]", LONG_AGO + 1)
    look()
    # The same bytes, cut at another place or under another name.
    write(folder / "x.zarr/c/0/0", b"1", LONG_AGO + 2)
    write(folder / "x.zarr/c/0/1", b"23", LONG_AGO + 2)
    look()
    (folder / "x.zarr/c/0/1").rename(folder / "x.zarr/c/0/2")
    look()
    assert len(seen) == 4


def test_a_file_that_cannot_be_read_says_so_until_it_can(
    cache: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = module._feed

    def refuse(hasher: object, path: Path) -> None:
        if path.name == "a.bin":
            raise PermissionError(13, "Permission denied")
        feed(hasher, path)

    monkeypatch.setattr(module, "_feed", refuse)
    found, _ = run(cache, folder)
    assert found["a.bin"] == "unreadable: Permission denied"
    monkeypatch.undo()
    found, read = run(cache, folder)
    assert (found["a.bin"], read) == (blake2b(b"a.bin"), 1)


def test_a_file_that_vanished_is_unreadable(cache: Path, folder: Path) -> None:
    files = find(folder)
    (folder / "a.bin").unlink()
    assert digests(cache, str(folder), files, silent)[0] == "unreadable: No such file or directory"


def test_remote_files_are_not_fetched(cache: Path) -> None:
    def digest(name: str = "a.bin", size: int = 1, modified: int = 1) -> str:
        log = Log()
        (found,) = digests(cache, "foo://x", [SourceFile(name, f"foo://x/{name}", size, modified)], log)
        assert log == []
        return found

    assert digest() == digest()
    assert len({digest(), digest(name="b.bin"), digest(size=2), digest(modified=2)}) == 4


def test_what_was_read_before_an_interruption_is_kept(cache: Path, folder: Path) -> None:
    def interrupt(description: str, done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        digests(cache, str(folder), find(folder), interrupt)
    assert run(cache, folder)[1] == 1


def test_no_temporary_files_stay(cache: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(cache, folder)
    write(folder / "a.bin", b"other", LONG_AGO + 1)
    before = memory(cache).read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(json, "dumps", full)
    with pytest.raises(DataError, match="NDVQ_TUNE_CACHE"):
        run(cache, folder)
    assert memory(cache).read_bytes() == before


def test_two_runs_at_once_do_not_harm_each_other(cache: Path, folder: Path) -> None:
    expected, _ = run(cache, folder)
    files = find(folder)

    def race(runner: int) -> None:
        for again in range(50):
            # Another file each time, so that the memory is written each time.
            mine = SourceFile(f"{runner}.bin", str(folder / "a.bin"), 5, LONG_AGO + again)
            assert digests(cache, str(folder), [*files, mine], silent)[:-1] == list(expected.values())

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(race, range(2)))

    assert set(expected) < set(json.loads(memory(cache).read_text()))


def test_a_cache_that_may_only_be_read_remembers_nothing_but_serves(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(module, "replacing", refuse)
    files = find_files(str(folder), KINDS).files
    found = digests(tmp_path / "cache", str(folder), files, silent)
    assert found[0] == hashlib.blake2b(b"a.bin", digest_size=16).hexdigest()
