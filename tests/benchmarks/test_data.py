from pathlib import Path

import pytest

from benchmarks import data
from ndvq_tune.config import VideoData


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NDVQ_TUNE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> VideoData:
    monkeypatch.chdir(tmp_path)
    return VideoData(path=data.many_clips(tmp_path, copies=1), clip_length=8, resolution=16)


def test_all_ways_deliver_the_same_clips(clips: VideoData) -> None:
    per_clip, per_file = data.decode_passes(clips)
    (first, later), dataset = data.cache_passes(clips, epochs=3)
    assert per_clip.frames == 8 * len(dataset.train)
    assert per_clip.frames <= per_file.frames < per_clip.frames + 3 * 8
    batch = data.BATCH * 8
    assert first.frames == later.frames == per_clip.frames // batch * batch


def test_a_rate_is_frames_over_seconds() -> None:
    assert data.Pass("way", 100, 4.0).rate == 25


def test_the_sparse_array_is_large_and_takes_hardly_any_disk(tmp_path: Path) -> None:
    data.sparse_array(tmp_path / "sparse", gigabytes=0.05)
    status = (tmp_path / "sparse" / "train" / "images.npy").stat()
    assert status.st_size == pytest.approx(0.05e9, rel=0.01)
    assert status.st_blocks * 512 < 0.02 * status.st_size


@pytest.mark.slow
def test_memory_is_measured_in_a_process_of_its_own(tmp_path: Path) -> None:
    found = data.memory_of(0.01, tmp_path / "sparse")
    assert found["samples"] == int(0.01e9) // 64**2
    assert found["peak_bytes"] > 1e8
