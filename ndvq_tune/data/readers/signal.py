"""Reads what changes over time: sounds, tables and arrays, as steps of float32."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
import numpy.typing as npt

from ndvq_tune.config.data import SignalData
from ndvq_tune.data.readers import sound
from ndvq_tune.data.readers.table import read_table
from ndvq_tune.errors import DataError

Steps = npt.NDArray[Any]
Reader = Callable[[Path, SignalData], Iterable[Steps]]

SETTINGS = ("sample_rate", "channels", "columns")
BLOCK_VALUES = 1 << 18


def read_signal(path: Path, config: SignalData) -> Iterator[npt.NDArray[np.float32]]:
    """Decodes a signal.

    Sounds lie in [-1, 1], where the file does not go beyond it itself; values of tables and arrays are what the file
    says.

    Args:
        path: A file with one of ``SUFFIXES``.
        config: Channels, and for sounds the sample rate, for tables the columns.

    Yields:
        Blocks of shape ``(n, C)``, of at most 2^18 values, in the order of time.

    Raises:
        DataError: The file is empty, damaged or cut off, does not have the channels or columns asked for, or holds a
            value that is not a finite float32. Blocks from before the damage may have been yielded by then.
    """
    read = _READERS[path.suffix.lower()]
    steps = 0
    try:
        if path.stat().st_size == 0:
            raise DataError(f"{path}: the file is empty")
        for block in _blocks(read(path, config), max(1, BLOCK_VALUES // config.n_channels)):
            yield _float32(path, block, steps)
            steps += len(block)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    if steps == 0:
        raise DataError(f"{path}: there are no samples in it")


def sample_rate_of(path: Path) -> int | None:
    """The sample rate in Hz that a file states; tables and arrays state none."""
    return sound.sample_rate_of(path) if path.suffix.lower() in sound.SUFFIXES else None


def _read_array(path: Path, config: SignalData) -> list[Steps]:
    try:
        array: Steps = np.lib.format.open_memmap(path, mode="r")  # never unpickles
    except (ValueError, TokenError) as error:
        raise DataError(f"{path}: not a readable npy file, or cut off ({error})") from error
    if array.dtype.kind not in "biuf":
        raise DataError(f"{path}: holds {array.dtype}; allowed: real numbers")
    if array.ndim not in (1, 2):
        raise DataError(f"{path}: has shape {array.shape}; allowed: (L,) or (L, C), channels last")
    steps = array.reshape(len(array), -1) if array.size else np.empty((0, config.n_channels))
    if steps.shape[1] != config.n_channels:
        transposed = "; transpose it, channels come last" if len(steps) == config.n_channels else ""
        raise DataError(
            f"{path}: has shape {array.shape}, but data.channels is {config.n_channels};"
            f" allowed: (L, {config.n_channels}){transposed}"
        )
    return [steps]


def _blocks(pieces: Iterable[Steps], length: int) -> Iterator[Steps]:
    """Joins short pieces, and cuts long ones, into blocks of at most ``length`` steps."""
    held: list[Steps] = []
    for piece in pieces:
        for start in range(0, len(piece), length):
            part = piece[start : start + length]
            if sum(map(len, held)) + len(part) > length:
                yield np.concatenate(held)
                held = []
            held.append(part)
    if held:
        yield np.concatenate(held)


def _float32(path: Path, block: Steps, start: int) -> npt.NDArray[np.float32]:
    with np.errstate(over="ignore", invalid="ignore"):
        values = block.astype(np.float32, order="C", copy=False)
    finite = np.isfinite(values)
    if not finite.all():
        step, channel = np.argwhere(~finite)[0]
        found = block[step, channel]
        what = f"{found}, too large for float32" if np.isfinite(found) else f"{found}"
        raise DataError(f"{path}: step {start + step} of channel {channel} (from 0) is {what}")
    return values


_READERS: dict[str, Reader] = dict.fromkeys(sound.SUFFIXES, sound.read_sound) | {
    ".csv": read_table,
    ".npy": _read_array,
}
SUFFIXES = frozenset(_READERS)
