"""How often codes are used."""

import torch
from torch import distributed as dist


def count(encodings: torch.Tensor, n_codes: int) -> torch.Tensor:
    """How often each code ``(n_codes,)`` occurs, fp32. Unlike ``bincount``, a GPU does not make the host wait."""
    flat = encodings.flatten()
    ones = torch.ones(1, device=flat.device).expand(len(flat))
    return torch.zeros(n_codes, device=flat.device).index_add_(0, flat, ones)


def perplexity(counts: torch.Tensor) -> torch.Tensor:
    """How many codes, evenly used, have the entropy of these counts ``(n_codes,)``: its exp, a scalar.

    Example:
        >>> perplexity(torch.tensor([5.0, 5.0, 0.0, 0.0])).item()
        2.0
    """
    entropy: torch.Tensor = torch.special.entr(counts / counts.sum()).sum()
    return entropy.exp()


def over_ranks(counts: torch.Tensor) -> torch.Tensor:
    """Sum over the ranks of the default process group, if there is one."""
    if distributed():
        counts = counts.clone()
        dist.all_reduce(counts)
    return counts


def distributed() -> bool:
    """Whether there is a process group."""
    return dist.is_available() and dist.is_initialized()
