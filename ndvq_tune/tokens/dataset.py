"""Tokens for another model, such as a transformer."""

from bisect import bisect_right
from itertools import accumulate
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from ndvq_tune.tokens.store import manifest_of, shards_of


class TokenDataset(Dataset[torch.Tensor]):
    """The codes that ``tokenize`` wrote, as int64 tensors, read from disk when they are asked for.

    Args:
        folder: The folder of tokens.
        length: Codes along the first axis of an item: recordings are cut into pieces of so many, and what is left at
            their ends is not used. If not given, an item is a whole recording, and items differ in size.

    Attributes:
        n_codes: Codes in a codebook; items are below.
        names: The file that each item is of.

    Raises:
        ResultsError: If the folder holds no tokens.
    """

    def __init__(self, folder: Path | str, length: int | None = None) -> None:
        manifest = manifest_of(Path(folder))
        self.n_codes = manifest.n_codes
        self._length = length
        self._found = [(shard, recording) for shard in shards_of(Path(folder)) for recording in shard.recordings]
        counts = [recording.shape[0] // length if length else 1 for _, recording in self._found]
        self._ends = list(accumulate(counts))
        self.names = [recording.name for (_, recording), n in zip(self._found, counts, strict=True) for _ in range(n)]

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> torch.Tensor:
        if not -len(self) <= index < len(self):
            raise IndexError(f"{index} given; there are {len(self)} items")
        index %= len(self)
        owner = bisect_right(self._ends, index)
        shard, recording = self._found[owner]
        codes = shard.codes(recording)
        if self._length:
            start = (index - (self._ends[owner - 1] if owner else 0)) * self._length
            codes = codes[start : start + self._length]
        return torch.from_numpy(codes.astype(np.int64))
