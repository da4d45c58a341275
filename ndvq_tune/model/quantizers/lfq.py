"""Lookup-free quantisation: a code is the signs of its dimensions."""

import torch

from ndvq_tune.model.quantizers.library import LibraryQuantizer


class LFQ(LibraryQuantizer):
    """Lookup-free quantisation (Yu et al., 2023, MAGVIT-v2, section 3; https://arxiv.org/abs/2310.05737).

    The loss asks of each latent to be sure of its code and of the batch to use all codes alike (equation 5), and
    has the commitment loss; in evaluation it is 0, and no gradient passes. It takes the probabilities of all codes
    for each latent, several times ``4 * N * K`` bytes.

    Args:
        n_codes: Codes at most; there are as many as the greatest power of two up to this.
        codebook_beta: Weight of the commitment loss.
        entropy_weight: Weight of the entropy loss.
    """

    def __init__(self, n_codes: int, codebook_beta: float = 0.25, entropy_weight: float = 0.1) -> None:
        import vector_quantize_pytorch as package

        dimensions = n_codes.bit_length() - 1
        library = package.LFQ(dim=dimensions, commitment_loss_weight=codebook_beta, entropy_loss_weight=entropy_weight)
        super().__init__(library, 2**dimensions, dimensions)

    def _choose(self, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        codes, numbers, loss = self.library(tokens)
        return codes, numbers, loss

    def _codes(self, numbers: torch.Tensor) -> torch.Tensor:
        codes: torch.Tensor = self.library.indices_to_codes(numbers)
        return codes
