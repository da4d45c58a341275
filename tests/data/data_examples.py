"""A source in memory, for what does not care where rows come from."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ndvq_tune.data.cache.source import Content, Item
from ndvq_tune.errors import DataError


@dataclass
class MemorySource:
    """Arrays by name; a text in place of an array is the reason why it cannot be read, found after its first block.

    Attributes:
        arrays: The items.
        read_names: Names of what was read.
        rates: Rows a second, of those that state them.
    """

    arrays: dict[str, np.ndarray | str]
    settings: dict[str, Any] = field(default_factory=dict)
    read_names: list[str] = field(default_factory=list)
    rates: dict[str, float] = field(default_factory=dict)
    noun: str = "things"
    place: str = "memory"

    def items(self, progress: object = None) -> list[Item]:
        return [Item(name, self._size(name), self._digest(name)) for name in self.arrays]

    @contextmanager
    def read(self, item: Item) -> Iterator[Content]:
        yield Content(self._blocks(item), self.rates.get(item.name))

    def _blocks(self, item: Item) -> Iterator[np.ndarray]:
        self.read_names.append(item.name)
        rows = self.arrays[item.name]
        if isinstance(rows, str):
            yield np.zeros((1, 2), np.uint8)
            raise DataError(f"{self.path_of(item)}: {rows}")
        for start in range(0, len(rows), 3):
            yield rows[start : start + 3]

    def mapped(self, item: Item) -> None:
        return None

    def path_of(self, item: Item) -> str:
        return f"memory/{item.name}"

    def _size(self, name: str) -> int:
        return getattr(self.arrays[name], "nbytes", 0)

    def _digest(self, name: str) -> str:
        rows = self.arrays[name]
        return hashlib.sha256(rows.encode() if isinstance(rows, str) else rows.tobytes()).hexdigest()


def noise(length: int, *row: int, dtype: str = "u1", seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (length, *row)).astype(dtype)
