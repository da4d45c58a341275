"""Residual vector quantisation: a stack of codebooks, each for what those before it left."""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import nn

from ndvq_tune.model.quantizers.base import Quantizer, VQOutput
from ndvq_tune.model.quantizers.ema import EMACodebook
from ndvq_tune.model.quantizers.gradients import rotated, straight_through


class ResidualVQ(Quantizer):
    """Residual VQ (Zeghidour et al., 2021, algorithm 1; https://arxiv.org/abs/2107.03312) of ``EMACodebook``s.

    Encodings are ``(B, *L, Q)``, the first codebook's first. The commitment loss is the sum of the codebooks', each on
    the residual that it quantises. Gradients pass once, from the sum of the codes to the latents.

    Args:
        n_codebooks: Codebooks, Q.
        n_codes: Codes in each.
        embedding_dim: Dimensions of a code.
        rotation_trick: Gradients turn with the latent onto the sum of its codes (see ``rotated``).
        **settings: Any other argument of ``EMACodebook`` but ``cosine``: of a residual the length matters, too.
    """

    def __init__(
        self, n_codebooks: int, n_codes: int, embedding_dim: int, rotation_trick: bool = False, **settings: Any
    ) -> None:
        super().__init__()
        self.n_codebooks = n_codebooks
        self.n_codes = n_codes
        self.embedding_dim = embedding_dim
        self.rotation_trick = rotation_trick
        codebooks = nn.ModuleList(EMACodebook(n_codes, embedding_dim, **settings) for _ in range(n_codebooks))
        self.codebooks = cast("Sequence[EMACodebook]", codebooks)

    def forward(self, latents: torch.Tensor) -> VQOutput:
        """Quantise latents ``(B, D, *L)``; in training also learn from them."""
        residual = latents = latents.float()
        outputs: list[VQOutput] = []
        for codebook in self.codebooks:
            outputs.append(codebook(residual))
            residual = residual - outputs[-1]["embeddings"].detach()
        quantised = _sum([output["embeddings"].detach() for output in outputs])
        return VQOutput(
            embeddings=straight_through(rotated(latents, quantised) if self.rotation_trick else latents, quantised),
            encodings=torch.stack([output["encodings"] for output in outputs], dim=-1),
            commitment_loss=_sum([output["commitment_loss"] for output in outputs]),
            perplexity=torch.stack([output["perplexity"] for output in outputs]).log().mean().exp(),
            counts=torch.cat([output["counts"] for output in outputs]),
        )

    @torch.no_grad()
    def encode(self, latents: torch.Tensor) -> torch.Tensor:
        """Encodings ``(B, *L, Q)`` of latents ``(B, D, *L)``."""
        residual = latents.float()
        encodings = []
        for codebook in self.codebooks:
            encodings.append(codebook.encode(residual))
            residual = residual - codebook.lookup(encodings[-1])
        return torch.stack(encodings, dim=-1)

    def lookup(self, encodings: torch.Tensor) -> torch.Tensor:
        """Sums ``(B, D, *L)`` of the codes of encodings ``(B, *L, Q)``."""
        numbers = encodings.unbind(-1)
        return _sum([codebook.lookup(number) for codebook, number in zip(self.codebooks, numbers, strict=True)])

    def restart(self) -> bool:
        """Take the codes of all codebooks anew from the next training batch."""
        for codebook in self.codebooks:
            codebook.restart()
        return True


def _sum(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    """Sum in the order of the codebooks: in another it would round to another value."""
    return sum(tensors[1:], tensors[0])
