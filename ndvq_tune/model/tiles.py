"""Encoding and decoding of any size in tiles that overlap, so that memory does not grow with the data.

A convolution sees only so far. With a margin that is as wide as the network sees, a tile's codes are those of the
whole. Attention and norms over positions see everything: their tiles have the size that the model was trained on, and
codes near the seams may be others than those of the whole.
"""

import copy
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from ndvq_tune.model.vqvae import NDimVQVAE

POSITIONS = 2**20  # of data in a tile, about
_PROBE = 129  # codes; what sees from the middle to an end is taken to see everything

Sizes = tuple[int, ...]


@dataclass(frozen=True)
class Tiling:
    """How data of any size is cut.

    Attributes:
        sizes: Codes of a tile along each dimension, without its margins.
        encoding: Codes of margin on either side, along each dimension, that are encoded too and dropped.
        decoding: The same for decoding.
        exact: Whether tiles give what the whole would.
    """

    sizes: Sizes
    encoding: Sizes
    decoding: Sizes
    exact: bool


@dataclass(frozen=True)
class Tile:
    """A part of one dimension, in codes.

    Attributes:
        start: The first code that it gives.
        stop: Behind the last one.
        low: The first code that it is made from.
        high: Behind the last one.
    """

    start: int
    stop: int
    low: int
    high: int

    @property
    def kept(self) -> slice:
        """What it gives, of what it is made from."""
        return slice(self.start - self.low, self.stop - self.low)


def tiling(model: NDimVQVAE, positions: int = POSITIONS) -> Tiling:
    """The tiles of a model.

    Args:
        model: The model.
        positions: Of data in a tile, about, without its margins.
    """
    encoding, decoding = _reach(model, model.encoder, encodes=True), _reach(model, model.decoder, encodes=False)
    if encoding is None or decoding is None:
        margins = tuple(size // 4 for size in model.latent_shape)
        sizes = tuple(size - 2 * margin for size, margin in zip(model.latent_shape, margins, strict=True))
        return Tiling(sizes, margins, margins, exact=False)
    of_sample = math.prod(model.latent_shape) * math.prod(model.downsample)
    times = max(1, int((positions / of_sample) ** (1 / model.n_dims) + 1e-9))
    return Tiling(tuple(times * size for size in model.latent_shape), encoding, decoding, exact=True)


def tiles(length: int, size: int, margin: int) -> list[Tile]:
    """Tiles that cover a dimension.

    Where there is room they are made from ``size + 2 * margin`` codes, also at the ends.

    Args:
        length: Codes along the dimension.
        size: Codes that a tile gives.
        margin: Codes on either side that it is made from beside those.

    Example:
        >>> tiles(8, 4, 1)
        [Tile(start=0, stop=4, low=0, high=6), Tile(start=4, stop=8, low=2, high=8)]
    """
    return [tile(start, length, size, margin) for start in range(0, length, size)]


def tile(start: int, length: int, size: int, margin: int) -> Tile:
    """The tile that begins at a code; see ``tiles``.

    Args:
        start: The code.
        length: Codes along the dimension.
        size: Codes that it gives, at most.
        margin: Codes on either side that it is made from beside those.
    """
    seen = size + 2 * margin
    low = max(0, min(start - margin, length - seen))
    return Tile(start, min(start + size, length), low, min(low + seen, length))


@torch.no_grad()
def encode(model: NDimVQVAE, x: torch.Tensor, cut: Tiling) -> torch.Tensor:
    """Encodings ``(B, *L)``, as ``model.encode`` gives them, of data ``(B, C, *S)`` of any size.

    Args:
        model: The model.
        x: As ``model.encode`` takes it.
        cut: The model's tiles.

    Raises:
        ShapeError: If ``x`` has another number of dimensions or channels.
        InputError: If it cannot be meant.
    """

    def encoded(parts: Sequence[Tile]) -> torch.Tensor:
        region = (
            slice(part.low * factor, part.high * factor) for part, factor in zip(parts, model.downsample, strict=True)
        )
        return model.encode(x[:, :, *region])[:, *(part.kept for part in parts)]

    lengths = [-(-size // factor) for size, factor in zip(x.shape[2:], model.downsample, strict=True)]
    return _joined(encoded, lengths, cut.sizes, cut.encoding, first_axis=1)


@torch.no_grad()
def decode(model: NDimVQVAE, encodings: torch.Tensor, cut: Tiling) -> torch.Tensor:
    """Data ``(B, C, *(L * downsample))``, in [0, 1], of encodings of any size.

    Args:
        model: The model.
        encodings: As ``model.decode`` takes them.
        cut: The model's tiles.

    Raises:
        ShapeError: If ``encodings`` has another number of dimensions or codebooks.
        InputError: If they are no codes of the model.
    """

    def decoded(parts: Sequence[Tile]) -> torch.Tensor:
        region = encodings[:, *(slice(part.low, part.high) for part in parts)]
        kept = (
            slice(part.kept.start * factor, part.kept.stop * factor)
            for part, factor in zip(parts, model.downsample, strict=True)
        )
        size = [(part.high - part.low) * factor for part, factor in zip(parts, model.downsample, strict=True)]
        return model.decode(region, size)[:, :, *kept]

    return _joined(decoded, encodings.shape[1 : model.n_dims + 1], cut.sizes, cut.decoding, first_axis=2)


def _joined(
    made: Callable[[Sequence[Tile]], torch.Tensor],
    lengths: Sequence[int],
    sizes: Sizes,
    margins: Sizes,
    first_axis: int,
) -> torch.Tensor:
    """The results of all tiles, put together."""
    axes = [tiles(*axis) for axis in zip(lengths, sizes, margins, strict=True)]
    parts = [made(chosen) for chosen in itertools.product(*axes)]
    for axis in reversed(range(len(axes))):
        together = len(axes[axis])
        parts = [
            torch.cat(parts[start : start + together], first_axis + axis) if together > 1 else parts[start]
            for start in range(0, len(parts), together)
        ]
    return parts[0]


def _reach(model: NDimVQVAE, side: nn.Module, *, encodes: bool) -> Sizes | None:
    """How many codes away along each dimension what a side sees may lie; None if it sees everything.

    NaN in one place spreads to all that depends on it, whatever the weights are.
    """
    weights = copy.deepcopy(side).cpu().double().eval()
    found = []
    for axis, factor in enumerate(model.downsample):
        reach = _reach_along(weights, model, axis, factor, encodes=encodes)
        if reach is None:
            return None
        found.append(reach)
    return tuple(found)


def _reach_along(side: nn.Module, model: NDimVQVAE, axis: int, factor: int, *, encodes: bool) -> int | None:
    lengths = [1] * model.n_dims
    lengths[axis] = _PROBE
    middle = _PROBE // 2
    if encodes:
        shape = [length * step for length, step in zip(lengths, model.downsample, strict=True)]
        probe = torch.zeros(1, model.input_shape[0], *shape, dtype=torch.float64)
        probe.narrow(axis + 2, middle * factor, factor).fill_(torch.nan)
    else:
        probe = torch.zeros(1, model.quantizer.embedding_dim, *lengths, dtype=torch.float64)
        probe.narrow(axis + 2, middle, 1).fill_(torch.nan)
    with torch.no_grad():
        touched = side(probe).isnan().movedim(axis + 2, 0).flatten(1).any(1).nonzero()[:, 0]
    codes = touched if encodes else touched // factor
    reach = max(middle - int(codes.min()), int(codes.max()) - middle)
    return None if reach >= middle else reach
