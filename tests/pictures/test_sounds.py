from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image
from plotly.colors import sample_colorscale

from ndvq_tune.config.card import DataCard
from ndvq_tune.pictures.showcase import Showcase, Sound
from ndvq_tune.pictures.sounds import audible_rate, write_sound
from ndvq_tune.pictures.spectrograms import decibels, spectrogram

RATE = 16_000


def sine(hertz: float, seconds: float = 0.5, loudness: float = 1.0) -> np.ndarray:
    """A sine ``(1, L)`` in float64, within [-1, 1]."""
    return loudness * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)[None]


def in_unit(wave: np.ndarray) -> torch.Tensor:
    return torch.from_numpy((wave + 1) / 2).float()


@pytest.fixture
def places(tmp_path: Path) -> Sound:
    return Showcase.places(tmp_path, "trial-0003").sounds[0]


def played(path: Path) -> tuple[np.ndarray, int]:
    """Whole numbers ``(C, L)`` that FFmpeg decodes, and steps a second."""
    with av.open(str(path)) as container:
        rate, channels = container.streams.audio[0].rate, container.streams.audio[0].channels
        frames = [frame.to_ndarray().reshape(-1, channels).T for frame in container.decode(audio=0)]
    return np.concatenate(frames, axis=1), rate


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 44_100, 48_000, 192_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_what_is_played_is_the_tensor_to_16_bits(rate: int, channels: int, places: Sound) -> None:
    original, reconstructed = torch.rand(2, channels, rate // 4)
    write_sound(original, reconstructed, rate, places)
    for heard, values in ((places.original, original), (places.reconstructed, reconstructed)):
        steps, its_rate = played(heard.audio)
        assert its_rate == rate
        assert np.array_equal(steps, np.rint((values.numpy() * np.float32(2) - 1) * 32767))


def test_a_wild_reconstruction_is_cut_off_and_as_loud_as_its_input_where_they_agree(places: Sound) -> None:
    original = in_unit(sine(440, loudness=0.5))
    wild = original.clone()
    wild[0, :3] = torch.tensor([1e30, -1e30, float("nan")])
    write_sound(original, wild, RATE, places)
    before, after = played(places.original.audio)[0], played(places.reconstructed.audio)[0]
    assert after[0, :3].tolist() == [32767, -32767, 0]
    assert np.array_equal(before[0, 3:], after[0, 3:])
    assert np.abs(before).max() == pytest.approx(32767 / 2, abs=2)


@pytest.mark.parametrize("hertz", [250.0, 1_000.0, 6_000.0])
def test_a_sine_has_its_peak_at_its_frequency(hertz: float) -> None:
    levels = decibels(sine(hertz).astype(np.float32), RATE)
    rows = np.fft.rfftfreq(2 * (len(levels) - 1), 1 / RATE)
    middle = levels[:, levels.shape[1] // 2]
    assert rows[middle.argmax()] == pytest.approx(hertz, abs=rows[1] / 2 + 1e-6)
    far = np.abs(rows - hertz) > 4 * rows[1]
    assert middle[far].max() < middle.max() - 60


def test_half_as_loud_is_six_decibels_less_and_a_silent_channel_halves_the_power() -> None:
    full, half = (decibels(sine(1_000, loudness=loudness).astype(np.float32), RATE).max() for loudness in (1.0, 0.5))
    assert full - half == pytest.approx(20 * np.log10(2), abs=1e-3)
    with_silence = decibels(np.concatenate([sine(1_000), sine(1_000) * 0]).astype(np.float32), RATE).max()
    assert full - with_silence == pytest.approx(10 * np.log10(2), abs=1e-3)


def test_a_spectrogram_has_low_frequencies_below_and_time_from_left_to_right() -> None:
    wave = np.concatenate([sine(1_000), sine(6_000)], axis=1).astype(np.float32)
    levels = decibels(wave, RATE)
    picture = np.asarray(spectrogram(levels - levels.max(), RATE, 1.0)).astype(int)
    left, above, width, height = 62, 8, 400, 160
    panel = picture[above : above + height, left : left + width]
    brightness = panel.sum(-1)
    for column, hertz in ((width // 4, 1_000), (3 * width // 4, 6_000)):
        row = brightness[:, column].argmax()
        assert row == pytest.approx((1 - hertz / (RATE / 2)) * height, abs=3)


def test_both_spectrograms_are_on_the_scale_of_the_input(places: Sound) -> None:
    write_sound(in_unit(sine(2_000)), in_unit(sine(2_000, loudness=0.01)), RATE, places)
    brightest = [
        np.asarray(Image.open(heard.spectrogram)).astype(int)[40:150, 100:400].sum(-1).max()
        for heard in (places.original, places.reconstructed)
    ]
    of_viridis = [255 * sum(colour) for colour in sample_colorscale("Viridis", [1.0, 0.5], colortype="tuple")]
    assert brightest == pytest.approx(of_viridis, abs=12)  # 40 dB below are half of the scale


def card(**changes: object) -> DataCard:
    return DataCard.model_construct(**{"type": "signal", "channels": 1, "sample_rate": 16_000.0} | changes)


def test_what_can_be_listened_to_came_from_sounds_of_one_or_two_channels_at_rates_that_are_heard() -> None:
    assert audible_rate(card()) == 16_000
    assert audible_rate(card(channels=2, sample_rate=44_100.0)) == 44_100
    for silent in (None, card(sample_rate=None), card(sample_rate=250.0), card(sample_rate=1e6), card(channels=12)):
        assert audible_rate(silent) is None
