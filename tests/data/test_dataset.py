import shutil
import wave
from pathlib import Path

import fsspec
import numpy as np
import pytest
from PIL import Image

from ndvq_tune.config import ArrayData, ImageData, SignalData, TorchvisionData, VideoData
from ndvq_tune.config.card import Cut
from ndvq_tune.data.cache import decoding as cache_module
from ndvq_tune.data.dataset import open_dataset, sample_shape
from ndvq_tune.errors import DataError
from tests.data.data_examples import noise as array_noise


def config(path: Path, clip_length: int = 4, clip_stride: int | None = None, **options) -> VideoData:
    options = {"resolution": 16, "max_bad": 0.5} | options
    return VideoData(path=path, clip_length=clip_length, clip_stride=clip_stride, **options)


@pytest.fixture
def path(write_splits) -> Path:
    return write_splits({"train/a.mkv": 10, "train/deep er/b.mp4": 9, "test/c.mkv": 9})


def save_images(folder: Path, count: int, size: tuple[int, int] = (16, 16), seed: int = 0) -> list[np.ndarray]:
    folder.mkdir(parents=True, exist_ok=True)
    images = list(array_noise(count, *size, 3, seed=seed))
    for number, pixels in enumerate(images):
        Image.fromarray(pixels).save(folder / f"{number:03}.png")
    return images


def save_sound(path: Path, samples: np.ndarray, rate: int = 8000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())


def save_arrays(path: Path, train: np.ndarray, test: np.ndarray) -> Path:
    for split, array in (("train", train), ("test", test)):
        (path / split).mkdir(parents=True)
        np.save(path / split / "a.npy", array)
    return path


def test_videos_are_cut_into_clips(path: Path, noise) -> None:
    dataset = open_dataset(config(path, clip_stride=2))
    assert (len(dataset.train), len(dataset.test)) == (4 + 3, 2)
    assert dataset.train.shape == dataset.test.shape == config(path).sample_shape == sample_shape(config(path))
    assert (dataset.skipped, dataset.files) == ({}, 3)
    assert np.array_equal(dataset.test[[1]][0].numpy(), noise(9, 16, 16, 2)[4:8].transpose(3, 0, 1, 2))
    assert np.array_equal(dataset.train[[5]][0].numpy(), noise(9, 16, 16, 1)[2:6].transpose(3, 0, 1, 2))


def test_training_clips_do_not_overlap_unless_told(path: Path) -> None:
    assert len(open_dataset(config(path)).train) == 2 + 2


def test_frame_stride_skips_frames_within_a_clip(path: Path, noise) -> None:
    dataset = open_dataset(config(path, clip_length=3, frame_stride=2))
    assert (len(dataset.train), len(dataset.test)) == (2 + 1, 1)
    assert np.array_equal(dataset.train[[1]][0].numpy(), noise(10, 16, 16, 0)[5:10:2].transpose(3, 0, 1, 2))


def test_images_are_samples(tmp_path: Path) -> None:
    images = save_images(tmp_path / "train", 5)
    save_images(tmp_path / "test", 2, seed=1)
    dataset = open_dataset(ImageData(path=tmp_path, resolution=16))
    assert (len(dataset.train), len(dataset.test)) == (5, 2)
    assert dataset.train.shape == (3, 16, 16)
    assert np.array_equal(dataset.train[:].numpy(), np.stack(images).transpose(0, 3, 1, 2))
    assert dataset.variance == pytest.approx(np.var(np.stack(images) / 255, axis=(0, 1, 2)), rel=1e-12)


def test_random_crops_are_for_training_only(tmp_path: Path) -> None:
    images = save_images(tmp_path / "train", 3, (16, 24))
    held_out = save_images(tmp_path / "test", 2, (16, 24), seed=1)
    dataset = open_dataset(ImageData(path=tmp_path, resolution=12, resize=16, crop="random"))
    assert dataset.train.shape == dataset.test.shape == (3, 12, 12)
    assert np.array_equal(dataset.test[:].numpy(), np.stack(held_out)[:, 2:14, 6:18].transpose(0, 3, 1, 2))
    corner = dataset.train.read(np.array([2]), np.zeros((1, 2)))
    assert np.array_equal(corner[0].numpy(), images[2][:12, :12].transpose(2, 0, 1))


def test_signals_are_cut_into_windows_over_their_range(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).integers(-16384, 16384, 1000)
    samples[10] = -16384
    save_sound(tmp_path / "train" / "a.wav", samples)
    save_sound(tmp_path / "test" / "b.wav", samples[:500])
    dataset = open_dataset(SignalData(path=tmp_path, window=100, hop=50))
    assert (len(dataset.train), len(dataset.test)) == (19, 5)
    assert dataset.train.shape == (1, 100)
    assert (dataset.train.scale.low, dataset.train.scale.high) == (-0.5, 0.5)
    assert dataset.train[[1]][0, 0].numpy() == pytest.approx(samples[50:150] / 32768)
    assert dataset.mean == pytest.approx([(samples / 32768 + 0.5).mean()])
    assert dataset.variance == pytest.approx([(samples / 32768).var()])
    assert dataset.channel_names == ()


def test_the_card_of_videos_says_what_a_clip_is(path: Path, noise) -> None:
    dataset = open_dataset(config(path, clip_length=3, clip_stride=2, frame_stride=2, channels=1))
    card = dataset.card
    assert (card.type, card.source, card.files, card.channels, card.channel_names) == (
        "video",
        "folder",
        3,
        1,
        ("grey",),
    )
    assert (card.clip_length, card.resolution, card.dtype, card.low, card.high) == (3, 16, "uint8", 0, 255)
    assert (card.train_samples, card.test_samples) == (len(dataset.train), len(dataset.test))
    assert (card.frame_rate, card.file_rates) == (12.5, {25.0: 3})  # of every second frame
    assert (card.train_cut, card.test_cut) == (
        Cut(length=3, stride=2, step=2, crop=None), Cut(length=3, stride=5, step=2, crop=None)
    )  # fmt: skip
    stored = dataset.train[:]
    assert card.minimum <= stored.min() <= stored.max() <= card.maximum
    assert (card.sample_rate, card.resampled) == (None, {})


def test_the_fingerprint_is_that_of_the_content(path: Path, tmp_path: Path, noise, write_video) -> None:
    first = open_dataset(config(path)).card
    shutil.copytree(path, tmp_path / "moved")
    assert open_dataset(config(tmp_path / "moved", clip_length=2)).card.fingerprint == first.fingerprint
    write_video(path / "train" / "a.mkv", noise(10, 16, 16, 99))
    changed = open_dataset(config(path)).card
    assert changed.fingerprint != first.fingerprint
    assert changed.test_fingerprint == first.test_fingerprint


def test_the_card_of_arrays_has_their_type_and_range(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(40, 1000, (5, 2, 6, 4)).astype(np.float32)
    card = open_dataset(ArrayData(path=save_arrays(tmp_path / "a", values[:4], values[4:]))).card
    assert (card.dtype, card.low, card.high) == ("float32", values[:4].min(), values[:4].max())
    assert (card.minimum, card.maximum, card.channels) == (card.low, card.high, 2)
    assert (card.clip_length, card.resolution, card.sample_rate, card.frame_rate) == (None, None, None, None)


def test_the_card_of_a_table_names_its_columns_and_has_no_rate(tmp_path: Path) -> None:
    for split in ("train", "test"):
        (tmp_path / split).mkdir()
        (tmp_path / split / "a.csv").write_text("x,y\n" + "\n".join(f"{n},{-n}" for n in range(40)))
    card = open_dataset(SignalData(path=tmp_path, window=8, columns=("y", "x"), sample_rate=100)).card
    assert (card.channel_names, card.clip_length, card.sample_rate, card.file_rates) == (("y", "x"), 8, None, {})


def test_the_card_says_which_sounds_were_resampled(tmp_path: Path) -> None:
    tone = 8000 * np.sin(np.arange(4000) / 4)
    for name, rate in (("train/a.wav", 8000), ("train/b.wav", 16000), ("train/c.wav", 16000), ("test/d.wav", 4000)):
        save_sound(tmp_path / name, tone, rate)
    for _ in range(2):  # decoded, then from the cache
        card = open_dataset(SignalData(path=tmp_path, window=1000)).card
        assert card.sample_rate == 4000  # of the first by name, which is in test/
        assert card.file_rates == {4000: 1, 8000: 1, 16000: 2}
        assert card.resampled == {8000: 1, 16000: 2}
    by_time = open_dataset(SignalData(path=tmp_path, window=500, sample_rate=8000, split=0.5, split_by="time")).card
    assert (by_time.sample_rate, by_time.files, by_time.resampled) == (8000, 4, {4000: 1, 16000: 2})
    assert by_time.file_rates == card.file_rates  # each file once, though it is on both sides


def test_all_sounds_get_the_rate_of_the_first(tmp_path: Path) -> None:
    tone = 8000 * np.sin(np.arange(4000) / 4)
    save_sound(tmp_path / "train" / "a.wav", tone)
    save_sound(tmp_path / "train" / "b.wav", tone, rate=16000)
    save_sound(tmp_path / "test" / "c.wav", tone, rate=4000)
    dataset = open_dataset(SignalData(path=tmp_path, window=1000))
    # c.wav comes first: the folder test/ is before train/
    assert (len(dataset.train), len(dataset.test)) == (2 + 1, 4)
    assert len(open_dataset(SignalData(path=tmp_path, window=1000, sample_rate=16000)).train) == 8 + 4


def test_arrays_keep_their_type_and_are_used_where_they_lie(tmp_path: Path, cache: Path) -> None:
    train = np.random.default_rng(0).normal(5, 2, (6, 2, 3, 4, 5)).astype(np.float32)
    dataset = open_dataset(ArrayData(path=save_arrays(tmp_path / "arrays", train, train[:2])))
    assert dataset.train.shape == (2, 3, 4, 5)
    assert np.array_equal(dataset.train[[4, 1]].numpy(), train[[4, 1]])
    unit = (train - train.min()) / (train.max() - train.min())
    assert dataset.mean == pytest.approx(unit.mean(axis=(0, 2, 3, 4)), rel=1e-5)
    assert dataset.variance == pytest.approx(unit.var(axis=(0, 2, 3, 4)), rel=1e-5)
    assert sum(path.stat().st_size for path in cache.rglob("*.bin")) == 0


def test_the_shape_of_arrays_comes_from_a_header_and_nothing_else_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("ndvq_tune.data.folder.source.digests")
    array = np.zeros((6, 3, 4, 5, 2), np.int16)
    save_arrays(tmp_path / "arrays", array, array)
    assert sample_shape(ArrayData(path=tmp_path / "arrays", axes="NTHWC")) == (2, 3, 4, 5)


def test_torchvision_data_sets_are_divided(tmp_path: Path) -> None:
    options = {"size": 20, "image_size": [3, 20, 24]}
    dataset = open_dataset(TorchvisionData(path=tmp_path, name="FakeData", options=options, split=0.8, resolution=16))
    assert (len(dataset.train), len(dataset.test)) == (16, 4)
    assert dataset.train.shape == (3, 16, 16)


def test_a_folder_without_splits_is_divided_by_file_or_by_time(tmp_path: Path, write_video, noise) -> None:
    for number in range(5):
        write_video(tmp_path / "videos" / f"{number}.mkv", noise(20, 16, 16, number))
    by_file = open_dataset(config(tmp_path / "videos", split=0.8))
    by_time = open_dataset(config(tmp_path / "videos", split=0.8, split_by="time"))
    assert by_file.files == by_time.files == 5
    assert (len(by_file.train), len(by_file.test)) == (4 * 5, 5)
    assert (len(by_time.train), len(by_time.test)) == (5 * 4, 5 * 1)
    for dataset in (by_file, by_time):
        seen = {clip.tobytes() for clip in dataset.train[:].numpy()}
        assert not seen & {clip.tobytes() for clip in dataset.test[:].numpy()}
    assert by_time.pooled_variance == pytest.approx(by_time.train[:].double().div(255).var(correction=0).item())


@pytest.mark.parametrize("split", [{}, {"split": 0.5, "split_by": "time"}], ids=["folders", "by time"])
def test_files_of_another_kind_are_named_and_neither_counted_as_bad_nor_part_of_the_data(
    write_splits, split: dict[str, object]
) -> None:
    path = write_splits({"train/a.mkv": 10, "test/c.mkv": 9})
    before = open_dataset(config(path, max_bad=0, **split))
    (path / "train" / "phone").mkdir()
    for name in ("phone/b.3GP", "phone/d.heic", "labels.json", "README"):
        (path / "train" / name).write_bytes(b"x")
    after = open_dataset(config(path, max_bad=0, **split))
    assert (before.files, after.files) == (2, 4)
    folder = "train/train/" if split else "train/"  # the whole folder is divided, so names begin below it
    reason = "is not read as video; these are: avi, gif, mkv, mov, mp4, webm"
    assert after.skipped == {f"{folder}phone/b.3GP": f".3gp {reason}", f"{folder}phone/d.heic": f".heic {reason}"}
    assert np.array_equal(after.train[:].numpy(), before.train[:].numpy())


def test_a_folder_with_nothing_but_another_kind_says_what_is_there(tmp_path: Path) -> None:
    save_images(tmp_path / "train", 2)
    save_images(tmp_path / "test", 1)
    with pytest.raises(DataError, match=r"there are no videos in it \(found: 000.png, 001.png\); these are read: avi"):
        open_dataset(config(tmp_path))


def test_mean_and_variance_are_those_of_each_channel_over_all_training_frames(path: Path, noise) -> None:
    dataset = open_dataset(config(path))
    values = np.concatenate([noise(10, 16, 16, 0), noise(9, 16, 16, 1)]).astype(np.float64) / 255
    assert dataset.mean == pytest.approx(values.mean(axis=(0, 1, 2)), rel=1e-12)
    assert dataset.variance == pytest.approx(values.var(axis=(0, 1, 2)), rel=1e-12)
    assert dataset.pooled_variance == pytest.approx(values.var(), rel=1e-12)


def test_pooled_ones_are_those_of_all_values_together(path: Path, noise) -> None:
    dataset = open_dataset(config(path, normalise="pooled"))
    values = np.concatenate([noise(10, 16, 16, 0), noise(9, 16, 16, 1)]).astype(np.float64) / 255
    assert (dataset.mean, dataset.variance) == pytest.approx((values.mean(), values.var()), rel=1e-12)
    assert dataset.pooled_variance == dataset.variance


def test_loud_and_quiet_columns_are_each_on_their_own_scale_and_keep_their_names(tmp_path: Path) -> None:
    table = np.random.default_rng(0).normal([5, -1], [10, 0.01], (400, 2))
    for split in ("train", "test"):
        (tmp_path / split).mkdir()
        np.savetxt(tmp_path / split / "a.csv", table, delimiter=",", header="loud,quiet", comments="", fmt="%.8f")
    dataset = open_dataset(SignalData(path=tmp_path, window=100, columns=("quiet", "loud")))
    reach = np.abs(table).max()
    unit = (table[:, ::-1] / reach + 1) / 2
    assert dataset.channel_names == ("quiet", "loud")
    assert dataset.mean == pytest.approx(unit.mean(0), rel=1e-6)
    assert dataset.variance == pytest.approx(unit.var(0), rel=1e-4)
    assert dataset.pooled_variance == pytest.approx(unit.var(), rel=1e-6)


@pytest.mark.parametrize("alpha", [255, 0, 77])
def test_a_constant_channel_has_the_variance_of_all_values(tmp_path: Path, alpha: int) -> None:
    pixels = array_noise(4, 16, 16, 4)
    pixels[..., 3] = alpha
    for number, image in enumerate(pixels):
        for split in ("train", "test"):
            (tmp_path / split).mkdir(exist_ok=True)
            Image.fromarray(image).save(tmp_path / split / f"{number}.png")
    dataset = open_dataset(ImageData(path=tmp_path, resolution=16, channels=4))
    unit = dataset.train[:].numpy().astype(np.float64) / 255
    assert np.ptp(unit[:, 3]) == 0
    assert dataset.mean == pytest.approx(unit.mean(axis=(0, 2, 3)), rel=1e-12)
    assert dataset.variance == pytest.approx([*unit.var(axis=(0, 2, 3))[:3], unit.var()], rel=1e-12)


def test_a_channel_that_only_rounding_varies_counts_as_constant(tmp_path: Path) -> None:
    array = np.random.default_rng(0).normal(size=(6, 2, 8, 8))
    array[:, 1] = 0.1 + 1e-8 * array[:, 1]
    dataset = open_dataset(ArrayData(path=save_arrays(tmp_path, array, array)))
    unit = (array[:, 0] - array.min()) / np.ptp(array)
    assert dataset.variance == pytest.approx([unit.var(), dataset.pooled_variance])


def test_opening_again_decodes_and_measures_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = open_dataset(config(path))
    monkeypatch.delattr(cache_module, "_build")
    calls: list[str] = []
    again = open_dataset(config(path), lambda description, done, total: calls.append(description))
    assert (again.mean, again.variance) == (first.mean, first.variance)
    assert not [call for call in calls if call.startswith(("Decoding", "Measuring"))]


def test_how_clips_are_cut_needs_no_new_decoding(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_dataset(config(path))
    monkeypatch.delattr(cache_module, "_build")
    assert len(open_dataset(config(path, clip_length=2, clip_stride=1)).train) == 9 + 8
    assert len(open_dataset(config(path, clip_length=2, frame_stride=3)).train) == 2 + 2


def test_other_settings_of_decoding_do(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_dataset(config(path))
    monkeypatch.delattr(cache_module, "_build")
    with pytest.raises(NameError):
        open_dataset(config(path, channels=1))


def test_bad_files_among_good_ones_are_named_and_left_out(path: Path, write_video, noise) -> None:
    (path / "train" / "text.mp4").write_text("not a video")
    write_video(path / "train" / "short.mkv", noise(3, 16, 16))
    (path / "test" / "empty.mp4").write_bytes(b"")
    dataset = open_dataset(config(path))
    assert set(dataset.skipped) == {"train/text.mp4", "train/short.mkv", "test/empty.mp4"}
    assert dataset.files == 6
    assert dataset.skipped["train/text.mp4"].startswith("not a readable video")
    assert dataset.skipped["train/short.mkv"] == "has 3 frames, but a clip needs 4 (data.clip_length)"
    assert dataset.skipped["test/empty.mp4"] == "the file is empty"
    values = np.concatenate([noise(10, 16, 16, 0), noise(9, 16, 16, 1)]) / 255
    assert dataset.pooled_variance == pytest.approx(values.var(), rel=1e-12)
    assert len(dataset.train) == 2 + 2


def error_of(settings) -> str:
    with pytest.raises(DataError) as caught:
        open_dataset(settings)
    return str(caught.value)


def test_more_bad_files_than_allowed_are_an_error(tmp_path: Path) -> None:
    save_images(tmp_path / "train", 18)
    save_images(tmp_path / "test", 2)
    for number in range(2):
        (tmp_path / "train" / f"bad{number}.png").write_bytes(b"")
    assert len(open_dataset(ImageData(path=tmp_path, resolution=16)).skipped) == 2
    (tmp_path / "train" / "bad2.png").write_bytes(b"")
    message = error_of(ImageData(path=tmp_path, resolution=16))
    assert message.startswith(
        f"{tmp_path}/train: 3 of its 21 images cannot be used, more than data.max_bad: 0.1 allows"
    )
    assert "bad0.png: the file is empty" in message
    assert len(open_dataset(ImageData(path=tmp_path, resolution=16, max_bad=0.2)).skipped) == 3


def test_arrays_of_another_shape_or_type_than_most_are_bad(tmp_path: Path) -> None:
    save_arrays(tmp_path, array_noise(4, 1, 8, 8), array_noise(2, 1, 8, 8))
    np.save(tmp_path / "train" / "b.npy", array_noise(4, 1, 8, 8, seed=1))
    np.save(tmp_path / "train" / "c.npy", array_noise(4, 1, 8, 9))
    np.save(tmp_path / "train" / "d.npy", array_noise(4, 3, 8, 8))
    np.save(tmp_path / "train" / "e.npy", array_noise(4, 1, 8, 8, dtype="f4"))
    dataset = open_dataset(ArrayData(path=tmp_path, max_bad=0.6))
    assert dataset.skipped == {
        "train/c.npy": "is uint8 of 8 x 9 and 1 channels, the others are uint8 of 8 x 8 and 1 channels",
        "train/d.npy": "is uint8 of 8 x 8 and 3 channels, the others are uint8 of 8 x 8 and 1 channels",
        "train/e.npy": "is float32 of 8 x 8 and 1 channels, the others are uint8 of 8 x 8 and 1 channels",
    }


def test_an_array_with_nan_is_bad(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(5, 1, 4, 4))
    save_arrays(tmp_path, values, values)
    values[3, 0, 1, 2] = np.nan
    np.save(tmp_path / "train" / "nan.npy", values)
    dataset = open_dataset(ArrayData(path=tmp_path, max_bad=0.5))
    assert list(dataset.skipped) == ["train/nan.npy"]
    assert np.isfinite(dataset.pooled_variance)


def test_missing_folder(tmp_path: Path) -> None:
    message = error_of(config(tmp_path / "nowhere"))
    assert message.startswith(f"{tmp_path / 'nowhere'}: no such folder")
    assert "data/video_dataset" in message


@pytest.mark.parametrize("split", ["train", "test"])
def test_missing_split(path: Path, split: str) -> None:
    shutil.rmtree(path / split)
    message = error_of(config(path))
    assert message.startswith(f"{path}: there is no folder {split}/ in it (found: ")
    assert {"train": "test", "test": "train"}[split] in message
    assert "data.split" in message


def test_file_in_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"x")
    assert error_of(config(tmp_path / "clip.mp4")).startswith(f"{tmp_path / 'clip.mp4'}: ")


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
    assert message.startswith(f"{path / 'train'}: none of its 2 videos can be used")
    assert "a.mkv: has 10 frames, but a clip needs 11 (data.clip_length)" in message


def test_training_videos_of_one_colour(tmp_path: Path, write_video, noise) -> None:
    write_video(tmp_path / "train" / "a.mkv", np.full((5, 16, 16, 3), 7, np.uint8))
    write_video(tmp_path / "test" / "a.mkv", noise(5, 16, 16))
    assert "nothing to learn" in error_of(config(tmp_path))


def test_names_with_spaces_and_letters_of_any_alphabet(tmp_path: Path, write_video, noise) -> None:
    for seed, name in enumerate(("träin ng/öl 1.mkv", "путь/видео.mkv", "動画 #%?.mkv")):
        write_video(tmp_path / "train" / name, noise(5, 16, 16, seed))
    write_video(tmp_path / "test" / "ü.mkv", noise(5, 16, 16))
    assert len(open_dataset(config(tmp_path)).train) == 3


def test_data_may_lie_behind_a_uri(tmp_path: Path, cache: Path) -> None:
    images = save_images(tmp_path / "train", 3)
    save_images(tmp_path / "test", 2, seed=1)
    (tmp_path / "train" / "bad.png").write_bytes(b"no image")
    store = fsspec.filesystem("memory")
    store.put(str(tmp_path / "train"), "/bucket/train", recursive=True)
    store.put(str(tmp_path / "test"), "/bucket/test", recursive=True)
    dataset = open_dataset(ImageData(path="memory://bucket", resolution=16, max_bad=0.5))
    assert np.array_equal(dataset.train[:].numpy(), np.stack(images).transpose(0, 3, 1, 2))
    ((name, reason),) = dataset.skipped.items()
    assert name == "train/bad.png"
    assert str(tmp_path) not in reason
    assert "/tmp" not in reason
    store.rm("/bucket", recursive=True)


def test_a_split_may_lie_behind_a_file_uri(path: Path) -> None:
    assert len(open_dataset(config(f"file://{path}")).train) == 4
