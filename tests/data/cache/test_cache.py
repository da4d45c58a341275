import json
import os
import pickle
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from ndvq_tune.data.cache import shards
from ndvq_tune.data.cache.decoding import Decoded, decoded
from ndvq_tune.data.cache.location import cache_limit, cache_root, folder_bytes, trim
from ndvq_tune.data.cache.shards import write_shard
from ndvq_tune.data.cache.source import Item, silent
from ndvq_tune.errors import DataError, UnavailableError
from tests.data.data_examples import MemorySource, noise


@pytest.fixture
def source() -> MemorySource:
    return MemorySource({"a": noise(5, 4, 4, 3), "b": noise(7, 4, 4, 3, seed=1), "c": noise(2, 9, dtype="f4")})


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "SHARD_BYTES", 600)  # a and b, then c


def load(source: MemorySource) -> Decoded:
    return decoded(source, silent)


def entry_of(cache: Path) -> Path:
    (entry,) = (path for path in cache.iterdir() if path.is_dir())
    return entry


def test_rows_come_back_as_they_were_read(source: MemorySource) -> None:
    recordings = load(source).recordings
    assert list(recordings) == ["a", "b", "c"]
    for name, rows in source.arrays.items():
        assert recordings[name].dtype == rows.dtype
        assert np.array_equal(recordings[name], rows)


def test_rows_are_read_only(source: MemorySource) -> None:
    with pytest.raises(ValueError, match="read-only"):
        load(source).recordings["a"][0] = 0


def test_rates_that_items_state_are_kept(source: MemorySource) -> None:
    source.rates = {"a": 25.0, "c": 12.5}
    assert load(source).rates == load(source).rates == {"a": 25.0, "c": 12.5}


def test_an_entry_that_was_written_before_rates_were_kept_is_used(source: MemorySource) -> None:
    source.rates = {"a": 25.0}
    index = load(source).folder / "index.json"
    content = json.loads(index.read_text())
    for shard in content["shards"]:
        for recording in shard["recordings"]:
            del recording["rate"]
    index.write_text(json.dumps(content))
    source.read_names.clear()
    again = load(source)
    assert (again.rates, source.read_names, list(again.recordings)) == ({}, [], ["a", "b", "c"])


def test_a_second_call_decodes_nothing(source: MemorySource) -> None:
    load(source)
    source.read_names.clear()
    again = load(source)
    assert source.read_names == []
    assert all(np.array_equal(again.recordings[name], rows) for name, rows in source.arrays.items())


@pytest.mark.parametrize(
    "change",
    [
        lambda source: source.settings.update(resolution=3),
        lambda source: source.arrays.update(a=noise(5, 4, 4, 3, seed=9)),
        lambda source: source.arrays.pop("c"),
        lambda source: source.arrays.update(z=source.arrays.pop("a")),
        lambda source: setattr(source, "noun", "others"),
    ],
    ids=["settings", "content", "fewer", "renamed", "kind"],
)
def test_other_content_or_settings_are_another_entry(source: MemorySource, cache: Path, change) -> None:
    first = load(source).folder
    change(source)
    assert load(source).folder != first
    assert len([path for path in cache.iterdir() if path.is_dir()]) == 2


def test_place_does_not_matter(source: MemorySource) -> None:
    first = load(source).folder
    source.place = "elsewhere"
    assert load(source).folder == first


def test_what_cannot_be_read_is_left_out_and_named(source: MemorySource) -> None:
    source.arrays = {"bad": "is no thing", **source.arrays}
    for _ in range(2):  # as it was built, and as it is found
        found = load(source)
        assert list(found.recordings) == ["a", "b", "c"]
        assert found.skipped == {"bad": "is no thing"}
        assert np.array_equal(found.recordings["b"], source.arrays["b"])


def test_a_problem_that_shows_early_is_named_without_reading(source: MemorySource, monkeypatch) -> None:
    items = source.items()
    monkeypatch.setattr(source, "items", lambda progress: [Item("link", 0, "", "a broken link"), *items])
    assert load(source).skipped == {"link": "a broken link"}
    assert "link" not in source.read_names


def test_nothing_to_read_is_an_error_and_leaves_nothing_behind(cache: Path) -> None:
    with pytest.raises(DataError) as caught:
        load(MemorySource({str(i): f"reason {i}" for i in range(9)}))
    assert str(caught.value).startswith("memory: none of its 9 things can be read, for example\n  0: reason 0\n")
    assert not [path for path in cache.iterdir() if path.is_dir()]


def damage_content(entry: Path) -> None:
    content = bytearray((entry / "00000.bin").read_bytes())
    content[100] ^= 1
    (entry / "00000.bin").write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        lambda entry: os.truncate(entry / "00000.bin", 100),
        lambda entry: (entry / "00001.bin").unlink(),
        lambda entry: os.truncate(entry / "index.json", 50),
        lambda entry: (entry / "index.json").write_text("[]"),
        lambda entry: (entry / "index.json").unlink(),
        damage_content,
    ],
    ids=["cut off", "shard gone", "index cut off", "index of another kind", "index gone", "a bit flipped"],
)
def test_a_damaged_entry_is_noticed_and_built_again(source: MemorySource, cache: Path, damage) -> None:
    load(source)
    damage(entry_of(cache))
    source.read_names.clear()
    again = load(source)
    assert source.read_names
    assert all(np.array_equal(again.recordings[name], rows) for name, rows in source.arrays.items())


def test_an_entry_that_was_copied_is_whole_though_its_times_differ(source: MemorySource, cache: Path) -> None:
    load(source)
    entry = entry_of(cache)
    for path in entry.iterdir():
        os.utime(path, (1, 1))
    source.read_names.clear()
    load(source)
    assert source.read_names == []


def test_an_interrupted_build_goes_on_where_it_stopped(source: MemorySource, cache: Path) -> None:
    def interrupted(write, jobs):
        yield write(jobs[0])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        decoded(source, silent, interrupted)
    assert source.read_names == ["a", "b"]
    assert np.array_equal(load(source).recordings["c"], source.arrays["c"])
    assert source.read_names == ["a", "b", "c"]


def test_an_interrupted_shard_is_decoded_again(source: MemorySource) -> None:
    def cut_off(write, jobs):
        (jobs[0].folder / "00000.json").write_text(json.dumps({"file": "00000.bin"}))
        (jobs[0].folder / "00000.bin").write_bytes(b"half")
        yield write(jobs[1])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        decoded(source, silent, cut_off)
    assert np.array_equal(load(source).recordings["a"], source.arrays["a"])


def test_what_is_only_unavailable_now_ends_the_build_and_is_read_later(source: MemorySource) -> None:
    class Offline(MemorySource):
        def read(self, item):
            if item.name == "c" and offline:
                raise UnavailableError("memory/c: the network is down")
            return super().read(item)

    remote, offline = Offline(source.arrays), True
    with pytest.raises(UnavailableError, match="network is down"):
        load(remote)
    offline = False
    assert load(remote).skipped == {}
    assert remote.read_names == ["a", "b", "c"]  # a and b once


def test_shards_may_come_in_any_order(source: MemorySource) -> None:
    found = decoded(source, silent, lambda write, jobs: map(write, reversed(jobs)))
    assert list(found.recordings) == ["a", "b", "c"]


def test_two_that_start_together_build_once(source: MemorySource) -> None:
    started, told = threading.Event(), threading.Event()
    reports: list[str] = []

    def slow(write, jobs):
        started.set()
        assert told.wait(10)
        return map(write, jobs)

    def report(description: str, done: int, total: int) -> None:
        reports.append(description)
        told.set()

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(decoded, source, silent, slow)
        assert started.wait(10)
        second = pool.submit(decoded, source, report)
        assert first.result().folder == second.result().folder
    assert source.read_names == ["a", "b", "c"]
    assert set(reports) == {"Waiting: another process decodes the same data"}


def test_progress_counts_items(source: MemorySource) -> None:
    calls: list[tuple[str, int, int]] = []
    decoded(source, lambda *call: calls.append(call))
    assert calls == [("Decoding things", 0, 3), ("Decoding things", 2, 3), ("Decoding things", 3, 3)]


def test_parts_of_one_item_must_agree(source: MemorySource, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = source._blocks
    changing = [noise(1, 4), noise(1, 5)]
    monkeypatch.setattr(source, "_blocks", lambda item: iter(changing) if item.name == "a" else blocks(item))
    assert load(source).skipped == {"a": "its parts differ in shape or type"}


def test_the_longest_unused_entries_make_room(source: MemorySource, cache: Path) -> None:
    entries = []
    for age, resolution in enumerate((1, 2, 3)):
        source.settings["resolution"] = resolution
        entries.append(load(source).folder)
        os.utime(entries[-1] / "index.json", (age, age))
    source.settings["resolution"] = 1
    load(source)  # used again: the second is now the oldest
    assert trim(cache, 2 * folder_bytes(entries[0])) == [entries[1]]
    assert [entry.is_dir() for entry in entries] == [True, False, True]
    assert trim(cache, 0, keep=entries[2]) == [entries[0]]


def test_a_new_entry_pushes_old_ones_out(source: MemorySource, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load(source).folder
    monkeypatch.setenv("NDVQ_TUNE_CACHE_LIMIT", "1KB")
    source.settings["resolution"] = 2
    second = load(source)
    assert second.folder.is_dir()
    assert not first.exists()


def test_rows_outlive_their_entry(source: MemorySource) -> None:
    found = load(source)
    shutil.rmtree(found.folder)
    assert np.array_equal(found.recordings["a"], source.arrays["a"])


def test_the_limit_is_a_size(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_limit() == 100 * 10**9
    monkeypatch.setenv("NDVQ_TUNE_CACHE_LIMIT", "2GiB")
    assert cache_limit() == 2 * 2**30
    monkeypatch.setenv("NDVQ_TUNE_CACHE_LIMIT", "plenty")
    with pytest.raises(DataError, match=r"NDVQ_TUNE_CACHE_LIMIT=plenty: needs a size such as"):
        cache_limit()


def test_the_root_is_in_the_home_folder_unless_told(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    assert cache_root() == cache
    monkeypatch.delenv("NDVQ_TUNE_CACHE")
    monkeypatch.setenv("HOME", "/somewhere")
    assert cache_root() == Path("/somewhere/.cache/ndvq_tune")


def test_a_cache_that_cannot_be_written_is_a_plain_error(source: MemorySource, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NDVQ_TUNE_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(DataError, match="set the environment variable NDVQ_TUNE_CACHE"):
        load(source)


def test_a_cache_that_may_only_be_read_is_used(source: MemorySource, monkeypatch: pytest.MonkeyPatch) -> None:
    load(source)
    source.read_names.clear()

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "utime", refuse)
    assert np.array_equal(load(source).recordings["a"], source.arrays["a"])
    assert source.read_names == []


def test_a_job_can_be_sent_to_another_process(source: MemorySource, tmp_path: Path) -> None:
    (job, *_) = shards.shard_jobs(source, source.items(), tmp_path)
    assert write_shard(pickle.loads(pickle.dumps(job))) == 2
    assert [recording.name for recording in job.done.recordings] == ["a", "b"]
