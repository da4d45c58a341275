import io

import av
import numpy as np
import pytest

from ndvq_tune.baselines.sounds import BITS_A_SECOND, _encoded, opus

GOOD = 64_000


def chords(sample_rate: int, *pitches: tuple[float, float], window: int = 500, count: int = 40) -> np.ndarray:
    """Samples ``(N, C, L)`` in [0, 1], cut from one sound that has two tones (in Hz) in each channel."""
    seconds = np.arange(count * window) / sample_rate
    channels = [
        0.3 * np.sin(2 * np.pi * low * seconds) + 0.2 * np.sin(2 * np.pi * high * seconds) for low, high in pitches
    ]
    sound = np.array(channels).reshape(len(pitches), count, window)
    return ((sound.transpose(1, 0, 2) + 1) / 2).astype(np.float32)


def share(decoded: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """Of each channel, the error over the variance."""
    return np.square(decoded - samples).mean((0, 2)) / samples.var((0, 2))


@pytest.mark.parametrize("sample_rate", [8000, 11025, 22050, 44100, 48000, 96000])
def test_what_is_decoded_lies_where_it_lay_whatever_the_rate(sample_rate):
    samples = chords(sample_rate, (440, 1234))
    _, decoded = opus(sample_rate).code(samples, GOOD)
    assert decoded.shape == samples.shape
    # One step of delay alone would be an error of (2 pi 440 / rate)^2: 0.3% at 48 kHz, and 12% at 8 kHz.
    assert share(decoded, samples)[0] < 2e-3


def test_two_channels_stay_apart():
    samples = chords(48000, (440, 1234), (300, 2000))
    _, decoded = opus(48000).code(samples, GOOD)
    assert all(share(decoded, samples) < 2e-3)


@pytest.mark.parametrize("channels", [1, 2])
def test_the_bits_are_those_of_the_packets_in_the_file(channels):
    sound, file = np.random.default_rng(0).uniform(-0.5, 0.5, (24000, channels)).astype(np.float32), io.BytesIO()
    bits = _encoded(sound, 24000, 32_000, file)
    file.seek(0)
    with av.open(file) as container:
        assert bits == 8 * sum(packet.size for packet in container.demux(audio=0))
    assert bits < 8 * file.tell()


def test_more_bits_a_second_are_more_bits_and_less_error():
    rng = np.random.default_rng(0)
    samples = (chords(16000, (440, 1234)) + rng.normal(0, 0.02, (40, 1, 500))).astype(np.float32)
    coded = [opus(16000).code(samples, setting) for setting in (6000, 16_000, 64_000)]
    errors = [share(decoded, samples)[0] for _, decoded in coded]
    assert coded[0][0] < coded[1][0] < coded[2][0]
    assert errors[0] > errors[1] > errors[2]


def test_bits_are_about_what_was_asked_for_in_both_channels_together():
    rng = np.random.default_rng(0)
    samples = rng.uniform(0.3, 0.7, (40, 2, 500)).astype(np.float32)
    bits, _ = opus(48000).code(samples, 64_000)
    assert bits / (40 * 500 / 48000) == pytest.approx(128_000, rel=0.3)


@pytest.mark.parametrize("channels", [1, 2])
def test_silence_stays_silent_and_costs_next_to_nothing(channels):
    samples = np.full((40, channels, 500), 0.5, np.float32)
    bits, decoded = opus(48000).code(samples, GOOD)
    np.testing.assert_allclose(decoded, samples, atol=1e-4)
    assert bits < 0.1 * 40 * 500


@pytest.mark.parametrize("setting", [BITS_A_SECOND[0], BITS_A_SECOND[-1]])
@pytest.mark.parametrize("pitches", [[(440, 1234)], [(440, 1234), (300, 2000)]])
def test_the_codec_takes_the_lowest_and_the_highest_setting(setting, pitches):
    samples = chords(48000, *pitches)
    assert opus(48000).code(samples, setting)[1].shape == samples.shape


def test_settings_begin_with_the_lowest_quality():
    assert BITS_A_SECOND[0] == 1000
    assert BITS_A_SECOND[-1] == 256_000
    assert sorted(set(BITS_A_SECOND)) == BITS_A_SECOND
