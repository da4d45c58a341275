import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from ndvq_tune.config import VideoData
from ndvq_tune.data import cache as cache_module
from ndvq_tune.data import open_dataset
from ndvq_tune.errors import DataError


def config(path: Path, clip_length: int = 4, clip_stride: int | None = None, resolution: int = 16) -> VideoData:
    return VideoData(path=path, clip_length=clip_length, clip_stride=clip_stride, resolution=resolution)


@pytest.fixture
def path(write_splits) -> Path:
    return write_splits({"train/a.mkv": 10, "train/deep er/b.mp4": 9, "test/c.mkv": 9})


def test_train_and_test_are_cut_into_clips(path: Path, noise) -> None:
    dataset = open_dataset(config(path, clip_stride=2))
    assert (len(dataset.train), len(dataset.test)) == (4 + 3, 2)
    assert dataset.train.shape == dataset.test.shape == config(path).sample_shape
    assert dataset.skipped == {}
    assert np.array_equal(dataset.test[[1]][0].numpy(), noise(9, 16, 16, 2)[4:8].transpose(3, 0, 1, 2))
    assert np.array_equal(dataset.train[[5]][0].numpy(), noise(9, 16, 16, 1)[2:6].transpose(3, 0, 1, 2))


def test_training_clips_do_not_overlap_unless_told(path: Path) -> None:
    assert len(open_dataset(config(path)).train) == 2 + 2


def test_mean_and_variance_are_those_of_all_training_frames(path: Path, noise) -> None:
    dataset = open_dataset(config(path))
    values = np.concatenate([noise(10, 16, 16, 0), noise(9, 16, 16, 1)]).astype(np.float64) / 255
    assert dataset.mean == pytest.approx(values.mean(), rel=1e-12)
    assert dataset.variance == pytest.approx(values.var(), rel=1e-12)


def test_opening_again_is_cheap(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_dataset(config(path))
    monkeypatch.delattr(cache_module, "read_frames")
    began = time.perf_counter()
    calls: list[str] = []
    open_dataset(config(path), lambda description, done, total: calls.append(description))
    assert time.perf_counter() - began < 0.1
    assert calls == []


def test_clip_settings_need_no_new_decoding(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_dataset(config(path))
    monkeypatch.delattr(cache_module, "read_frames")
    assert len(open_dataset(config(path, clip_length=2, clip_stride=1)).train) == 9 + 8


def test_bad_files_among_good_ones_are_named_and_left_out(path: Path, write_video, noise) -> None:
    (path / "train" / "text.mp4").write_text("not a video")
    write_video(path / "train" / "short.mkv", noise(3, 16, 16))
    (path / "test" / "empty.mp4").write_bytes(b"")
    dataset = open_dataset(config(path))
    assert set(dataset.skipped) == {"train/text.mp4", "train/short.mkv", "test/empty.mp4"}
    assert dataset.skipped["train/text.mp4"].startswith("not a readable video")
    assert dataset.skipped["train/short.mkv"] == "has 3 frames, but clip_length is 4"
    assert dataset.skipped["test/empty.mp4"] == "the file is empty"
    values = np.concatenate([noise(10, 16, 16, 0), noise(9, 16, 16, 1)]) / 255
    assert dataset.variance == pytest.approx(values.var(), rel=1e-12)
    assert len(dataset.train) == 2 + 2


def error_of(settings: VideoData) -> str:
    with pytest.raises(DataError) as caught:
        open_dataset(settings)
    return str(caught.value)


def test_missing_folder(tmp_path: Path) -> None:
    message = error_of(config(tmp_path / "nowhere"))
    assert message.startswith(f"{tmp_path / 'nowhere'}: no such folder")
    assert "train/ and test/" in message
    assert "data/video_dataset" in message


@pytest.mark.parametrize("split", ["train", "test"])
def test_missing_split(path: Path, split: str) -> None:
    shutil.rmtree(path / split)
    message = error_of(config(path))
    assert message.startswith(f"{path}: there is no folder {split}/ in it (found: ")
    assert {"train": "test", "test": "train"}[split] in message


def test_file_in_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"x")
    assert "found: a file" in error_of(config(tmp_path / "clip.mp4"))


def test_split_without_videos(path: Path) -> None:
    (path / "test" / "c.mkv").rename(path / "test" / "c.txt")
    message = error_of(config(path))
    assert message.startswith(f"{path / 'test'}: there are no videos in it")
    assert all(kind in message for kind in ("mp4", "mkv", "avi", "webm", "mov", "gif"))


def test_split_with_damaged_videos_only(path: Path) -> None:
    (path / "test" / "c.mkv").write_bytes(b"")
    message = error_of(config(path))
    assert message.startswith(f"{path / 'test'}: none of its 1 videos can be read")
    assert "c.mkv: the file is empty" in message


def test_split_with_short_videos_only(path: Path) -> None:
    message = error_of(config(path, clip_length=11))
    assert message.startswith(f"{path / 'train'}: every video is shorter than clip_length=11")
    assert "the longest, a.mkv, has 10 frames" in message
    assert "data.clip_length to 10 or less" in message


def test_training_videos_of_one_colour(tmp_path: Path, write_video, noise) -> None:
    write_video(tmp_path / "train" / "a.mkv", np.full((5, 16, 16, 3), 7, np.uint8))
    write_video(tmp_path / "test" / "a.mkv", noise(5, 16, 16))
    assert "nothing to learn" in error_of(config(tmp_path))
