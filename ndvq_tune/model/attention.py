"""Multi-head attention over latent positions: all of them, or one axis at a time."""

from collections.abc import Sequence
from functools import reduce

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from ndvq_tune.config import AttentionConfig
from ndvq_tune.model.rotary import rotate, rotations


class MultiHeadAttention(nn.Module):
    """Multi-head self-attention over a sequence of tokens (Vaswani et al., 2017, eq. 1; https://arxiv.org/abs/1706.03762).

    Without positions, permuting the tokens permutes the output, and only the convolutions around it tell them apart.
    Either way it is free of any fixed sequence length.

    Args:
        n_hiddens: Width of a token.
        n_head: Heads. Any number will do: a head is ``max(1, n_hiddens // n_head)`` wide, and the projections fit.
        dropout: Dropout of attention weights while training.
        rotary: Whether queries and keys are turned by their positions.
    """

    def __init__(self, n_hiddens: int, n_head: int, dropout: float, *, rotary: bool) -> None:
        super().__init__()
        self.n_head = n_head
        self.dropout = dropout
        self.rotary = rotary
        width = n_head * max(1, n_hiddens // n_head)
        self.query_key_value = nn.Linear(n_hiddens, 3 * width, bias=False)
        self.output = nn.Linear(width, n_hiddens)

    def forward(self, tokens: torch.Tensor, sizes: Sequence[int]) -> torch.Tensor:
        """Attend over the last but one dimension of ``(*N, L, n_hiddens)``; the shape stays.

        Args:
            tokens: The tokens.
            sizes: Sizes of the grid that the ``L`` tokens are on, ``L`` being their product.
        """
        heads = self.query_key_value(tokens).unflatten(-1, (3, self.n_head, -1))
        query, key, value = heads.flatten(0, -5).permute(2, 0, 3, 1, 4)
        if self.rotary:
            turns = rotations(sizes, query.shape[-1], tokens.device)
            query, key = rotate(query, turns), rotate(key, turns)
        dropout = self.dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
        output: torch.Tensor = self.output(mixed.transpose(1, 2).flatten(2))
        return output.view(tokens.shape)


class FullAttention(nn.Module):
    """Every position attends to every position.

    Args:
        n_hiddens: Channels.
        n_head: Heads.
        dropout: Dropout of attention weights while training.
        rotary: Whether it knows positions.
    """

    def __init__(self, n_hiddens: int, n_head: int, dropout: float, *, rotary: bool) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(n_hiddens, n_head, dropout, rotary=rotary)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(B, C, *S)`` to the same shape; a token is the channels of one position."""
        tokens = x.movedim(1, -1)
        attended: torch.Tensor = self.attention(tokens.flatten(1, -2), x.shape[2:])
        return attended.view(tokens.shape).movedim(-1, 1)


class AxialAttention(nn.Module):
    """Each dimension attends along its own lines, and the results are summed.

    As in VideoGPT (Yan et al., 2021, section 3.1; https://arxiv.org/abs/2104.10157), after Ho et al., 2019
    (https://arxiv.org/abs/1912.12180).

    Args:
        n_hiddens: Channels.
        n_dims: Dimensions of the data.
        n_head: Heads.
        dropout: Dropout of attention weights while training.
        rotary: Whether it knows positions.
    """

    def __init__(self, n_hiddens: int, n_dims: int, n_head: int, dropout: float, *, rotary: bool) -> None:
        super().__init__()
        self.axes = nn.ModuleList(MultiHeadAttention(n_hiddens, n_head, dropout, rotary=rotary) for _ in range(n_dims))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(B, C, *S)`` to the same shape; a token is the channels of one position."""
        tokens = x.movedim(1, -1)
        attended = [
            attention(tokens.movedim(axis, -2), tokens.shape[axis : axis + 1]).movedim(-2, axis)
            for axis, attention in enumerate(self.axes, start=1)
        ]
        # A sum takes the memory format of its first term: that of the last axis, which was not moved.
        total: torch.Tensor = reduce(torch.add, reversed(attended))
        return total.movedim(-1, 1)


def build_attention(config: AttentionConfig, n_hiddens: int, n_dims: int) -> nn.Module | None:
    """The attention that a configuration describes, or none. It maps ``(B, n_hiddens, *S)`` to the same shape.

    Args:
        config: Its type, heads, positions and dropout.
        n_hiddens: Channels.
        n_dims: Dimensions ``S``.

    Example:
        >>> attention = build_attention(AttentionConfig(type="axial", n_head=4), n_hiddens=32, n_dims=3)
        >>> attention(torch.rand(2, 32, 4, 8, 8)).shape
        torch.Size([2, 32, 4, 8, 8])
    """
    rotary = config.positions == "rotary"
    match config.type:
        case "none":
            return None
        case "axial":
            return AxialAttention(n_hiddens, n_dims, config.n_head, config.dropout, rotary=rotary)
        case "full":
            return FullAttention(n_hiddens, config.n_head, config.dropout, rotary=rotary)
