import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F  # noqa: N812

from ndvq_tune.config import ModelConfig
from ndvq_tune.model.convolution import strided_conv, strided_transposed_conv
from ndvq_tune.model.layers import Pointwise, ResidualBlock, decoder, encoder, prime_factors, stages_of, strides

ONE_D = ModelConfig(n_dims=1, downsample=(2,))

sizes_and_strides = st.integers(1, 4).flatmap(
    lambda n_dims: st.tuples(
        st.lists(st.integers(1, 4), min_size=n_dims, max_size=n_dims).map(tuple),
        st.lists(st.sampled_from([1, 2, 3, 5]), min_size=n_dims, max_size=n_dims).map(tuple),
    )
)


@settings(max_examples=30, deadline=None)
@given(sizes_and_strides)
def test_strided_convs_are_exact_there_and_back(sizes_and_stride):
    sizes, stride = sizes_and_stride
    full = tuple(size * factor for size, factor in zip(sizes, stride, strict=True))
    x = torch.randn(1, 2, *full)
    down = strided_conv(2, 3, stride)(x)
    assert down.shape == (1, 3, *sizes)
    assert strided_transposed_conv(3, 2, stride)(down).shape == x.shape


def test_transposed_conv_reaches_every_output_evenly():
    """With equal weights the way up adds the same number of windows everywhere inside: nothing is left out."""
    up = strided_transposed_conv(1, 1, (2,))
    nn.init.ones_(up.weight)
    nn.init.zeros_(up.bias)
    assert up(torch.ones(1, 1, 4)).squeeze().tolist() == [1, 2, 2, 2, 2, 2, 2, 1]


@pytest.mark.parametrize("conv", [strided_conv, strided_transposed_conv])
@pytest.mark.parametrize("stride", [(1, 1), (2, 3)])
def test_weights_keep_the_variance_through_a_relu(conv, stride):
    x = torch.randn(4, 64, 24, 24).relu()
    y = conv(64, 64, stride)(x)[:, :, 2:-2, 2:-2]
    assert y.relu().square().mean().item() == pytest.approx(x.square().mean().item(), rel=0.2)


@given(st.integers(1, 500))
def test_prime_factors_multiply_to_the_number_and_are_prime(number):
    factors = prime_factors(number)
    assert math.prod(factors) == number
    assert all(factor > 1 and all(factor % d for d in range(2, factor)) for factor in factors)
    assert factors == sorted(factors)


@pytest.mark.parametrize(
    ("downsample", "expected"),
    [
        ((1, 4, 6), [(1, 2, 2), (1, 2, 3)]),
        ((8,), [(2,), (2,), (2,)]),
        ((3, 1), [(3, 1)]),
        ((1, 1, 1), [(1, 1, 1)]),
    ],
)
def test_strides_of_the_stages(downsample, expected):
    assert strides(downsample) == expected


@pytest.mark.parametrize("downsample", [(16,), (6, 12), (1, 2, 2), (1, 1, 1), (2, 2, 4, 6)])
def test_patches_downsample_by_all_factors_at_once(downsample):
    config = ModelConfig(n_dims=len(downsample), downsample=downsample, n_res_layers=2, res_levels="all", stem="patch")
    assert stages_of(config) == [downsample]
    assert stages_of(config.model_copy(update={"stem": "conv"})) == strides(downsample)
    nets = (encoder(config, channels=3, embedding_dim=4), decoder(config, channels=3, embedding_dim=4))
    assert [sum(isinstance(module, ResidualBlock) for module in net) for net in nets] == [2, 2]
    assert [net[place].patch for net, place in zip(nets, (0, -1), strict=True)] == [downsample] * 2


@pytest.mark.parametrize("downsample", [(4,), (12,), (4, 2), (2, 4, 4), (1, 1, 3), (2, 1, 2, 8)])
def test_with_patches_data_moved_by_the_factor_give_latents_moved_by_one_and_back(downsample):
    """Away from the borders, and with a norm that each position has by itself."""
    config = ModelConfig(n_dims=len(downsample), downsample=downsample, stem="patch", norm="rms", n_hiddens=4)
    x = torch.randn(1, 2, *(13 * factor if axis == 0 else 2 * factor for axis, factor in enumerate(downsample)))
    inside = (slice(None), slice(None), slice(6, -5))
    encode, decode = encoder(config, 2, 3), decoder(config, 2, 3)
    with torch.no_grad():
        latents, moved = encode(x), encode(x.roll(downsample[0], 2))
        torch.testing.assert_close(moved[inside], latents.roll(1, 2)[inside])
        y, moved = decode(latents), decode(latents.roll(1, 2))
    inside = (slice(None), slice(None), slice(6 * downsample[0], -5 * downsample[0]))
    torch.testing.assert_close(moved[inside], y.roll(downsample[0], 2)[inside])


def dropped(p: float, training: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """What a block without norm and attention adds to ones; and what goes into its last map then."""
    block = ResidualBlock(ModelConfig(n_dims=1, downsample=(2,), dropout=p), 64, attended=False).train(training)
    seen = []
    block.convs[-1].register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    x = torch.randn(64, 64, 50, generator=torch.Generator().manual_seed(0))
    return (block(x) - x).detach(), seen[0].detach()


def test_dropout_is_before_the_last_map_of_a_block_and_keeps_what_is_expected():
    results = []
    for p, training in ((0.0, True), (0.25, True), (0.25, False)):
        torch.manual_seed(0)
        results.append(dropped(p, training))
    (_, whole), (_, trained), (added, evaluated) = results
    assert torch.equal(evaluated, whole)
    assert torch.equal(added, results[0][0])
    kept = trained.ne(0)
    assert kept.float().mean().item() == pytest.approx(0.75, abs=0.01)
    torch.testing.assert_close(trained[kept], whole[kept] / 0.75)
    assert trained.mean().item() == pytest.approx(whole.mean().item(), rel=0.02)


def test_dropout_is_in_every_block_and_leaves_the_names_of_weights():
    settings = {"n_dims": 2, "downsample": (4, 4), "n_res_layers": 2, "n_hiddens": 4, "res_levels": "all"}
    for build in (encoder, decoder):
        plain, dropping = (build(ModelConfig(**settings, dropout=p), 3, 4) for p in (0.0, 0.1))
        found = [[module.p for module in net.modules() if isinstance(module, nn.Dropout)] for net in (plain, dropping)]
        assert found == [[], [0.1] * 4]
        assert list(plain.state_dict()) == list(dropping.state_dict())


def test_pointwise_is_a_convolution_of_kernel_one():
    layer = Pointwise(3, 5)
    x = torch.randn(2, 3, 4, 5, 6)
    expected = F.conv3d(x, layer.weight[..., None, None, None], layer.bias)
    torch.testing.assert_close(layer(x), expected)


def test_a_sample_does_not_depend_on_its_batch():
    block = ResidualBlock(ModelConfig(n_dims=2, downsample=(1, 1)), 8, attended=False)
    x = torch.randn(4, 8, 5, 5)
    torch.testing.assert_close(block(x)[:1], block(x[:1]))


@pytest.mark.parametrize("channels", [2, 3, 7])
def test_any_width_of_a_residual_block_works(channels):
    x = torch.randn(2, channels, 5)
    assert ResidualBlock(ONE_D, channels, attended=False)(x).shape == x.shape


def test_residual_block_adds_to_its_input():
    block = ResidualBlock(ONE_D, 4, attended=False)
    for parameter in block.convs[-1].parameters():
        nn.init.zeros_(parameter)
    x = torch.randn(2, 4, 5)
    assert torch.equal(block(x), x)


@pytest.mark.parametrize("downsample", [(1, 1), (3, 6), (4, 1)])
def test_decoder_mirrors_encoder(downsample):
    config = ModelConfig(n_dims=2, downsample=downsample, n_hiddens=6, n_res_layers=1)
    x = torch.randn(2, 3, 12, 12)
    latents = encoder(config, channels=3, embedding_dim=4)(x)
    assert latents.shape == (2, 4, 12 // downsample[0], 12 // downsample[1])
    assert decoder(config, channels=3, embedding_dim=4)(latents).shape == x.shape


@pytest.mark.parametrize("levels", ["all", "coarsest"])
def test_residual_blocks_and_attention_are_at_the_levels_asked_for(levels):
    settings = {"n_dims": 2, "downsample": (8, 4), "n_res_layers": 2, "n_hiddens": 4, "res_levels": "all"}
    config = ModelConfig(**settings, attention={"type": "full", "levels": levels})
    for net in (encoder(config, channels=3, embedding_dim=4), decoder(config, channels=3, embedding_dim=4)):
        blocks = [module for module in net if isinstance(module, ResidualBlock)]
        assert len(blocks) == 2 * 3
        assert sum(block.attention is not None for block in blocks) == (6 if levels == "all" else 2)
    x = torch.randn(1, 3, 16, 8)
    latents = encoder(config, channels=3, embedding_dim=4)(x)
    assert decoder(config, channels=3, embedding_dim=4)(latents).shape == x.shape


def test_decoder_multiplier_sets_the_width_of_the_decoder_alone():
    config = ModelConfig(n_hiddens=8, decoder_multiplier=2.5)
    widths = [
        {m.weight.numel() for m in net.modules() if isinstance(m, nn.RMSNorm)}
        for net in (encoder(config, channels=3, embedding_dim=4), decoder(config, channels=3, embedding_dim=4))
    ]
    assert widths == [{8, 4}, {20, 10}]


@pytest.mark.parametrize("options", [{}, {"stem": "patch", "dropout": 0.1}], ids=["", "patch, dropout"])
@pytest.mark.parametrize("attention", ["none", "axial", "full"])
def test_channels_last_memory_is_never_left(attention, options):
    """A conversion back would cost a copy at every layer."""
    formats = []

    def record(module, args, output):
        formats.append(output.is_contiguous(memory_format=torch.channels_last_3d))

    config = ModelConfig(downsample=(2, 4, 4), n_hiddens=8, n_res_layers=1, attention={"type": attention}, **options)
    net = nn.Sequential(encoder(config, channels=3, embedding_dim=4), decoder(config, channels=3, embedding_dim=4))
    for module in net.modules():
        module.register_forward_hook(record) if not list(module.children()) and module.__class__ != nn.Linear else None
    net(torch.randn(2, 3, 4, 16, 16).contiguous(memory_format=torch.channels_last_3d))
    assert len(formats) > 10
    assert all(formats)
