"""Recordings of any length as codes, and back: block by block, in constant memory."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ndvq_tune.config.card import DataCard
from ndvq_tune.model import NDimVQVAE
from ndvq_tune.model.tiles import Tiling, decode, encode, tile

Rows = npt.NDArray[np.generic]
Codes = npt.NDArray[np.integer[Any]]
BATCH = 2**20  # positions of samples that are encoded together


class Stream:
    """A model as a converter of recordings.

    Args:
        model: The model.
        card: What it was trained on.
        cut: The model's tiles.
    """

    def __init__(self, model: NDimVQVAE, card: DataCard, cut: Tiling) -> None:
        self._model, self._card, self._cut = model, card, cut

    def encode(self, blocks: Iterable[Rows]) -> Iterator[Codes]:
        """The codes of one recording.

        Args:
            blocks: Its rows in order, ``(n, *S', C)``, as they are stored: frames, steps, or the lines of an image.

        Yields:
            Codes ``(l, *L')``, or ``(l, *L', Q)`` of several codebooks, in order; the last may stand for padding.

        Raises:
            InputError: The values cannot be meant for the model.
        """
        factor, size, margin = self._model.downsample[0], self._cut.sizes[0], self._cut.encoding[0]
        held, first, start = _Held(), 0, 0  # first: the code that the held rows begin with
        seen = size + 2 * margin
        for ended, block in _with_end(blocks):
            held.add(block)
            while True:
                known = first + (-(-len(held) // factor) if ended else len(held) // factor)
                if start >= known or (not ended and known < max(seen, start + size + margin)):
                    break
                piece = tile(start, known, size, margin)
                codes = self._encoded(held.rows[(piece.low - first) * factor : (piece.high - first) * factor])
                yield codes[piece.kept]
                start = piece.stop
                # What a later tile may see: one at the end reaches back as far as it is long.
                kept = max(first, start - seen)
                held.drop((kept - first) * factor)
                first = kept

    def encode_samples(self, blocks: Iterable[Rows]) -> Iterator[Codes]:
        """The codes ``(n, *L)`` of samples ``(n, *S, C)`` that have nothing to do with each other."""
        for block in blocks:
            together = max(1, BATCH // max(1, block[0, ..., 0].size))
            for begin in range(0, len(block), together):
                yield encode(self._model, self._input(block[begin : begin + together]), self._cut).cpu().numpy()

    def decode(self, codes: Codes, size: tuple[int, ...]) -> Iterator[Rows]:
        """The rows of one recording, of the type that they are stored in.

        Args:
            codes: All of its codes ``(L, *L')``; may lie in a file, of which a part at a time is read.
            size: ``S`` of the recording, which the padding is cropped to.
        """
        factor, step, margin = self._model.downsample[0], self._cut.sizes[0], self._cut.decoding[0]
        for start in range(0, len(codes), step):
            piece = tile(start, len(codes), step, margin)
            part = torch.from_numpy(codes[piece.low : piece.high].astype(np.int64))[None]
            x = decode(self._model, part.to(self._device), self._cut)
            rows = x[0, :, piece.kept.start * factor : piece.kept.stop * factor]
            wanted = (slice(max(0, size[0] - start * factor)), *map(slice, size[1:]))
            yield self._output(rows[:, *wanted].movedim(0, -1))

    def decode_samples(self, codes: Codes, size: tuple[int, ...]) -> Iterator[Rows]:
        """Samples ``(n, *S, C)`` of codes ``(N, *L)``."""
        together = max(1, BATCH // int(np.prod(size)))
        for begin in range(0, len(codes), together):
            part = torch.from_numpy(codes[begin : begin + together].astype(np.int64)).to(self._device)
            x = decode(self._model, part, self._cut)
            yield self._output(x[:, :, *map(slice, size)].movedim(1, -1))

    @property
    def _device(self) -> torch.device:
        return self._model.data_mean.device

    def _encoded(self, rows: Rows) -> Codes:
        """Of the rows of one recording."""
        return encode(self._model, self._input(rows[None]), self._cut)[0].cpu().numpy()

    def _input(self, rows: Rows) -> torch.Tensor:
        """``(B, *S, C)`` as stored, as ``model.encode`` takes it."""
        x = torch.from_numpy(np.ascontiguousarray(rows)).movedim(-1, 1).to(self._device)
        return self._card.to_unit(x.double()).float() if x.is_floating_point() else x

    def _output(self, x: torch.Tensor) -> Rows:
        values = self._card.from_unit(x.double()).cpu().numpy()
        dtype = np.dtype(self._card.dtype)
        if dtype.kind == "f":
            return np.asarray(values.astype(dtype))
        limits = np.iinfo(dtype)
        return np.asarray(values.round().clip(limits.min, limits.max).astype(dtype))


class _Held:
    """Rows that came and are still needed."""

    def __init__(self) -> None:
        self._parts: list[Rows] = []

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def add(self, block: Rows | None) -> None:
        if block is not None and len(block):
            self._parts.append(block)

    @property
    def rows(self) -> Rows:
        """All of them, as one array."""
        if len(self._parts) > 1:
            self._parts = [np.concatenate(self._parts)]
        return self._parts[0]

    def drop(self, count: int) -> None:
        """Let go of the first ones."""
        if count:
            self._parts = [self.rows[count:].copy()]


def _with_end(blocks: Iterable[Rows]) -> Iterator[tuple[bool, Rows | None]]:
    for block in blocks:
        yield False, block
    yield True, None
