"""Reads sounds with FFmpeg, and notices where they are damaged or cut off."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from ndvq_tune.config.data import SignalData
from ndvq_tune.data.readers.truncation import sound_is_cut_off
from ndvq_tune.errors import DataError
from ndvq_tune.quantities import count_text

SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".mp3"})

LOST = 0.01  # seconds without sound between two frames: far above rounding, and below what one lost packet leaves
LOST_AT_END = 0.1  # codecs pad the last frame, or leave it out


def read_sound(path: Path, config: SignalData) -> Iterator[npt.NDArray[np.float32]]:
    """Decodes a sound, at ``config.sample_rate`` or else its own.

    Args:
        path: The file.
        config: The sample rate in Hz, and the channels: the file's own, or 1 for their mean.

    Yields:
        Pieces of shape ``(n, C)``: one decoded frame each.

    Raises:
        DataError: The file is not a sound, is damaged or cut off, or has other channels. A cut-off mp3 is noticed only
            if its first frame states the length, as LAME's does; a damaged wav never is.
    """
    # PyAV drops FFmpeg's own messages unless a log level is set, so nothing here writes to stderr.
    try:
        if sound_is_cut_off(path):
            raise DataError(f"{path}: the sound is cut off: its header states more than there is")
        with _open(path) as container:
            yield from _steps(path, _frames(path, container), config)
    except av.FFmpegError as error:
        raise DataError(f"{path}: not a readable sound ({error.strerror})") from error


def sample_rate_of(path: Path) -> int | None:
    """The sample rate in Hz that a sound states, or None for what is not a readable sound."""
    try:
        with _open(path) as container:
            return next((stream.rate for stream in container.streams.audio if stream.codec_context), None)
    except (av.FFmpegError, OSError):
        return None


def _open(path: Path) -> Any:
    # Absolute, or FFmpeg takes what is before a colon for a protocol; and titles are not always UTF-8.
    return av.open(str(path.absolute()), metadata_errors="replace")


def _steps(path: Path, frames: Iterator[Any], config: SignalData) -> Iterator[npt.NDArray[np.float32]]:
    first = next(frames, None)
    if first is None:
        return
    channels = first.layout.nb_channels
    if config.n_channels not in (1, channels):
        raise DataError(
            f"{path}: has {count_text(channels, 'channel')}, but data.channels is {config.n_channels};"
            f" allowed: 1 (the mean of all){f' or {channels}' * (channels > 1)}"
        )
    # Interleaved: PyAV 18 crashes on planar frames of 8 channels or more.
    resampler = av.AudioResampler(format="flt", rate=config.sample_rate)
    for frame in chain([first], frames, [None]):  # None flushes it
        if frame is not None and _kind(frame) != _kind(first):
            raise DataError(f"{path}: its sample rate or its channels change on the way")
        for resampled in resampler.resample(frame):
            steps = resampled.to_ndarray().reshape(-1, channels)
            # FFmpeg's own mixing weighs the channels by where their loudspeakers stand.
            yield steps if config.n_channels == channels else steps.mean(axis=1, keepdims=True)


def _kind(frame: Any) -> tuple[int, int]:
    return frame.sample_rate, frame.layout.nb_channels


def _frames(path: Path, container: Any) -> Iterator[Any]:
    stream = next(iter(container.streams.audio), None)
    if stream is None:
        raise DataError(f"{path}: there is no sound in it")
    if stream.codec_context is None:
        raise DataError(f"{path}: not a readable sound (unknown codec)")
    # Of a wav from a pipe, whose header cannot state a length, FFmpeg calls the last packet corrupt.
    trusts_packets = container.format.name != "wav"
    end = None
    for packet in container.demux(stream):
        damaged = packet.is_corrupt and trusts_packets
        for frame in packet.decode():
            lost = None not in (end, frame.time) and frame.time - end > LOST
            if damaged or frame.is_corrupt or lost:
                raise DataError(f"{path}: the sound is damaged or cut off")
            yield frame
            if frame.time is not None:
                end = frame.time + frame.samples / frame.sample_rate
        if damaged:
            raise DataError(f"{path}: the sound is damaged or cut off")
    stated = _stated_end(container, stream)
    if stated is not None and end is not None and stated - end > LOST_AT_END:
        raise DataError(f"{path}: the sound is damaged or cut off: it ends after {end:.1f} of {stated:.1f} seconds")


def _stated_end(container: Any, stream: Any) -> float | None:
    """When the sound ends by what the file itself states, in seconds, or None where FFmpeg only guesses it."""
    name = container.format.name
    # Of an mp3, LAME's header states the length, and also where the sound starts; others have neither.
    states = name in ("flac", "ogg") or (name == "mp3" and stream.start_time)
    return float(stream.duration * stream.time_base) if states and stream.duration else None
