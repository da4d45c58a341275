"""Sounds and what a model makes of them: to listen to, and as spectrograms."""

from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np

from ndvq_tune.atomic import replacing
from ndvq_tune.config.card import DataCard
from ndvq_tune.pictures.sheet import save
from ndvq_tune.pictures.showcase import Sound
from ndvq_tune.pictures.spectrograms import decibels, spectrogram

if TYPE_CHECKING:
    from torch import Tensor

    from ndvq_tune.pictures.waveforms import Signal

_LAYOUTS = {1: "mono", 2: "stereo"}
_SLOWEST, _FASTEST = 3_000, 192_000
_FULL_SCALE = 2**15 - 1


def audible_rate(card: DataCard | None) -> int | None:
    """The sample rate of data that can be listened to, in Hz; None of all other data.

    That is what came from files of sounds: other signals have no rate on their card. One or two channels can be played,
    at a rate that all browsers take.

    Args:
        card: The data card; None of data that was made in memory.
    """
    if card is None or card.sample_rate is None or card.channels not in _LAYOUTS:
        return None
    return round(card.sample_rate) if _SLOWEST <= card.sample_rate <= _FASTEST else None


def write_sound(original: "Tensor", reconstructed: "Tensor", rate: int, places: Sound) -> None:
    """Writes a sound and its reconstruction, equally loud, and spectrograms of both on one scale.

    FLAC is half as large as WAV, adds nothing to what the model made, and is played by all browsers; Opus would be
    smaller, but Safari plays it in few files only.

    Args:
        original: A sound ``(C, L)`` in [0, 1], of one or two channels, silent at 1/2; 0 and 1 become full scale.
        reconstructed: What a model made of it; what is outside [0, 1] is cut off.
        rate: Steps a second.
        places: The files to write.
    """
    waves = [_wave(sound) for sound in (original, reconstructed)]
    levels = [decibels(wave, rate) for wave in waves]
    loudest = float(levels[0].max())
    for heard, wave, level in zip((places.original, places.reconstructed), waves, levels, strict=True):
        _write(wave, rate, heard.audio)
        save(spectrogram(level - loudest, rate, wave.shape[1] / rate), heard.spectrogram)


def _wave(sound: "Tensor") -> "Signal":
    """Values about silence, within [-1, 1]."""
    wave: Signal = (np.nan_to_num(sound.detach().cpu().float().numpy(), nan=0.5) * 2 - 1).clip(-1, 1)
    return wave


def _write(wave: "Signal", rate: int, path: Path) -> None:
    layout = _LAYOUTS[len(wave)]
    steps = np.rint(wave.T * _FULL_SCALE).astype(np.int16)
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(steps).reshape(1, -1), format="s16", layout=layout)
    frame.sample_rate = rate
    with replacing(path) as draft, av.open(str(draft.absolute()), "w", format="flac") as container:
        stream = container.add_stream("flac", rate=rate, layout=layout)
        stream.format = "s16"
        for part in (frame, None):  # None ends it
            container.mux(stream.encode(part))
