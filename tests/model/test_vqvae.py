import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ndvq_tune.config import AttentionConfig, ModelConfig, QuantizerConfig
from ndvq_tune.errors import ShapeError
from ndvq_tune.model import NDimVQVAE, build_model, build_model_of_shapes

SAMPLES = {
    1: ((2, 48), (4,)),
    2: ((3, 16, 12), (4, 2)),
    3: ((1, 4, 8, 8), (2, 4, 4)),
    4: ((2, 4, 4, 6, 4), (2, 2, 3, 2)),
}


def model_of(input_shape, downsample, **settings) -> NDimVQVAE:
    defaults = {"embedding_dim": 4, "n_codes": 16, "n_hiddens": 8, "n_res_layers": 1, "codebook_beta": 0.25}
    return NDimVQVAE(n_dims=len(downsample), downsample=downsample, input_shape=input_shape, **{**defaults, **settings})


@pytest.fixture(params=["conv", "patch"])
def stem(request) -> str:
    return request.param


@pytest.fixture(params=[1, 2, 3, 4], ids=["1d", "2d", "3d", "4d"])
def model(request, stem) -> NDimVQVAE:
    return model_of(*SAMPLES[request.param], data_mean=0.4, data_variance=0.09, stem=stem)


def data_for(model: NDimVQVAE, batch: int = 2) -> torch.Tensor:
    return torch.rand(batch, *model.input_shape)


shapes = st.integers(1, 4).flatmap(
    lambda n_dims: st.tuples(
        st.lists(st.integers(1, 9), min_size=n_dims, max_size=n_dims).map(tuple),
        st.lists(st.sampled_from([1, 2, 3, 4, 6]), min_size=n_dims, max_size=n_dims).map(tuple),
        st.integers(1, 4),
        st.sampled_from(["conv", "patch"]),
    )
)


@settings(max_examples=40, deadline=None)
@given(shapes)
def test_any_size_channels_and_factors_make_a_round_trip(shape):
    sizes, downsample, channels, stem = shape
    model = model_of((channels, *sizes), downsample, n_hiddens=2, stem=stem).eval()
    x = data_for(model)
    recon_loss, x_recon, output = model(x)
    assert x_recon.shape == x.shape
    assert recon_loss.isfinite()
    assert output["encodings"].shape[1:] == model.latent_shape
    assert model.latent_shape == tuple(math.ceil(s / f) for s, f in zip(sizes, downsample, strict=True))
    assert torch.equal(model.encode(x), output["encodings"])
    assert model.decode(output["encodings"]).shape == x.shape


def test_decoding_the_encodings_is_the_reconstruction(model):
    model.eval()
    x = data_for(model)
    _, x_recon, output = model(x)
    torch.testing.assert_close(model.decode(output["encodings"]), x_recon)
    assert torch.equal(model.encode(x), output["encodings"])


def test_recon_loss_is_the_mean_squared_error_over_the_variance(model):
    x = data_for(model)
    recon_loss, x_recon, _ = model(x)
    expected = ((x_recon.double() - x.double()) ** 2).mean() / 0.09
    assert recon_loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_data_are_normalised_inside_and_given_back_in_their_units():
    """The same weights on data of another scale and offset do the same work."""
    plain = model_of((1, 16), (4,), data_mean=0.0, data_variance=1.0).eval()
    scaled = model_of((1, 16), (4,), data_mean=50.0, data_variance=25.0).eval()
    state = plain.state_dict()
    scaled.load_state_dict({**scaled.state_dict(), **{k: v for k, v in state.items() if not k.startswith("data_")}})
    x = torch.randn(2, 1, 16)
    loss, x_recon, _ = plain(x)
    scaled_loss, scaled_recon, _ = scaled(50 + 5 * x)
    torch.testing.assert_close(scaled_recon, 50 + 5 * x_recon)
    torch.testing.assert_close(scaled_loss, loss, rtol=1e-4, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("dims", SAMPLES)
def test_each_channel_is_normalised_by_its_own_mean_and_variance(dims):
    """The same weights on channels of other scales and offsets do the same work."""
    input_shape, downsample = SAMPLES[dims]
    channels, ones = input_shape[0], (1,) * dims
    means, deviations = np.linspace(-3, 50, channels), np.geomspace(0.01, 5, channels)
    plain = model_of(input_shape, downsample).eval()
    scaled = model_of(input_shape, downsample, data_mean=means.tolist(), data_variance=(deviations**2).tolist()).eval()
    weights = {name: value for name, value in plain.state_dict().items() if not name.startswith("data_")}
    scaled.load_state_dict({**scaled.state_dict(), **weights})
    x = torch.randn(2, *input_shape)
    mean, deviation = (torch.tensor(values).float().view(-1, *ones) for values in (means, deviations))
    loss, x_recon, _ = plain(x)
    scaled_loss, scaled_recon, _ = scaled(mean + deviation * x)
    torch.testing.assert_close((scaled_recon - mean) / deviation, x_recon, rtol=1e-3, atol=1e-3)
    errors = ((scaled_recon - mean - deviation * x) / deviation).double().numpy()
    assert scaled_loss.item() == pytest.approx((errors**2).mean(), rel=1e-3)
    torch.testing.assert_close(scaled_loss, loss, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("statistic", [0.5, (0.1, 0.2, 0.3)])
def test_a_state_brings_its_own_kind_of_statistics(statistic):
    saved = model_of(*SAMPLES[2], data_mean=statistic, data_variance=statistic)
    for other in (0.25, (1.0, 2.0, 3.0)):
        loaded = model_of(*SAMPLES[2], data_mean=other, data_variance=other)
        loaded.load_state_dict(saved.state_dict())
        assert torch.equal(loaded.data_mean, saved.data_mean)
        assert torch.equal(loaded.data_variance, saved.data_variance)


def test_padding_repeats_the_edge(stem):
    """A size that does not divide gives the codes of the same sample with its edge repeated by hand."""
    model = model_of((2, 5, 7), (4, 3), stem=stem).eval()
    x = data_for(model)
    rows = torch.tensor([0, 1, 2, 3, 4, 4, 4, 4])
    columns = torch.tensor([0, 1, 2, 3, 4, 5, 6, 6, 6])
    assert torch.equal(model.encode(x), model.encode(x[:, :, rows][..., columns]))


def test_other_sizes_than_the_input_shape_work(stem):
    model = model_of((1, 8, 8), (4, 4), stem=stem).eval()
    x = torch.rand(2, 1, 12, 10)
    _, x_recon, output = model(x)
    assert x_recon.shape == x.shape
    assert output["encodings"].shape == (2, 3, 3)
    assert model.decode(output["encodings"]).shape == (2, 1, 12, 12)


def test_samples_differ_in_their_latents_before_any_training(stem):
    """Even through many stages: if the signal fades on the way, position alone decides the codes."""
    model = model_of((1, 64, 64), (16, 16), stem=stem)
    latents = model.encoder(torch.randn(16, 1, 64, 64))
    # With PyTorch's own initialisation this share is 0.01.
    assert latents.var(0).mean() / latents.var() > 0.05


def test_training_starts_near_the_mean_of_the_data(model):
    x = 0.4 + 0.3 * torch.randn(8, *model.input_shape)
    assert model(x)[0] < 1.3


@pytest.mark.parametrize(
    "options",
    [
        {"attention": {"type": "axial", "positions": "rotary"}},
        {"attention": {"type": "full", "levels": "all"}, "res_levels": "all"},
        {"norm": "rms", "activation": "silu", "decoder_multiplier": 1.5},
        {"norm": "batch", "activation": "snake"},
        {"stem": "patch", "dropout": 0.1},
    ],
    ids=["axial", "full, all levels", "rms, silu", "batch, snake", "patch, dropout"],
)
def test_gradients_reach_every_parameter(model, options):
    model = model_of(model.input_shape, model.downsample, **options)
    recon_loss, _, output = model(data_for(model))
    (recon_loss + output["commitment_loss"]).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_evaluation_moves_no_buffer_and_training_does(model):
    x = data_for(model)
    model(x)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.eval()
    model(x)
    model.encode(x)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    model.train()
    model.encode(x)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    model(data_for(model))
    assert not torch.equal(model.quantizer.codes, before["quantizer.codes"])


def test_state_dict_alone_restores_the_model(model):
    x = data_for(model)
    model(x)
    other = model_of(model.input_shape, model.downsample, stem=model.config.stem)
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.eval()(x)[1], model.eval()(x)[1])


def test_parameters_are_contiguous_as_safetensors_needs_them(model):
    assert all(value.is_contiguous() for value in model.state_dict().values())


def test_channels_last_model_and_data_give_the_same():
    model = model_of((3, 4, 8, 8), (2, 2, 2), attention={"type": "axial"}).eval()
    x = data_for(model)
    expected = model(x)[1]
    model = model.to(memory_format=torch.channels_last_3d)
    x_recon = model(x.contiguous(memory_format=torch.channels_last_3d))[1]
    assert x_recon.is_contiguous(memory_format=torch.channels_last_3d)
    torch.testing.assert_close(x_recon, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("attention", ["none", "axial"])
def test_bfloat16_autocast_trains(model, attention):
    model = model_of(model.input_shape, model.downsample, attention={"type": attention}, stem=model.config.stem)
    x = data_for(model)
    with torch.autocast("cpu", torch.bfloat16):
        recon_loss, x_recon, output = model(x)
    (recon_loss + output["commitment_loss"]).backward()
    assert x_recon.dtype == output["embeddings"].dtype == recon_loss.dtype == torch.float32


@pytest.mark.filterwarnings("ignore")  # those of torch.compile about itself
@pytest.mark.parametrize(
    ("n_dims", "options"),
    [
        (1, {"attention": {"type": "full"}, "norm": "rms", "activation": "snake"}),
        (2, {"norm": "batch", "quantizer": {"type": "residual"}}),
        (3, {"attention": {"type": "axial", "positions": "rotary"}}),
        (4, {"quantizer": {"type": "fsq"}}),
        (1, {"stem": "patch"}),
        (3, {"stem": "patch"}),
    ],
)
def test_compiles_without_graph_breaks(n_dims, options):
    model = model_of(*SAMPLES[n_dims], **options)
    x = data_for(model)
    model(x)  # the first codes come from data, which is no part of the graph
    state = copy.deepcopy(model.state_dict())
    _, x_recon, output = model(x)
    model.load_state_dict(state)
    torch.compiler.reset()
    compiled_loss, compiled_recon, compiled_output = torch.compile(model, fullgraph=True, backend="eager")(x)
    assert torch.equal(compiled_output["encodings"], output["encodings"])
    torch.testing.assert_close(compiled_recon, x_recon, atol=1e-4, rtol=1e-4)
    (compiled_loss + compiled_output["commitment_loss"]).backward()
    assert all(p.grad is not None for p in model.parameters())


def test_build_model_passes_every_setting_on():
    config = ModelConfig(
        n_dims=2,
        n_codes=32,
        embedding_dim=5,
        downsample=(2, 6),
        n_hiddens=6,
        n_res_layers=3,
        codebook_beta=0.7,
        ema_decay=0.9,
        quantizer=QuantizerConfig(codebook_init="sample", restart_threshold=0.1),
        attention=AttentionConfig(type="axial", n_head=3, dropout=0.2),
    )
    model = build_model(config, (1, 10, 12), data_mean=0.5, data_variance=0.04)
    assert (model.n_dims, model.downsample, model.input_shape) == (2, (2, 6), (1, 10, 12))
    assert model.latent_shape == (5, 2)
    assert model.quantizer.codes.shape == (32, 5)
    codebook = model.quantizer
    assert (codebook.codebook_beta, codebook.ema_decay) == (0.7, 0.9)
    assert (codebook.codebook_init, codebook.restart_threshold) == ("sample", 0.1)
    assert (model.data_mean.item(), model.data_variance.item()) == pytest.approx((0.5, 0.04))
    attentions = [m for m in model.modules() if hasattr(m, "n_head")]
    assert len(attentions) == 2 * 3 * 2
    assert all((m.n_head, m.dropout) == (3, 0.2) for m in attentions)


class TestErrors:
    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"n_dims": 5, "downsample": (2,) * 5}, "n_dims must be 1, 2, 3 or 4, but got 5"),
            ({"downsample": (2, 2, 2)}, r"downsample needs a factor for each of n_dims=2 dimensions.*\(2, 2, 2\)"),
            ({"input_shape": (8, 8)}, r"input_shape needs channels and n_dims=2 sizes \(C, \*S\).*\(8, 8\)"),
            ({"downsample": (2, 0)}, r"positive integers, but got downsample=\(2, 0\)"),
            ({"data_mean": (0.5, 0.5)}, r"one number, or one for each of 3 channels, but got \(0.5, 0.5\)"),
        ],
    )
    def test_settings_that_do_not_fit(self, settings, message):
        fitting = {"n_dims": 2, "downsample": (2, 2), "input_shape": (3, 8, 8)}
        others = {"embedding_dim": 4, "n_codes": 8, "n_hiddens": 4, "n_res_layers": 0, "codebook_beta": 0.25}
        with pytest.raises(ShapeError, match=message):
            NDimVQVAE(**{**fitting, **others, **settings})

    @pytest.mark.parametrize("shape", [(2, 3, 8), (3, 8, 8), (2, 3, 8, 8, 8), (2, 4, 8, 8), (2, 8, 8, 3)])
    def test_data_that_do_not_fit(self, shape):
        model = model_of((3, 8, 8), (2, 2))
        for call in (model, model.encode):
            with pytest.raises(ShapeError, match=r"\(B, 3, S1, S2\), but got"):
                call(torch.zeros(shape))

    def test_encodings_that_do_not_fit(self):
        with pytest.raises(ShapeError, match=r"\(B, \*L\), but got \(2, 4\)"):
            model_of((3, 8, 8), (2, 2)).decode(torch.zeros(2, 4, dtype=torch.int64))


def structured(model: NDimVQVAE) -> torch.Tensor:
    """Smooth waves, different in each sample and channel, in [0, 1]."""
    grids = torch.meshgrid(*(torch.linspace(0, 1, size) for size in model.input_shape[1:]), indexing="ij")
    waves = [
        sum(
            torch.sin(2 * math.pi * (freq * grid + phase))
            for grid, freq, phase in zip(grids, freqs, phases, strict=True)
        )
        for freqs, phases in zip(
            1 + 2 * torch.rand(4 * model.input_shape[0], model.n_dims),
            torch.rand(4 * model.input_shape[0], model.n_dims),
            strict=True,
        )
    ]
    x = torch.stack(waves).view(4, *model.input_shape)
    return (x - x.min()) / (x.max() - x.min())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("input_shape", "downsample"),
    [((1, 128), (4,)), ((3, 32, 32), (4, 4)), ((3, 8, 16, 16), (2, 4, 4)), ((1, 4, 8, 8, 8), (2, 4, 4, 4))],
    ids=["1d", "2d", "3d", "4d"],
)
def test_one_batch_is_learned_to_an_nmse_under_a_hundredth(input_shape, downsample):
    settings = {"embedding_dim": 8, "n_codes": 512, "n_hiddens": 32, "attention": {"type": "axial"}}
    model = model_of(input_shape, downsample, **settings)
    x = structured(model)
    model.data_mean.copy_(x.mean())
    model.data_variance.copy_(x.var())
    steps = 300
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, steps)
    for _ in range(steps):
        recon_loss, _, output = model(x)
        optimizer.zero_grad()
        (recon_loss + output["commitment_loss"]).backward()
        optimizer.step()
        schedule.step()
    model.eval()
    recon_loss, _, output = model(x)
    assert recon_loss < 0.01
    assert output["perplexity"] > 30


@pytest.mark.parametrize("n_dims", [1, 2, 3, 4])
@pytest.mark.parametrize("quantizer", ["ema", "residual", "simvq", "fsq", "lfq"])
def test_a_model_of_shapes_has_the_shapes_of_a_real_one_and_draws_nothing(n_dims, quantizer):
    shape, downsample = SAMPLES[n_dims]
    settings = {"norm": "batch", "activation": "snake", "attention": AttentionConfig(type="axial", n_head=2)}
    settings |= {"stem": "patch", "dropout": 0.1}
    config = ModelConfig(n_dims=n_dims, downsample=downsample, quantizer=QuantizerConfig(type=quantizer), **settings)
    random = torch.get_rng_state()
    model = build_model_of_shapes(config, shape)
    assert torch.equal(torch.get_rng_state(), random)
    real = build_model(config, shape).state_dict()
    assert {name: tensor.shape for name, tensor in model.state_dict().items()} == {
        name: tensor.shape for name, tensor in real.items()
    }
    assert all(tensor.device.type == "meta" for tensor in model.parameters())
    assert torch.device("meta") != torch.empty(1).device  # and nothing stays so
