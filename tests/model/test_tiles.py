import pytest
import torch

from ndvq_tune.config import ModelConfig
from ndvq_tune.model import NDimVQVAE, build_model
from ndvq_tune.model.tiles import Tile, Tiling, decode, encode, tiles, tiling

SHAPES = {1: (2, 64), 2: (3, 16, 16), 3: (3, 4, 16, 16), 4: (1, 2, 8, 8, 8)}
FACTORS = {1: (8,), 2: (4, 4), 3: (2, 4, 4), 4: (1, 2, 4, 2)}


def model_of(n_dims: int = 2, **changes) -> NDimVQVAE:
    torch.manual_seed(0)
    settings = {"downsample": FACTORS[n_dims], "n_hiddens": 8, "embedding_dim": 4, "n_codes": 32, "n_res_layers": 1}
    model = build_model(ModelConfig(n_dims=n_dims, **settings | changes), SHAPES[n_dims], 0.5, 0.08).eval()
    with torch.no_grad():
        model(torch.rand(4, *SHAPES[n_dims]))
    return model


def data_of(model: NDimVQVAE, *size: int) -> torch.Tensor:
    return torch.rand(1, model.input_shape[0], *size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("length", "size", "margin"), [(1, 4, 2), (4, 4, 2), (5, 4, 2), (9, 4, 0), (100, 7, 3), (8, 2, 1), (3, 1, 5)]
)
def test_tiles_give_each_code_once_and_see_a_margin_on_both_sides_of_it(length, size, margin):
    found = tiles(length, size, margin)
    assert [code for tile in found for code in range(tile.start, tile.stop)] == list(range(length))
    for tile in found:
        assert max(0, tile.start - margin) >= tile.low >= 0
        assert min(length, tile.stop + margin) <= tile.high <= length
        assert tile.high - tile.low <= size + 2 * margin


def test_a_tile_at_an_end_is_as_large_as_the_others_where_there_is_room():
    assert tiles(10, 4, 1)[-1] == Tile(8, 10, 4, 10)
    assert {tile.high - tile.low for tile in tiles(10, 4, 1)} == {6}


@pytest.mark.parametrize(
    "changes",
    [{}, {"n_res_layers": 3}, {"n_res_layers": 2, "downsample": (8, 8)}, {"n_res_layers": 2, "stem": "patch"}],
)
def test_the_margins_are_as_wide_as_gradients_say(changes):
    model = model_of(**changes)
    factor, found = model.downsample[0], tiling(model)
    x = data_of(model, 40 * factor, factor).requires_grad_()
    model.encoder(x)[:, :, 20].abs().sum().backward()
    rows = x.grad.abs().sum((0, 1, 3)).nonzero()[:, 0] // factor
    assert found.encoding[0] == max(20 - rows.min(), rows.max() - 20)
    latents = torch.rand(1, 4, 40, 1).requires_grad_()
    model.decoder(latents)[:, :, 20 * factor : 21 * factor].abs().sum().backward()
    rows = latents.grad.abs().sum((0, 1, 3)).nonzero()[:, 0]
    assert found.decoding[0] == max(20 - rows.min(), rows.max() - 20)


@pytest.mark.parametrize(
    ("n_dims", "size", "changes"),
    [
        (1, (1000,), {}),
        (1, (1003,), {"stem": "patch"}),
        (1, (700,), {"quantizer": {"type": "residual", "n_quantizers": 2}}),
        (2, (90, 61), {}),
        (2, (64, 64), {"n_res_layers": 2, "res_levels": "all"}),
        (3, (17, 40, 36), {}),
        (4, (5, 20, 30, 9), {}),
    ],
)
def test_codes_and_reconstructions_of_tiles_are_those_of_the_whole(n_dims, size, changes):
    model = model_of(n_dims, **changes)
    x = data_of(model, *size)
    found = tiling(model, positions=1)
    assert found.exact
    codes = encode(model, x, found)
    assert torch.equal(codes, model.encode(x))
    whole = model.decode(codes, size)
    torch.testing.assert_close(decode(model, codes, found)[:, :, *map(slice, size)], whole, rtol=1e-5, atol=1e-5)


def test_a_margin_that_is_too_narrow_shows():
    model = model_of()
    x, found = data_of(model, 64, 64), tiling(model, positions=1)
    narrow = Tiling(found.sizes, (0, 0), (0, 0), exact=False)
    assert not torch.equal(encode(model, x, narrow), model.encode(x))


@pytest.mark.parametrize(
    "changes", [{"norm": "group"}, {"attention": {"type": "full"}}, {"attention": {"type": "axial"}}]
)
def test_what_sees_everything_is_cut_into_pieces_as_large_as_samples(changes):
    model = model_of(3, **changes)
    found = tiling(model)
    assert not found.exact
    seen = []
    model.encoder.register_forward_pre_hook(lambda _, given: seen.append(tuple(given[0].shape[2:])))
    codes = encode(model, data_of(model, 12, 48, 48), found)
    assert codes.shape == (1, 6, 12, 12)
    assert set(seen) == {model.input_shape[1:]}


def test_batch_norm_does_not_see_beyond_a_position_in_evaluation():
    assert tiling(model_of(norm="batch")).exact


def test_tiles_are_as_large_as_allowed():
    model = model_of()
    assert tiling(model, positions=64 * 64).sizes == (16, 16)
    assert tiling(model, positions=1).sizes == model.latent_shape
