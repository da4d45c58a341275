import math

import pytest
import torch
from torch import nn

from ndvq_tune.model.attention import AxialAttention, FullAttention, MultiHeadAttention, build_attention

SHAPES = {1: (2, 6, 7), 2: (2, 6, 3, 5), 3: (2, 6, 2, 3, 4)}


def explicit_attention(module: MultiHeadAttention, tokens: torch.Tensor) -> torch.Tensor:
    """One sequence ``(L, C)``, one head at a time, in float64."""
    tokens = tokens.double()
    projected = tokens @ module.query_key_value.weight.double().T
    query, key, value = projected.chunk(3, dim=-1)
    width = query.shape[-1] // module.n_head
    heads = []
    for head in range(module.n_head):
        part = slice(head * width, (head + 1) * width)
        weights = torch.softmax(query[:, part] @ key[:, part].T / math.sqrt(width), dim=-1)
        heads.append(weights @ value[:, part])
    return torch.cat(heads, -1) @ module.output.weight.double().T + module.output.bias.double()


@pytest.mark.parametrize("n_head", [1, 2, 3])
def test_multi_head_attention_is_the_explicit_softmax(n_head):
    module = MultiHeadAttention(6, n_head, dropout=0.0)
    tokens = torch.randn(4, 5, 6)
    expected = torch.stack([explicit_attention(module, sequence) for sequence in tokens])
    torch.testing.assert_close(module(tokens).double(), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("n_dims", [1, 2, 3])
def test_full_attention_takes_positions_for_tokens(n_dims):
    module = FullAttention(6, n_head=2, dropout=0.0)
    x = torch.randn(SHAPES[n_dims])
    tokens = x.flatten(2).mT
    expected = torch.stack([explicit_attention(module.attention, sequence) for sequence in tokens])
    torch.testing.assert_close(module(x).double(), expected.mT.reshape(x.shape), atol=1e-5, rtol=1e-5)


def test_axial_attention_sums_attention_along_each_line():
    module = AxialAttention(6, n_dims=2, n_head=2, dropout=0.0)
    x = torch.randn(1, 6, 3, 5)
    along_height, along_width = module.axes
    expected = torch.zeros(6, 3, 5, dtype=torch.float64)
    for column in range(5):
        expected[:, :, column] += explicit_attention(along_height, x[0, :, :, column].T).T
    for row in range(3):
        expected[:, row] += explicit_attention(along_width, x[0, :, row].T).T
    torch.testing.assert_close(module(x)[0].double(), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("n_dims", [1, 2, 3])
def test_permuting_positions_permutes_full_attention(n_dims):
    """Attention holds no positions itself, so this is exact; channels permuted instead give something else."""
    module = FullAttention(6, n_head=2, dropout=0.0)
    x = torch.randn(SHAPES[n_dims])
    order = torch.randperm(x[0, 0].numel())
    permuted = module(x.flatten(2)[..., order].reshape(x.shape))
    torch.testing.assert_close(permuted.flatten(2), module(x).flatten(2)[..., order])

    channels = torch.arange(6).roll(1)
    assert not torch.allclose(module(x[:, channels]), module(x)[:, channels], atol=1e-3)


@pytest.mark.parametrize("axis", [2, 3, 4])
def test_permuting_one_axis_permutes_axial_attention(axis):
    module = AxialAttention(6, n_dims=3, n_head=2, dropout=0.0)
    x = torch.randn(SHAPES[3])
    order = torch.randperm(x.shape[axis])
    torch.testing.assert_close(module(x.index_select(axis, order)), module(x).index_select(axis, order))


def test_axial_attention_sees_only_its_lines():
    module = AxialAttention(6, n_dims=3, n_head=2, dropout=0.0)
    x = torch.randn(1, 6, 3, 3, 3, requires_grad=True)
    module(x)[0, :, 1, 1, 1].sum().backward()
    seen = x.grad[0].abs().sum(0) > 0
    expected = torch.zeros(3, 3, 3, dtype=torch.bool)
    expected[:, 1, 1] = expected[1, :, 1] = expected[1, 1, :] = True
    assert torch.equal(seen, expected)


@pytest.mark.parametrize("n_head", [1, 3, 5, 16])
@pytest.mark.parametrize("kind", ["axial", "full"])
def test_any_number_of_heads_fits(kind, n_head):
    module = build_attention(kind, 10, 2, n_head, 0.0)
    x = torch.randn(2, 10, 3, 4)
    assert module(x).shape == x.shape
    (attention, *_) = [part for part in module.modules() if isinstance(part, MultiHeadAttention)]
    assert attention.query_key_value.out_features == 3 * n_head * max(1, 10 // n_head)


def test_dropout_acts_in_training_only():
    module = FullAttention(6, n_head=2, dropout=0.5)
    x = torch.randn(1, 6, 4, 4)
    assert not torch.equal(module(x), module(x))
    module.eval()
    assert torch.equal(module(x), module(x))


def test_channels_last_memory_stays_channels_last():
    x = torch.randn(2, 6, 3, 4, 5).contiguous(memory_format=torch.channels_last_3d)
    for kind in ("axial", "full"):
        y = build_attention(kind, 6, 3, 2, 0.0)(x)
        assert y.is_contiguous(memory_format=torch.channels_last_3d)


def test_no_attention_and_unknown_attention():
    assert build_attention("none", 6, 2, 2, 0.0) is None
    with pytest.raises(ValueError, match="none, axial, full, but got 'diagonal'"):
        build_attention("diagonal", 6, 2, 2, 0.0)


def test_modules_hold_their_parameters():
    assert isinstance(AxialAttention(6, 3, 2, 0.0), nn.Module)
    assert len(list(AxialAttention(6, 3, 2, 0.0).parameters())) == 3 * len(list(FullAttention(6, 2, 0.0).parameters()))
