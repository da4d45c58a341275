import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from ndvq_tune.config import RunConfig
from ndvq_tune.data.dataset import open_dataset
from ndvq_tune.training.checkpoint import pack
from ndvq_tune.training.files import write
from ndvq_tune.training.loop import Training

DATA: dict[str, dict[str, Any]] = {
    "video": {"clip_length": 4, "resolution": 16},
    "image": {"resolution": 16},
    "signal": {"window": 64},
    "array": {"axes": "NCHW"},
}
FACTORS = {"video": [2, 4, 4], "image": [4, 4], "signal": [8], "array": [4, 4]}
SMALL = {"n_codes": 300, "embedding_dim": 2, "n_hiddens": 8, "n_res_layers": 1}


def smooth(*shape: int, seed: int) -> np.ndarray:
    """Waves of bytes ``(*S, C)``."""
    chance = np.random.default_rng(seed)
    grid = np.meshgrid(*(np.arange(size) for size in shape), indexing="ij")
    phase = sum(axis * step for axis, step in zip(grid, chance.uniform(0.05, 0.5, len(shape)), strict=True))
    return (127.5 + 127.5 * np.sin(phase)).astype(np.uint8)


def write_video(path: Path, length: int, seed: int, rate: int = 20) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"crf": "10"})
        stream.width, stream.height, stream.pix_fmt = 40, 24, "yuv420p"
        for picture in smooth(length, 24, 40, 3, seed=seed):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode())


def write_sound(path: Path, length: int, seed: int, rate: int = 8000) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(((smooth(length, seed=seed).astype(int) - 128) * 200).astype("<i2").tobytes())


def write_file(folder: Path, name: str, length: int, seed: int) -> None:
    """A file of the kind that its suffix says; what length means, too."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    match path.suffix:
        case ".mp4" | ".avi":
            write_video(path, length, seed)
        case ".png":
            Image.fromarray(smooth(length, length + 5, 3, seed=seed)).save(path)
        case ".wav":
            write_sound(path, length, seed)
        case _:
            np.save(path, smooth(length, 16, 16, 2, seed=seed).transpose(0, 3, 1, 2).astype(np.float32))


SUFFIX = {"video": ".mp4", "image": ".png", "signal": ".wav", "array": ".npy"}
LENGTH = {"video": 23, "image": 40, "signal": 1001, "array": 6}


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Trains a small model on small files of a type."""
    monkeypatch.setenv("NDVQ_TUNE_CACHE", str(tmp_path / "cache"))

    def train(type_: str, seed: int = 0, **model: object) -> Path:
        files, folder = tmp_path / "training" / type_, tmp_path / f"{type_}-{seed}"
        for number, split in enumerate(("train", "train", "test")):
            write_file(files, f"{split}/{number}{SUFFIX[type_]}", LENGTH[type_], number)
        settings = {
            "data": {"type": type_, "path": str(files), **DATA[type_]},
            "model": {"n_dims": len(FACTORS[type_]), "downsample": FACTORS[type_], **SMALL, **model},
            "training": {"max_epochs": 1, "batch_size": 4, "seed": seed},
        }
        run = RunConfig.model_validate(settings)
        training = Training(run, open_dataset(run.data))
        training.run_epoch()
        write(folder, pack(training))
        return folder

    return train


@pytest.fixture
def files(tmp_path: Path) -> Callable[..., Path]:
    """A folder with files of a type, two of them in folders of it."""

    def make(type_: str) -> Path:
        folder = tmp_path / "files" / type_
        for number, name in enumerate(("a", "b/c", "b/d")):
            write_file(folder, name + SUFFIX[type_], LENGTH[type_] + number, number + 5)
        return folder

    return make
