"""What every quantizer takes and gives."""

from abc import ABC, abstractmethod
from typing import TypedDict

import torch
from torch import nn


class VQOutput(TypedDict):
    """What quantising latents ``(B, D, *L)`` gives.

    Encodings are ``(B, *L)``, or ``(B, *L, Q)`` of a quantizer with ``Q > 1`` codebooks.

    Attributes:
        embeddings: The codes chosen for the latents, ``(B, D, *L)``, fp32; in training, gradients pass through to
            the latents.
        encodings: Their numbers, int64.
        commitment_loss: What the quantizer adds to the loss, weights included; a scalar. Without a gradient where
            there is nothing to add.
        perplexity: exp of the entropy of code use in this batch (of all ranks, in training); a scalar. The geometric
            mean over codebooks if there are several.
        counts: How often each code was chosen in this batch, on this rank, ``(Q, n_codes)``, fp32.
    """

    embeddings: torch.Tensor
    encodings: torch.Tensor
    commitment_loss: torch.Tensor
    perplexity: torch.Tensor
    counts: torch.Tensor


class Quantizer(nn.Module, ABC):
    """Maps latents to codes and back. Evaluation, ``encode`` and ``lookup`` move nothing.

    Attributes:
        embedding_dim: Channels of the latents, D.
        n_codes: Codes in each codebook.
        n_codebooks: Codes chosen at each latent position, Q.
    """

    embedding_dim: int
    n_codes: int
    n_codebooks: int = 1

    @abstractmethod
    def forward(self, latents: torch.Tensor) -> VQOutput:
        """Quantise latents ``(B, D, *L)``; in training also learn from them."""

    @abstractmethod
    def encode(self, latents: torch.Tensor) -> torch.Tensor:
        """Encodings of latents ``(B, D, *L)``; those that ``forward`` gives."""

    @abstractmethod
    def lookup(self, encodings: torch.Tensor) -> torch.Tensor:
        """Codes ``(B, D, *L)`` of encodings; exactly the values that ``forward`` gives."""

    def restart(self) -> bool:
        """Take all codes anew from the next training batch, also after a checkpoint in between.

        Returns:
            Whether there are codes that can be taken anew; a quantizer whose codes are fixed has none.
        """
        return False
