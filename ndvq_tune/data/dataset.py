"""A data set, checked and ready for training."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from ndvq_tune.config import VideoData
from ndvq_tune.data.cache import CachedSplit, CachedVideo, cached_split
from ndvq_tune.data.clips import ClipSet
from ndvq_tune.data.progress import Progress, silent
from ndvq_tune.data.samples import LAYOUT, ensure_samples
from ndvq_tune.data.video import VIDEO_SUFFIXES, find_videos
from ndvq_tune.errors import DataError


@dataclass(frozen=True)
class Dataset:
    """What a model is trained on and judged by.

    Attributes:
        train: Clips for training; with a small ``clip_stride`` they overlap.
        test: Clips for validation; they never overlap, so that no frame counts twice.
        mean: Mean of all values of the training videos, on the scale [0, 1].
        variance: Their variance, never 0.
        skipped: Files that are left out, as ``train/name.mp4``, with the reason.
    """

    train: ClipSet
    test: ClipSet
    mean: float
    variance: float
    skipped: dict[str, str]


def open_dataset(config: VideoData, progress: Progress | None = None) -> Dataset:
    """Opens a data set; the first time, its videos are decoded into the cache.

    Args:
        config: Where the videos are, and how clips are cut from them.
        progress: Called as ``progress(description, done, total)`` while samples are made and videos decoded.

    Raises:
        DataError: The folder or a split of it is missing or empty, no video in a split can be read, or all are shorter
            than a clip. Single files like that among good ones are only left out, and named in ``skipped``.
    """
    report = progress or silent
    ensure_samples(config.path, report)
    splits = {split: _split_folder(config.path, split) for split in ("train", "test")}
    files = {split: _videos_in(folder) for split, folder in splits.items()}
    skipped: dict[str, str] = {}
    usable: dict[str, tuple[CachedSplit, list[CachedVideo]]] = {}
    for split, folder in splits.items():
        cached = cached_split(folder, files[split], config.resolution, report)
        short = [video for video in cached.videos if video.frames < config.clip_length]
        if len(short) == len(cached.videos):
            raise _all_too_short(folder, short, config.clip_length)
        for name, reason in cached.skipped.items():
            skipped[f"{split}/{name}"] = reason
        for video in short:
            skipped[f"{split}/{video.name}"] = f"has {video.frames} frames, but clip_length is {config.clip_length}"
        usable[split] = cached, [video for video in cached.videos if video.frames >= config.clip_length]

    train, train_videos = usable["train"]
    test, test_videos = usable["test"]
    mean, variance = _moments(train_videos, train.frames[0].size)
    if variance == 0:
        raise DataError(
            f"{splits['train']}: every pixel of every video has the same value, so there is nothing to learn"
        )
    return Dataset(
        train=ClipSet(train.frames, train_videos, config.clip_length, config.clip_stride or config.clip_length),
        test=ClipSet(test.frames, test_videos, config.clip_length, config.clip_length),
        mean=mean,
        variance=variance,
        skipped=skipped,
    )


def _split_folder(path: Path, split: str) -> Path:
    folder = path / split
    if not folder.is_dir():
        found = sorted(entry.name for entry in path.iterdir())[:5] if path.is_dir() else "a file"
        raise DataError(f"{path}: there is no folder {split}/ in it (found: {found or 'nothing'}); {LAYOUT}")
    return folder


def _videos_in(folder: Path) -> list[Path]:
    files = find_videos(folder)
    if not files:
        kinds = ", ".join(sorted(suffix.removeprefix(".") for suffix in VIDEO_SUFFIXES))
        raise DataError(f"{folder}: there are no videos in it; these are read: {kinds} (folders may be nested)")
    return files


def _all_too_short(folder: Path, videos: Sequence[CachedVideo], clip_length: int) -> DataError:
    longest = max(videos, key=lambda video: video.frames)
    return DataError(
        f"{folder}: every video is shorter than clip_length={clip_length}; the longest, {longest.name}, has "
        f"{longest.frames} frames. Set data.clip_length to {longest.frames} or less, or use longer videos"
    )


def _moments(videos: Sequence[CachedVideo], values_per_frame: int) -> tuple[float, float]:
    # From whole numbers, so nothing is lost to rounding, however many frames there are.
    count = values_per_frame * sum(video.frames for video in videos)
    mean = Fraction(sum(video.total for video in videos), count)
    mean_of_squares = Fraction(sum(video.total_of_squares for video in videos), count)
    return float(mean / 255), float((mean_of_squares - mean**2) / 255**2)
