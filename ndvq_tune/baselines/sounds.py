"""Opus, by libopus and FFmpeg."""

import io
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import av
import numpy as np

from ndvq_tune.baselines.codec import Codec, Values

RATES = (8000, 12000, 16000, 24000, 48000)
LAYOUTS = {1: "mono", 2: "stereo"}
BITS_A_SECOND = [round(1000 * 2 ** (step / 8)) for step in range(65)]  # of a channel: to 256,000, the most of libopus


def opus(sample_rate: int) -> Codec:
    """Opus for sounds of one or two channels.

    Args:
        sample_rate: Of the sounds, in Hz. Opus knows five; others are resampled to the next higher one, and back.
    """
    return Codec("Opus", BITS_A_SECOND, partial(_opus, sample_rate=sample_rate), joins=True)


def _opus(samples: Values, bits_a_second: int, sample_rate: int) -> tuple[int, Values]:
    """Samples ``(N, C, L)`` one after the other as one sound, as a packet is often longer than one of them."""
    count, channels, length = samples.shape
    sound = samples.transpose(0, 2, 1).reshape(-1, channels) * np.float32(2) - np.float32(1)
    file = io.BytesIO()
    bits = _encoded(sound, sample_rate, channels * bits_a_second, file)
    decoded = np.zeros_like(sound)  # silence where resampling lost a step at the end
    found = _decoded(file, sample_rate, channels)[: len(sound)]
    decoded[: len(found)] = found
    x_recon = (decoded + np.float32(1)) / np.float32(2)
    return bits, x_recon.reshape(count, length, channels).transpose(0, 2, 1)


def _encoded(sound: Values, sample_rate: int, bits_a_second: int, file: io.BytesIO) -> int:
    """Writes a sound ``(L, C)`` as an Ogg file; the bits of its packets."""
    layout, bits = LAYOUTS[sound.shape[1]], 0
    rate = next((rate for rate in RATES if rate >= sample_rate), RATES[-1])
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound).reshape(1, -1), format="flt", layout=layout)
    frame.sample_rate = sample_rate
    with av.open(file, "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=rate, layout=layout)
        stream.bit_rate = bits_a_second
        for part in [*_resampled([frame], rate, layout), None]:
            for packet in stream.encode(part):
                bits += 8 * packet.size
                container.mux(packet)
    return bits


def _decoded(file: io.BytesIO, sample_rate: int, channels: int) -> Values:
    file.seek(0)
    with av.open(file) as container:
        frames = list(_resampled(container.decode(audio=0), sample_rate, LAYOUTS[channels]))
    return np.concatenate([frame.to_ndarray().reshape(-1, channels) for frame in frames])


def _resampled(frames: Iterable[Any], rate: int, layout: str) -> Iterator[Any]:
    resampler = av.AudioResampler(format="flt", layout=layout, rate=rate)
    for frame in [*frames, None]:  # None flushes it
        yield from resampler.resample(frame)
