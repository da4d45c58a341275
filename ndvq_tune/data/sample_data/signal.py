"""Sample sounds: the sound track of a sample clip, cut by time into train and test."""

import wave
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from ndvq_tune.data.cache.source import Progress
from ndvq_tune.data.sample_data import installed

RATE = 48_000

_CLIP = "bigbuckbunny.mp4"
_TRAIN_SHARE = 0.8
_FULL_SCALE = 2**15 - 1


def make(folder: Path, progress: Progress) -> None:
    """Fills ``folder/train`` and ``folder/test`` with WAV files of about a second, 16 bit.

    Raises:
        DataError: The clip is not installed.
    """
    (clip,) = installed.clips([_CLIP])
    progress("Cutting sample sounds", 0, 1)
    sound = mono(clip)
    first_test = round(_TRAIN_SHARE * len(sound))
    for split, part in {"train": sound[:first_test], "test": sound[first_test:]}.items():
        for number, piece in enumerate(np.array_split(part, max(1, round(len(part) / RATE)))):
            _write(folder / split / f"{clip.stem}_{number}.wav", piece)
    progress("Cutting sample sounds", 1, 1)


def mono(path: Path) -> npt.NDArray[np.float32]:
    """The mean of all channels ``(L,)`` of a sound track in floating point, one plane a channel; full scale is 1."""
    with av.open(str(path)) as container:
        planes = [frame.to_ndarray() for frame in container.decode(audio=0)]
    mean: npt.NDArray[np.float32] = np.concatenate(planes, axis=1).mean(axis=0)
    return mean


def _write(path: Path, sound: npt.NDArray[np.float32]) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(np.rint(np.clip(sound, -1, 1) * _FULL_SCALE).astype("<i2").tobytes())
