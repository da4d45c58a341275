"""Sample volumes over time: sound waves in a box, computed."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from ndvq_tune.data.cache.source import Progress

SIDE = 16
FRAMES = 8
SAMPLES = {"train": 128, "test": 32}

_PULSES = (2, 4)  # fewest and most of a sample
_WIDTHS = (1.2, 2.4)  # standard deviations in cells: narrower ones the grid could not carry
_LATEST_START = 4.0  # of the first frame, in the time that a wave takes for a cell

Field = npt.NDArray[np.float64]


def make(folder: Path, progress: Progress) -> None:
    """Fills ``folder/train`` and ``folder/test`` with a file of shape ``(N, 1, 8, 16, 16, 16)`` each, float16.

    A sample is a run of its own: a few pulses burst at the same moment, and eight frames of what becomes of them.
    """
    frames = np.arange(FRAMES, dtype=np.float64)
    for done, (split, samples) in enumerate(SAMPLES.items()):
        progress("Computing sample waves", done, len(SAMPLES))
        random = np.random.default_rng(done)
        runs = [waves(pulses(random), frames + random.uniform(0, _LATEST_START)) for _ in range(samples)]
        np.save(folder / split / "waves.npy", np.stack(runs)[:, None].astype(np.float16))
    progress("Computing sample waves", len(SAMPLES), len(SAMPLES))


def pulses(random: np.random.Generator) -> Field:
    """Pressure ``(D, H, W)`` of some Gaussian pulses, louder or quieter than their surroundings, in a periodic box."""
    pressure = np.zeros((SIDE, SIDE, SIDE))
    axes = np.indices(pressure.shape)
    for _ in range(random.integers(*_PULSES, endpoint=True)):
        centre = random.uniform(0, SIDE, (3, 1, 1, 1))
        nearest = (axes - centre + SIDE / 2) % SIDE - SIDE / 2
        loudness = random.choice([-1, 1]) * random.uniform(0.5, 1)
        pressure += loudness * np.exp(-np.square(nearest).sum(0) / (2 * random.uniform(*_WIDTHS) ** 2))
    return pressure


def waves(pressure: Field, times: Field) -> Field:
    """Pressure ``(T, D, H, W)`` at some times after that of a medium at rest; ``p_tt = laplace p``.

    A wave moves on by a cell in a unit of time. The solution in a periodic box is exact: each Fourier component of wave
    vector ``k`` oscillates as ``cos(|k| t)``.
    """
    *sizes, last = pressure.shape
    wave_numbers = np.meshgrid(*map(np.fft.fftfreq, sizes), np.fft.rfftfreq(last), indexing="ij")
    frequency = 2 * np.pi * np.sqrt(np.square(wave_numbers).sum(0))
    oscillation = np.cos(frequency * times[:, None, None, None])
    solution: Field = np.fft.irfftn(np.fft.rfftn(pressure) * oscillation, s=pressure.shape, axes=(1, 2, 3))
    return solution
