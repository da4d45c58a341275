"""SimVQ: one linear map moves all codes at once."""

import torch
from torch.nn import functional as F  # noqa: N812

from ndvq_tune.model.quantizers.library import LibraryQuantizer


class SimVQ(LibraryQuantizer):
    """Codes are a learned linear map of fixed random vectors (Zhu et al., 2024; https://arxiv.org/abs/2411.02038).

    So a code that is never chosen still moves with the others, and none dies. The loss moves the map as well as the
    latents; it is the same in evaluation. All distances are taken at once: ``4 * N * K`` bytes.

    Args:
        n_codes: Codes.
        embedding_dim: Dimensions of a code.
        codebook_beta: Weight of the commitment loss, against that of the codes.
        rotation_trick: Gradients turn with the latent onto its code, rather than pass straight.
    """

    def __init__(
        self, n_codes: int, embedding_dim: int, codebook_beta: float = 0.25, rotation_trick: bool = False
    ) -> None:
        import vector_quantize_pytorch as package

        library = package.SimVQ(
            embedding_dim, n_codes, rotation_trick=rotation_trick, input_to_quantize_commit_loss_weight=codebook_beta
        )
        super().__init__(library, n_codes, embedding_dim)

    def _choose(self, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        codes, numbers, loss = self.library(tokens)
        return codes, numbers, loss

    def _codes(self, numbers: torch.Tensor) -> torch.Tensor:
        # Of all codes first, and only then those asked for: a product of other rows would round differently.
        return F.embedding(numbers, self.library.codebook)
