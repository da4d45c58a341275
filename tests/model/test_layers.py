import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F  # noqa: N812

from ndvq_tune.config import ModelConfig
from ndvq_tune.model.convolution import strided_conv, strided_transposed_conv
from ndvq_tune.model.layers import Pointwise, ResidualBlock, decoder, encoder, prime_factors, strides

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
        {m.num_channels for m in net.modules() if isinstance(m, nn.GroupNorm)}
        for net in (encoder(config, channels=3, embedding_dim=4), decoder(config, channels=3, embedding_dim=4))
    ]
    assert widths == [{8, 4}, {20, 10}]


@pytest.mark.parametrize("attention", ["none", "axial", "full"])
def test_channels_last_memory_is_never_left(attention):
    """A conversion back would cost a copy at every layer."""
    formats = []

    def record(module, args, output):
        formats.append(output.is_contiguous(memory_format=torch.channels_last_3d))

    config = ModelConfig(downsample=(2, 4, 4), n_hiddens=8, n_res_layers=1, attention={"type": attention})
    net = encoder(config, channels=3, embedding_dim=4)
    for module in net.modules():
        module.register_forward_hook(record) if not list(module.children()) and module.__class__ != nn.Linear else None
    net(torch.randn(2, 3, 4, 16, 16).contiguous(memory_format=torch.channels_last_3d))
    assert len(formats) > 10
    assert all(formats)
