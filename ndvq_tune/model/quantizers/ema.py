"""Vector quantisation with a codebook that follows the latents by moving averages."""

from typing import Any, Literal

import torch
from torch.nn import functional as F  # noqa: N812

from ndvq_tune.model.quantizers.base import Quantizer, VQOutput
from ndvq_tune.model.quantizers.gradients import rotated, straight_through
from ndvq_tune.model.quantizers.nearest import nearest
from ndvq_tune.model.quantizers.random_tokens import random_tokens
from ndvq_tune.model.quantizers.untraced import untraced
from ndvq_tune.model.quantizers.usage import over_ranks, perplexity

CodebookInit = Literal["kmeans", "sample"]

_KMEANS_STEPS = 10
# Memory of the use of codes, apart from ema_decay: however slowly codes move, a dead one is noticed in some 70 steps.
_USAGE_DECAY = 0.95
# That memory spans at least so many tokens of an evenly used code: with fewer, none seen would mean nothing.
_USAGE_TOKENS = 5
# Below this a moving average has faded: nothing is divided by it, and the code stays where it is.
_FADED = 1e-6


class EMACodebook(Quantizer):
    """Codebook learned by exponential moving averages (van den Oord et al., 2017, appendix A.1).

    See https://arxiv.org/abs/1711.00937. Each training step moves the buffers ``counts`` and ``sums`` by equations 6
    and 7, and equation 8 makes the codes their ratio. The first steps, in which the latents move fast, use a shorter
    memory: a decay of ``(1 + t) / (10 + t)`` while that is less than ``ema_decay``. Statistics are summed over the
    ranks of the default process group, so that all ranks hold the same codebook. Evaluation moves nothing.

    Codes that fall out of use are restarted at random latents of the batch (Dhariwal et al., 2020, section 3;
    https://arxiv.org/abs/2005.00341). A code counts as dead below ``restart_threshold`` of an even share of the
    tokens, so that the measure is the same for any batch and codebook, even with far fewer tokens a step than codes.

    Codes of few dimensions, of which more are used, need nothing here: the encoder ends in a linear map to
    ``embedding_dim`` (the factorised codes of ViT-VQGAN, Yu et al., 2021, section 3.2;
    https://arxiv.org/abs/2110.04627).

    Args:
        n_codes: Codes.
        embedding_dim: Dimensions of a code.
        codebook_beta: Weight of the commitment loss (beta in equation 3).
        ema_decay: Decay of the moving averages (gamma), once the first steps are over.
        codebook_init: How the first training batch gives the first codes: k-means, or a sample of its latents.
        restart_threshold: Share of an even use below which a code is restarted; 0 for never.
        cosine: Latents are normalised to length 1 first, and codes whenever they move: the nearest code is the one of
            the nearest direction (the l2-normalised codes of ViT-VQGAN, same section).
        rotation_trick: Gradients turn with the latent onto its code (see ``rotated``), rather than pass straight.
    """

    codes: torch.Tensor
    counts: torch.Tensor
    sums: torch.Tensor
    usage: torch.Tensor
    updates: torch.Tensor

    def __init__(
        self,
        n_codes: int,
        embedding_dim: int,
        codebook_beta: float = 0.25,
        ema_decay: float = 0.95,
        codebook_init: CodebookInit = "kmeans",
        restart_threshold: float = 0.03,
        cosine: bool = False,
        rotation_trick: bool = False,
    ) -> None:
        super().__init__()
        if codebook_init not in ("kmeans", "sample"):
            raise ValueError(f"codebook_init must be one of kmeans, sample, but got {codebook_init!r}")
        self.n_codes = n_codes
        self.embedding_dim = embedding_dim
        self.codebook_beta = codebook_beta
        self.ema_decay = ema_decay
        self.codebook_init = codebook_init
        self.restart_threshold = restart_threshold
        self.cosine = cosine
        self.rotation_trick = rotation_trick
        codes = self.placed(torch.randn(n_codes, embedding_dim))
        self.register_buffer("codes", codes)
        self.register_buffer("counts", torch.ones(n_codes))
        self.register_buffer("sums", codes.clone())
        self.register_buffer("usage", torch.ones(n_codes))
        self.register_buffer("updates", torch.tensor(0))
        # Beside the buffer ``updates``, which a GPU would have to be waited for, and a compiled graph broken.
        self.initialised = False
        self.register_load_state_dict_post_hook(_ask_whether_initialised)  # type: ignore[no-untyped-call]

    def forward(self, latents: torch.Tensor) -> VQOutput:
        """Quantise latents ``(B, D, *L)``; in training also learn from them."""
        latents = self.placed(latents.float())
        channels_last = latents.detach().movedim(1, -1)
        tokens = channels_last.flatten(0, -2)
        learning = self.training and self.initialised
        if self.training and not learning:
            self._initialise(tokens)
        numbers = nearest(tokens, self.codes)
        encodings = numbers.view(channels_last.shape[:-1])
        quantised = self.lookup(encodings)
        totals = self._totals(tokens, numbers)
        pooled = over_ranks(totals) if self.training else totals
        if learning:
            self._learn(tokens, pooled[:, -1], pooled[:, :-1])
        return VQOutput(
            embeddings=straight_through(rotated(latents, quantised) if self.rotation_trick else latents, quantised),
            encodings=encodings,
            commitment_loss=self.codebook_beta * F.mse_loss(latents, quantised),
            perplexity=perplexity(pooled[:, -1]),
            counts=totals[None, :, -1],
        )

    @torch.no_grad()
    def encode(self, latents: torch.Tensor) -> torch.Tensor:
        """Encodings ``(B, *L)`` of latents ``(B, D, *L)``."""
        channels_last = self.placed(latents.float()).movedim(1, -1)
        return nearest(channels_last.flatten(0, -2), self.codes).view(channels_last.shape[:-1])

    def lookup(self, encodings: torch.Tensor) -> torch.Tensor:
        """Codes ``(B, D, *L)`` of encodings ``(B, *L)``."""
        return F.embedding(encodings, self.codes).movedim(-1, 1)

    def restart(self) -> bool:
        """Take all codes anew from the next training batch, as from the first; the codes stay until then."""
        self.updates.zero_()
        self.initialised = False
        return True

    def placed(self, vectors: torch.Tensor) -> torch.Tensor:
        """Vectors where they are compared: with ``cosine`` their directions in dimension 1, otherwise themselves."""
        return F.normalize(vectors, dim=1) if self.cosine else vectors

    @untraced
    @torch.no_grad()
    def _initialise(self, tokens: torch.Tensor) -> None:
        self.codes.copy_(self.placed(random_tokens(tokens, self.n_codes)))
        for _ in range(_KMEANS_STEPS if self.codebook_init == "kmeans" else 0):
            self._set_codes(*self._counts_and_sums(tokens))
        # Moving averages as if this batch had been seen for ever: from zero they would be too small at first.
        counts, _ = self._counts_and_sums(tokens)
        self.counts.copy_(counts)
        self.sums.copy_(self.codes * counts[:, None])
        self.usage.copy_(counts)
        self.updates.fill_(1)
        self.initialised = True

    @torch.no_grad()
    def _learn(self, tokens: torch.Tensor, counts: torch.Tensor, sums: torch.Tensor) -> None:
        # 2/11 at first: latents of a few steps ago were those of another encoder.
        early_decay = (1 + self.updates) / (10 + self.updates)
        decay = early_decay.clamp_max(self.ema_decay)
        self.counts.lerp_(counts, 1 - decay)
        self.sums.lerp_(sums, 1 - decay)
        even_use = counts.sum() / self.n_codes
        self.usage.lerp_(counts, (1 - early_decay.clamp_max(_USAGE_DECAY)).minimum(even_use / _USAGE_TOKENS))
        self.updates += 1
        if self.restart_threshold > 0:
            self._restart_dead(tokens, even_use)
        self._set_codes(self.counts, self.sums)

    def _restart_dead(self, tokens: torch.Tensor, even_use: torch.Tensor) -> None:
        """Move dead codes to random latents, with the count of an even use and the sum that belongs to it.

        So they neither die again at once nor drift back.
        """
        dead = self.usage < self.restart_threshold * even_use
        # Asked of a GPU, this would make the host wait; asked in a compiled graph, it would break it.
        if dead.is_cpu and not torch.compiler.is_compiling() and not dead.any():
            return
        self.usage.copy_(torch.where(dead, even_use, self.usage))
        self.counts.copy_(torch.where(dead, even_use, self.counts))
        self.sums.copy_(torch.where(dead[:, None], even_use * random_tokens(tokens, self.n_codes), self.sums))

    def _set_codes(self, counts: torch.Tensor, sums: torch.Tensor) -> None:
        """Codes are means; an unused code's count and sum fade together, and it stays where it is."""
        counts = counts[:, None]
        self.codes.copy_(self.placed(torch.where(counts > _FADED, sums / counts.clamp_min(_FADED), self.codes)))

    def _counts_and_sums(self, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens ``(K,)`` and sum of tokens ``(K, D)`` nearest to each code, over all ranks."""
        totals = over_ranks(self._totals(tokens, nearest(tokens, self.codes)))
        return totals[:, -1], totals[:, :-1]

    def _totals(self, tokens: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
        """Sum of the tokens of each code and, last, their number, ``(K, D + 1)``."""
        counted = F.pad(tokens, (0, 1), value=1.0)
        return tokens.new_zeros(self.n_codes, counted.shape[1]).index_add_(0, numbers, counted)


def _ask_whether_initialised(codebook: EMACodebook, _keys: Any) -> None:
    codebook.initialised = bool(codebook.updates > 0)
