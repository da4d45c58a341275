"""Codebooks, latents and an independent search that several tests use."""

import numpy as np
import torch

from ndvq_tune.model import EMACodebook


def codebook_of(codes: torch.Tensor, **settings) -> EMACodebook:
    """A codebook past its first steps, with these codes, each used once."""
    codebook = EMACodebook(len(codes), codes.shape[1], **{"restart_threshold": 0.0, **settings})
    state = {"codes": codes, "sums": codes, "updates": torch.tensor(1_000_000)}
    codebook.load_state_dict({**codebook.state_dict(), **state})
    return codebook


def nearest_in_float64(tokens: torch.Tensor, codes: torch.Tensor) -> np.ndarray:
    difference = tokens.double().numpy()[:, None] - codes.double().numpy()[None]
    return (difference**2).sum(-1).argmin(1)


def as_latents(tokens: torch.Tensor) -> torch.Tensor:
    """Tokens ``(N, D)`` as one 1D sample ``(1, D, N)``."""
    return tokens.T[None]
