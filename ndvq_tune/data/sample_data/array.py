"""Sample arrays: small scans of handwritten digits."""

from pathlib import Path

import numpy as np

from ndvq_tune.data.cache.source import Progress
from ndvq_tune.data.sample_data import installed

_SIDE = 8
_WHITE = 16
_TRAIN_SHARE = 0.8


def make(folder: Path, progress: Progress) -> None:
    """Fills ``folder/train`` and ``folder/test`` with a file of shape ``(N, 1, 8, 8)`` each, uint8.

    The parts follow the order of the scans, in which those of one writer are near one another.

    Raises:
        DataError: The digits are not installed.
    """
    progress("Writing sample digits", 0, 1)
    table = np.loadtxt(installed.digits(), delimiter=",")
    values = table[:, : _SIDE * _SIDE].reshape(-1, 1, _SIDE, _SIDE)
    digits = np.rint(values * (255 / _WHITE)).astype(np.uint8)
    first_test = round(_TRAIN_SHARE * len(digits))
    np.save(folder / "train" / "digits.npy", digits[:first_test])
    np.save(folder / "test" / "digits.npy", digits[first_test:])
    progress("Writing sample digits", 1, 1)
