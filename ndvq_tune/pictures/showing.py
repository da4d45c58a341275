"""Test samples through a model: still, in motion, and as sounds."""

import math
from heapq import nlargest
from pathlib import Path

import torch

from ndvq_tune.data.batches.samples import SampleSet
from ndvq_tune.data.dataset import Dataset
from ndvq_tune.model import NDimVQVAE
from ndvq_tune.pictures.motion import FRAMES, motion
from ndvq_tune.pictures.reconstructions import reconstructions
from ndvq_tune.pictures.showcase import SOUNDS, Showcase
from ndvq_tune.pictures.sounds import audible_rate, write_sound

SAMPLES = 4
SECONDS = 1.5
_SHORTEST = 0.1  # seconds; what is shorter is a click


def show(model: NDimVQVAE, dataset: Dataset, folder: Path, name: str) -> Showcase:
    """Writes what a model makes of test samples.

    Some are shown still, spread over all. Clips are in motion, and sounds can be played, for longer than one sample
    lasts: those that follow each other in a recording are reconstructed one by one, and then joined.

    Args:
        model: The model.
        dataset: Its data.
        folder: The folder of pictures.
        name: The trial's.

    Returns:
        The files that were written.
    """
    samples, card, places = dataset.test, dataset.card, Showcase.places(folder, name)
    count = min(SAMPLES, len(samples))
    spread = [round(index * (len(samples) - 1) / max(1, count - 1)) for index in range(count)]
    reconstructions(*_through(model, samples, spread), places.still)
    rate = audible_rate(card)
    if len(samples.shape) > 3 and places.motion:
        (run,) = runs(samples, FRAMES, most=1)
        motion(*_joined(model, samples, run), card.frame_rate if card else None, places.motion)
    if rate is not None:
        steps = round(SECONDS * rate)
        for run, sound in zip(runs(samples, steps, most=SOUNDS), places.sounds, strict=False):
            original, reconstructed = _joined(model, samples, run)
            if original.shape[1] >= _SHORTEST * rate:
                write_sound(original[:, :steps], reconstructed[:, :steps], rate, sound)
    return places.kept()


def runs(samples: SampleSet, steps: int, most: int) -> list[range]:
    """Numbers of samples that follow each other, from the middle of the longest recordings.

    Args:
        samples: Windows that do not overlap; of samples without an axis of time, one makes a run.
        steps: Rows that a run shall have, if the recording has them.
        most: How many runs.
    """
    length = 1 if samples.window.length is None else math.ceil(steps / samples.window.length)
    longest = nlargest(most, filter(len, samples.by_recording), key=len)
    starts = [max(0, (len(recording) - length) // 2) for recording in longest]
    return [recording[start : start + length] for recording, start in zip(longest, starts, strict=True)]


def _joined(model: NDimVQVAE, samples: SampleSet, run: range) -> tuple[torch.Tensor, torch.Tensor]:
    """Neighbouring samples ``(C, T, ...)`` as one, and their reconstructions."""
    original, reconstructed = _through(model, samples, run)
    return torch.cat(list(original), dim=1), torch.cat(list(reconstructed), dim=1)


def _through(model: NDimVQVAE, samples: SampleSet, numbers: list[int] | range) -> tuple[torch.Tensor, torch.Tensor]:
    """Samples ``(B, C, *S)`` and their reconstructions, made of few at a time."""
    x = samples.scale.to_unit(samples[list(numbers)], torch.device("cpu"))
    with torch.no_grad():
        return x, torch.cat([model(part)[1] for part in torch.split(x, SAMPLES)])
