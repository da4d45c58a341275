"""Random tokens to put codes at."""

import torch
from torch import distributed as dist

from ndvq_tune.model.quantizers.usage import distributed


def random_tokens(tokens: torch.Tensor, n_codes: int) -> torch.Tensor:
    """A random token for each code.

    They are different ones as long as there are any. Where tokens must repeat, a little noise tells the copies apart,
    so that they can share out their tokens.

    Args:
        tokens: Latents to draw from, ``(N, D)``.
        n_codes: How many are drawn, K.

    Returns:
        ``(K, D)``, equal on all ranks: those that rank 0 has drawn.
    """
    n_tokens = len(tokens)
    order = torch.randperm(max(n_tokens, n_codes), device=tokens.device)[:n_codes]
    drawn = tokens[order % n_tokens]
    if n_tokens < n_codes:
        drawn = drawn + 0.01 * tokens.std(0, correction=0) * torch.randn_like(drawn)
    if distributed():
        dist.broadcast(drawn, src=0)
    return drawn
