import math

import pytest
import torch

from ndvq_tune.config import AttentionConfig
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
    module = MultiHeadAttention(6, n_head, 0.0, rotary=False)
    tokens = torch.randn(4, 5, 6)
    expected = torch.stack([explicit_attention(module, sequence) for sequence in tokens])
    torch.testing.assert_close(module(tokens, (5,)).double(), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("n_dims", [1, 2, 3])
def test_full_attention_takes_positions_for_tokens(n_dims):
    module = FullAttention(6, n_head=2, dropout=0.0, rotary=False)
    x = torch.randn(SHAPES[n_dims])
    tokens = x.flatten(2).mT
    expected = torch.stack([explicit_attention(module.attention, sequence) for sequence in tokens])
    torch.testing.assert_close(module(x).double(), expected.mT.reshape(x.shape), atol=1e-5, rtol=1e-5)


def test_axial_attention_sums_attention_along_each_line():
    module = AxialAttention(6, n_dims=2, n_head=2, dropout=0.0, rotary=False)
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
    module = FullAttention(6, n_head=2, dropout=0.0, rotary=False)
    x = torch.randn(SHAPES[n_dims])
    order = torch.randperm(x[0, 0].numel())
    permuted = module(x.flatten(2)[..., order].reshape(x.shape))
    torch.testing.assert_close(permuted.flatten(2), module(x).flatten(2)[..., order])

    channels = torch.arange(6).roll(1)
    assert not torch.allclose(module(x[:, channels]), module(x)[:, channels], atol=1e-3)


@pytest.mark.parametrize("axis", [2, 3, 4])
def test_permuting_one_axis_permutes_axial_attention(axis):
    module = AxialAttention(6, n_dims=3, n_head=2, dropout=0.0, rotary=False)
    x = torch.randn(SHAPES[3])
    order = torch.randperm(x.shape[axis])
    torch.testing.assert_close(module(x.index_select(axis, order)), module(x).index_select(axis, order))


def test_axial_attention_sees_only_its_lines():
    module = AxialAttention(6, n_dims=3, n_head=2, dropout=0.0, rotary=False)
    x = torch.randn(1, 6, 3, 3, 3, requires_grad=True)
    module(x)[0, :, 1, 1, 1].sum().backward()
    seen = x.grad[0].abs().sum(0) > 0
    expected = torch.zeros(3, 3, 3, dtype=torch.bool)
    expected[:, 1, 1] = expected[1, :, 1] = expected[1, 1, :] = True
    assert torch.equal(seen, expected)


@pytest.mark.parametrize("n_head", [1, 3, 5, 16])
@pytest.mark.parametrize("kind", ["axial", "full"])
def test_any_number_of_heads_fits(kind, n_head):
    module = build_attention(AttentionConfig(type=kind, n_head=n_head), 10, 2)
    x = torch.randn(2, 10, 3, 4)
    assert module(x).shape == x.shape
    (attention, *_) = [part for part in module.modules() if isinstance(part, MultiHeadAttention)]
    assert attention.query_key_value.out_features == 3 * n_head * max(1, 10 // n_head)


def test_dropout_acts_in_training_only():
    module = FullAttention(6, n_head=2, dropout=0.5, rotary=True)
    x = torch.randn(1, 6, 4, 4)
    assert not torch.equal(module(x), module(x))
    module.eval()
    assert torch.equal(module(x), module(x))


@pytest.mark.parametrize("positions", ["rotary", "none"])
def test_channels_last_memory_stays_channels_last(positions):
    x = torch.randn(2, 6, 3, 4, 5).contiguous(memory_format=torch.channels_last_3d)
    for kind in ("axial", "full"):
        y = build_attention(AttentionConfig(type=kind, positions=positions), 6, 3)(x)
        assert y.is_contiguous(memory_format=torch.channels_last_3d)


@pytest.mark.parametrize("kind", ["axial", "full"])
def test_rotary_attention_tells_positions_apart(kind):
    """Reversed tokens give reversed output without positions, and something else with them."""
    x = torch.randn(1, 6, 5)
    for positions, equivariant in (("none", True), ("rotary", False)):
        module = build_attention(AttentionConfig(type=kind, positions=positions), 6, 1)
        assert torch.allclose(module(x.flip(-1)), module(x).flip(-1), atol=1e-5) == equivariant


@pytest.mark.parametrize("kind", ["axial", "full"])
def test_rotary_attention_is_translation_equivariant_within_zeros(kind):
    """What is seen of a token depends on where it is seen from: tokens attended from far away, shifted, are the same.

    Zeros project to keys of zero, whose scores do not depend on positions, so a shift within zeros moves the output.
    """
    module = build_attention(AttentionConfig(type=kind, positions="rotary"), 8, 2)
    pattern = torch.randn(1, 8, 2, 2)
    first, second = torch.zeros(1, 8, 6, 7), torch.zeros(1, 8, 6, 7)
    first[..., 1:3, 1:3] = pattern
    second[..., 3:5, 4:6] = pattern
    torch.testing.assert_close(module(first)[..., 1:3, 1:3], module(second)[..., 3:5, 4:6])


def test_rotary_attention_is_the_explicit_softmax_of_rotated_queries_and_keys():
    module = MultiHeadAttention(8, 2, 0.0, rotary=True)
    tokens = torch.randn(1, 12, 8)
    query, key, value = (tokens[0].double() @ module.query_key_value.weight.double().T).chunk(3, -1)
    angles = rotary_angles((3, 4), 4)
    heads = []
    for part in (slice(0, 4), slice(4, 8)):
        turned = [turn(x[:, part], angles) for x in (query, key)]
        heads.append(torch.softmax(turned[0] @ turned[1].T / 2, -1) @ value[:, part])
    expected = torch.cat(heads, -1) @ module.output.weight.double().T + module.output.bias.double()
    torch.testing.assert_close(module(tokens, (3, 4))[0].double(), expected, atol=1e-5, rtol=1e-5)


def rotary_angles(sizes: tuple[int, int], width: int) -> torch.Tensor:
    """Two pairs, one for each axis: the fastest frequency, one radian a position."""
    rows, columns = torch.meshgrid(*(torch.arange(size) for size in sizes), indexing="ij")
    assert width == 4
    return torch.stack([rows.flatten(), columns.flatten()], -1).double()


def turn(x: torch.Tensor, angles: torch.Tensor) -> torch.Tensor:
    """Pairs (0, 1) and (2, 3) as complex numbers, turned."""
    turned = torch.complex(x[:, ::2], x[:, 1::2]) * torch.polar(torch.ones_like(angles), angles)
    return torch.stack([turned.real, turned.imag], -1).flatten(1)


def test_no_attention_is_none():
    assert build_attention(AttentionConfig(type="none"), 6, 2) is None


def test_each_axis_has_its_own_parameters():
    axial, full = (build_attention(AttentionConfig(type=kind), 6, 3) for kind in ("axial", "full"))
    assert len(list(axial.parameters())) == 3 * len(list(full.parameters()))
