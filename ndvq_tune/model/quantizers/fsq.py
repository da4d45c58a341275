"""Finite scalar quantisation: each dimension is rounded to a few levels."""

import math
from collections.abc import Sequence
from itertools import combinations_with_replacement

import torch

from ndvq_tune.model.quantizers.library import LibraryQuantizer


class FSQ(LibraryQuantizer):
    """Finite scalar quantisation (Mentzer et al., 2023; https://arxiv.org/abs/2309.15505).

    Each latent dimension is bounded by tanh and rounded to its levels; the codes are all their combinations, so there
    is nothing to learn, no loss, and evaluation does the same as training.

    Args:
        levels: Levels of each dimension. With two levels in one, the bounds of all are symmetric around 0 (Parker et
            al., 2024, section 3.2; https://arxiv.org/abs/2411.19842): the paper's own have no second level there.
    """

    def __init__(self, levels: Sequence[int]) -> None:
        import vector_quantize_pytorch as package

        # Without indices the library keeps no table of all codes, and can be built on the meta device.
        library = package.FSQ(list(levels), return_indices=False, preserve_symmetry=2 in levels)
        super().__init__(library, math.prod(levels), len(levels))

    def _choose(self, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        codes, _ = self.library(tokens)
        return codes, self.library.codes_to_indices(codes.detach()), tokens.new_zeros(())

    def _codes(self, numbers: torch.Tensor) -> torch.Tensor:
        codes: torch.Tensor = self.library.indices_to_codes(numbers)
        return codes


def levels_for(n_codes: int) -> tuple[int, ...]:
    """Levels that make the most of ``n_codes``: 5 to 8 in each dimension (section 4.1 of the paper asks for 5 or more).

    Fewer than 25 codes are too few for two such dimensions: then the levels start at 3, and fewer than 9 codes are one
    dimension.

    Example:
        >>> levels_for(512), levels_for(1000), levels_for(16)
        ((8, 8, 8), (8, 5, 5, 5), (4, 4))
    """
    if n_codes < 9:
        return (n_codes,)
    fewest = 5 if n_codes >= 25 else 3
    choices = (
        levels
        for dimensions in range(1, n_codes.bit_length())
        for levels in combinations_with_replacement(range(8, fewest - 1, -1), dimensions)
        if math.prod(levels) <= n_codes
    )
    return max(choices, key=math.prod)
