import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ndvq_tune.data import cache as cache_module
from ndvq_tune.data.cache import CachedSplit, cache_root, cached_split
from ndvq_tune.data.progress import silent
from ndvq_tune.data.video import find_videos, read_frames
from ndvq_tune.errors import DataError

pytestmark = pytest.mark.usefixtures("folder")


@pytest.fixture
def folder(write_splits) -> Path:
    return write_splits({"train/a.mkv": 5, "train/b.mkv": 7}) / "train"


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the videos that are decoded from now on."""
    names: list[str] = []

    def read(path: Path, resolution: int):
        names.append(path.name)
        return read_frames(path, resolution)

    monkeypatch.setattr(cache_module, "read_frames", read)
    return names


def load(folder: Path, resolution: int = 16) -> CachedSplit:
    return cached_split(folder, find_videos(folder), resolution, silent)


def entries(cache: Path) -> list[Path]:
    return sorted(cache.iterdir())


def test_frames_of_all_videos_one_after_another(folder: Path, noise) -> None:
    split = load(folder)
    assert [(video.name, video.start, video.frames) for video in split.videos] == [("a.mkv", 0, 5), ("b.mkv", 5, 7)]
    assert np.array_equal(split.frames, np.concatenate([noise(5, 16, 16, 0), noise(7, 16, 16, 1)]))


def test_sums_are_exact(folder: Path) -> None:
    split = load(folder)
    for video in split.videos:
        values = split.frames[video.start : video.start + video.frames].astype(np.int64)
        assert (video.total, video.total_of_squares) == (values.sum(), (values**2).sum())


def test_frames_are_mapped_read_only(folder: Path) -> None:
    frames = load(folder).frames
    assert isinstance(frames, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        frames[0] = 0


def test_second_call_decodes_nothing(folder: Path, decoded: list[str]) -> None:
    first = load(folder)
    assert decoded == ["a.mkv", "b.mkv"]
    second = load(folder)
    assert decoded == ["a.mkv", "b.mkv"]
    assert np.array_equal(first.frames, second.frames)
    assert first.videos == second.videos


def test_resolutions_are_kept_apart(folder: Path) -> None:
    assert load(folder, 16).frames.shape == (12, 16, 16, 3)
    assert load(folder, 8).frames.shape == (12, 8, 8, 3)
    assert load(folder, 16).frames.shape == (12, 16, 16, 3)


def touch(folder: Path) -> None:
    os.utime(folder / "a.mkv", ns=(1, 1))


def rename(folder: Path) -> None:
    (folder / "a.mkv").rename(folder / "c.mkv")


def remove(folder: Path) -> None:
    (folder / "a.mkv").unlink()


@pytest.mark.parametrize("change", [touch, rename, remove])
def test_changed_files_are_decoded_again(folder: Path, decoded: list[str], change: Callable[[Path], None]) -> None:
    load(folder)
    decoded.clear()
    change(folder)
    load(folder)
    assert decoded == [path.name for path in find_videos(folder)]


def cut_frames(entry: Path) -> None:
    os.truncate(entry / "frames.u8", 100)


def lose_frames(entry: Path) -> None:
    (entry / "frames.u8").unlink()


def lose_index(entry: Path) -> None:
    (entry / "index.json").unlink()


def garble_index(entry: Path) -> None:
    (entry / "index.json").write_bytes(b"\xff\x00{")


def strange_index(entry: Path) -> None:
    (entry / "index.json").write_text(json.dumps([1, 2]))


@pytest.mark.parametrize("damage", [cut_frames, lose_frames, lose_index, garble_index, strange_index])
def test_damaged_entry_is_built_again(
    folder: Path, cache: Path, decoded: list[str], damage: Callable[[Path], None]
) -> None:
    frames = np.array(load(folder).frames)
    damage(entries(cache)[0])
    decoded.clear()
    assert np.array_equal(load(folder).frames, frames)
    assert decoded == ["a.mkv", "b.mkv"]
    assert len(entries(cache)) == 1


def test_interrupted_build_leaves_nothing(folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(path: Path, resolution: int):
        yield from read_frames(path, resolution)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(cache_module, "read_frames", interrupt)
        with pytest.raises(KeyboardInterrupt):
            load(folder)
    assert entries(cache) == []
    assert len(load(folder).frames) == 12


def test_two_processes_building_at_once_do_not_disturb_each_other(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner: list[CachedSplit] = []

    def read(path: Path, resolution: int):
        monkeypatch.setattr(cache_module, "read_frames", read_frames)
        inner.append(load(folder))
        return read_frames(path, resolution)

    monkeypatch.setattr(cache_module, "read_frames", read)
    outer = load(folder)
    assert len(inner) == 1
    assert np.array_equal(outer.frames, inner[0].frames)
    assert len(entries(cache)) == 1


def test_damaged_videos_are_skipped_and_leave_no_frames(folder: Path, noise, write_video, decoded: list[str]) -> None:
    path = write_video(folder / "a2.mkv", noise(75, 64, 64))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    (folder / "z.mp4").write_text("not a video")
    split = load(folder)
    assert [video.name for video in split.videos] == ["a.mkv", "b.mkv"]
    assert np.array_equal(split.frames, np.concatenate([noise(5, 16, 16, 0), noise(7, 16, 16, 1)]))
    assert "cut off" in split.skipped["a2.mkv"]
    assert split.skipped["z.mp4"].startswith("not a readable video")
    decoded.clear()
    assert load(folder).skipped == split.skipped
    assert decoded == []


def test_all_videos_damaged_is_an_error_with_reasons(tmp_path: Path, cache: Path) -> None:
    folder = tmp_path / "damaged"
    folder.mkdir()
    for name in ("a.mp4", "b.mp4"):
        (folder / name).write_bytes(b"")
    with pytest.raises(DataError, match=r"none of its 2 videos can be read(.|\n)*a\.mp4: the file is empty") as caught:
        load(folder)
    assert str(folder) in str(caught.value)
    assert entries(cache) == []


def test_unwritable_cache_is_an_error_that_names_the_way_out(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("NDVQ_TUNE_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(DataError, match="NDVQ_TUNE_CACHE") as caught:
        load(folder)
    assert str(tmp_path / "file" / "cache") in str(caught.value)


def test_cache_is_in_the_home_folder_unless_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NDVQ_TUNE_CACHE")
    assert cache_root() == Path.home() / ".cache" / "ndvq_tune"
    monkeypatch.setenv("NDVQ_TUNE_CACHE", "~/elsewhere")
    assert cache_root() == Path.home() / "elsewhere"


def test_progress_counts_the_videos(folder: Path) -> None:
    calls: list[tuple[str, int, int]] = []
    cached_split(folder, find_videos(folder), 16, lambda *call: calls.append(call))
    assert calls == [("Decoding train videos", done, 2) for done in range(3)]
