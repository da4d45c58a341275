import math

import numpy as np
import pytest
import torch

from ndvq_tune.model.rotary import rotate, rotations

GRIDS = [(7,), (3, 5), (2, 3, 4), (2, 3, 2, 3)]


def angles_by_position(sizes: tuple[int, ...], width: int) -> np.ndarray:
    """Angles ``(*sizes, width // 2)`` in float64, one position and pair at a time."""
    n_dims = len(sizes)
    axis_of_pair = sorted(pair % n_dims for pair in range(width // 2))
    angles = np.zeros((*sizes, width // 2))
    for position in np.ndindex(*sizes):
        for pair, axis in enumerate(axis_of_pair):
            before = axis_of_pair.index(axis)
            wavelength = 2 * math.pi * 100 ** ((pair - before) / axis_of_pair.count(axis))
            angles[(*position, pair)] = 2 * math.pi * position[axis] / wavelength
    return angles


@pytest.mark.parametrize("width", [2, 3, 7, 16])
@pytest.mark.parametrize("sizes", GRIDS)
def test_rotation_is_multiplication_by_complex_numbers(sizes, width):
    x = torch.randn(2, 4, math.prod(sizes), width)
    y = rotate(x, rotations(sizes, width))
    assert y.shape == x.shape

    pairs = width // 2
    turns = np.exp(1j * angles_by_position(sizes, width)).reshape(-1, pairs)
    before, after = x.double().numpy(), y.double().numpy()
    expected = (before[..., 0 : 2 * pairs : 2] + 1j * before[..., 1 : 2 * pairs : 2]) * turns
    np.testing.assert_allclose(after[..., 0 : 2 * pairs : 2], expected.real, atol=1e-5)
    np.testing.assert_allclose(after[..., 1 : 2 * pairs : 2], expected.imag, atol=1e-5)
    np.testing.assert_array_equal(after[..., 2 * pairs :], before[..., 2 * pairs :])


@pytest.mark.parametrize("width", [1, 2, 3, 16])
@pytest.mark.parametrize("sizes", GRIDS)
def test_there_is_an_angle_for_each_position_and_pair(sizes, width):
    turns = rotations(sizes, width)
    assert turns.shape == (math.prod(sizes), width // 2)
    assert turns.dtype == torch.complex64


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_product_depends_only_on_the_difference_of_positions(axis):
    sizes = (5, 6, 7)
    turns = rotations(sizes, 16)
    query, key = torch.randn(2, 16)
    queries, keys = (rotate(vector.expand(math.prod(sizes), 16), turns).view(*sizes, 16) for vector in (query, key))

    def products(difference: int) -> torch.Tensor:
        """Of the key at each position and the query so many positions on along the axis."""
        length = sizes[axis] - difference
        return (queries.narrow(axis, difference, length) * keys.narrow(axis, 0, length)).sum(-1)

    means = []
    for difference in range(4):
        of_difference = products(difference)
        torch.testing.assert_close(of_difference, of_difference.mean().expand_as(of_difference), atol=1e-4, rtol=1e-4)
        means.append(round(of_difference.mean().item(), 2))
    assert len(set(means)) == 4


def test_one_pair_for_each_axis_at_the_least_and_the_first_axes_get_the_rest():
    cos = rotations((4, 5, 6), 10).real
    moved = [(cos.view(4, 5, 6, 5).diff(dim=axis).abs().amax((0, 1, 2)) > 0).tolist() for axis in range(3)]
    assert np.sum(moved, 1).tolist() == [2, 2, 1]
    assert np.sum(moved, 0).tolist() == [1, 1, 1, 1, 1]


def test_narrow_heads_leave_the_last_axes_out():
    cos = rotations((4, 5, 6), 4).real
    moved = [bool(cos.view(4, 5, 6, 2).diff(dim=axis).any()) for axis in range(3)]
    assert moved == [True, True, False]


def test_angles_are_those_of_a_larger_grid():
    small, large = rotations((3, 8), 10), rotations((9, 4), 10)
    assert torch.equal(small.view(3, 8, 5)[:3, :4], large.view(9, 4, 5)[:3, :4])


@pytest.mark.parametrize("sizes", [(256,), (16, 16)])
def test_no_two_positions_look_alike(sizes):
    angles = torch.view_as_real(rotations(sizes, 16)).flatten(1)
    distances = torch.cdist(angles, angles) + 10 * torch.eye(math.prod(sizes))
    assert distances.min() > 0.5


@pytest.mark.parametrize("width", [3, 16])
def test_norms_are_kept(width):
    x = torch.randn(2, 60, width)
    torch.testing.assert_close(rotate(x, rotations((3, 4, 5), width)).norm(dim=-1), x.norm(dim=-1))


def test_nothing_turns_at_the_origin():
    x = torch.randn(2, 60, 16)
    y = rotate(x, rotations((3, 4, 5), 16))
    assert torch.equal(y[:, 0], x[:, 0])
    assert not torch.isclose(y[:, 1:], x[:, 1:]).all(-1).any()


def test_a_head_of_one_channel_stays():
    x = torch.randn(2, 6, 1)
    assert torch.equal(rotate(x, rotations((2, 3), 1)), x)


def test_gradients():
    turns = rotations((2, 2), 5)
    x = torch.randn(2, 4, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: rotate(x, turns), x)


def test_bfloat16_is_rounded_once():
    turns = rotations((256,), 16)
    x = torch.randn(2, 256, 16).bfloat16()
    assert torch.equal(rotate(x, turns), rotate(x.float(), turns).bfloat16())


def test_one_graph_holds_it_all():
    def turned(x: torch.Tensor) -> torch.Tensor:
        return rotate(x, rotations((3, 4), 7, x.device))

    x = torch.randn(2, 12, 7)
    assert torch.equal(torch.compile(turned, fullgraph=True, backend="eager")(x), turned(x))
