"""Quantizers of the package vector-quantize-pytorch behind our contract."""

from abc import abstractmethod
from typing import Any

import torch
from torch import nn

from ndvq_tune.model.quantizers.base import Quantizer, VQOutput
from ndvq_tune.model.quantizers.gradients import straight_through
from ndvq_tune.model.quantizers.usage import count, over_ranks, perplexity


class LibraryQuantizer(Quantizer):
    """A quantizer of the library that keeps our contract.

    The library chooses codes, and has the gradient and the loss. Ours are shapes, fp32 under autocast, values that are
    exactly those of ``lookup``, and the count of code use.

    Subclasses import the library in their constructors, because that takes as long as importing torch.

    Args:
        library: The library's module.
        n_codes: Codes.
        embedding_dim: Dimensions of a code.
    """

    def __init__(self, library: nn.Module, n_codes: int, embedding_dim: int) -> None:
        super().__init__()
        # The library has no types.
        self.library: Any = library
        self.n_codes = n_codes
        self.embedding_dim = embedding_dim

    def forward(self, latents: torch.Tensor) -> VQOutput:
        """Quantise latents ``(B, D, *L)``."""
        path, encodings, loss = self._quantise(latents)
        counts = count(encodings, self.n_codes)
        return VQOutput(
            embeddings=straight_through(path, self.lookup(encodings)),
            encodings=encodings,
            commitment_loss=loss,
            perplexity=perplexity(over_ranks(counts) if self.training else counts),
            counts=counts[None],
        )

    @torch.no_grad()
    def encode(self, latents: torch.Tensor) -> torch.Tensor:
        """Encodings ``(B, *L)`` of latents ``(B, D, *L)``."""
        return self._quantise(latents)[1]

    def lookup(self, encodings: torch.Tensor) -> torch.Tensor:
        """Codes ``(B, D, *L)`` of encodings ``(B, *L)``."""
        with torch.autocast(encodings.device.type, enabled=False):
            return self._codes(encodings.flatten()).view(*encodings.shape, self.embedding_dim).movedim(-1, 1)

    def _quantise(self, latents: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The library's codes ``(B, D, *L)``, which carry its gradient, encodings ``(B, *L)`` and loss."""
        with torch.autocast(latents.device.type, enabled=False):
            channels_last = latents.float().movedim(1, -1)
            codes, numbers, loss = self._choose(channels_last.flatten(0, -2)[None])
            path = codes.view(channels_last.shape).movedim(-1, 1)
            return path, numbers.view(channels_last.shape[:-1]).long(), loss

    @abstractmethod
    def _choose(self, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Codes ``(1, N, D)`` for tokens ``(1, N, D)``, their numbers ``(1, N)`` and the loss."""

    @abstractmethod
    def _codes(self, numbers: torch.Tensor) -> torch.Tensor:
        """Codes ``(N, D)`` of their numbers ``(N,)``."""
