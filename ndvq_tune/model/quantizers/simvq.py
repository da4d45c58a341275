"""SimVQ: one linear map moves all codes at once."""

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from ndvq_tune.model.quantizers.base import VQOutput
from ndvq_tune.model.quantizers.library import LibraryQuantizer
from ndvq_tune.model.quantizers.random_tokens import random_tokens
from ndvq_tune.model.quantizers.untraced import untraced


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

    restarts: torch.Tensor

    def __init__(
        self, n_codes: int, embedding_dim: int, codebook_beta: float = 0.25, rotation_trick: bool = False
    ) -> None:
        import vector_quantize_pytorch as package

        library = package.SimVQ(
            embedding_dim, n_codes, rotation_trick=rotation_trick, input_to_quantize_commit_loss_weight=codebook_beta
        )
        super().__init__(library, n_codes, embedding_dim)
        self.register_buffer("restarts", torch.tensor(False))
        # Beside the buffer, which a GPU would have to be waited for, and a compiled graph broken.
        self.restarting = False
        self.register_load_state_dict_pre_hook(_add_restarts)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_post_hook(_ask_whether_to_restart)  # type: ignore[no-untyped-call]

    def forward(self, latents: torch.Tensor) -> VQOutput:
        """Quantise latents ``(B, D, *L)``."""
        if self.training and self.restarting:
            self._take_codes(latents.detach().float().movedim(1, -1).flatten(0, -2))
        return super().forward(latents)

    def restart(self) -> bool:
        """Take all codes anew from the next training batch; the codes stay until then."""
        self.restarts.fill_(True)
        self.restarting = True
        return True

    @untraced
    @torch.no_grad()
    def _take_codes(self, tokens: torch.Tensor) -> None:
        """Make random tokens the fixed vectors, and the map one that changes nothing."""
        self.library.frozen_codebook.copy_(random_tokens(tokens, self.n_codes))
        nn.init.eye_(self.library.code_transform.weight)
        self.restarts.fill_(False)
        self.restarting = False

    def _choose(self, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        codes, numbers, loss = self.library(tokens)
        return codes, numbers, loss

    def _codes(self, numbers: torch.Tensor) -> torch.Tensor:
        # Of all codes first, and only then those asked for: a product of other rows would round differently.
        return F.embedding(numbers, self.library.codebook)


def _add_restarts(_quantizer: SimVQ, state: dict[str, Any], prefix: str, *_rest: Any) -> None:
    """Checkpoints did not always have it."""
    state.setdefault(f"{prefix}restarts", torch.tensor(False))


def _ask_whether_to_restart(quantizer: SimVQ, _keys: Any) -> None:
    quantizer.restarting = bool(quantizer.restarts)
