"""One test for each defect of the ancestor (nd-vq-vae 1.0.3) that concerns the model; each fails on its behaviour.

Defects 9 and 10 concern the validation loop and logging, and are tested with the training loop.
"""

import pytest
import torch
from torch import nn

from ndvq_tune.model import EMACodebook, NDimVQVAE
from ndvq_tune.model.attention import AxialAttention, FullAttention, MultiHeadAttention


def model_of(input_shape=(3, 8, 8), downsample=(2, 2), **settings) -> NDimVQVAE:
    defaults = {"embedding_dim": 4, "n_codes": 16, "n_hiddens": 8, "n_res_layers": 1, "codebook_beta": 0.25}
    return NDimVQVAE(n_dims=len(downsample), downsample=downsample, input_shape=input_shape, **{**defaults, **settings})


def test_1_attention_reads_positions_not_runs_of_memory():
    """Defect 1: channels-first tensors were read as channels-last, so a token mixed channels and positions."""
    module = FullAttention(8, n_head=2, dropout=0.0, rotary=False)
    x = torch.randn(1, 8, 4, 8)
    order = torch.randperm(32)
    permuted = module(x.flatten(2)[..., order].view_as(x))
    torch.testing.assert_close(permuted.flatten(2), module(x).flatten(2)[..., order])


def test_2_a_width_that_does_not_fit_is_an_error():
    """Defect 2: the linear layer reshaped ``(2, 4, 6)`` silently into rows of 8."""
    with pytest.raises(RuntimeError, match="shape"):
        MultiHeadAttention(8, n_head=2, dropout=0.0, rotary=False)(torch.randn(2, 4, 6), (4,))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_2_axial_attention_attends_along_its_own_axis(axis):
    """Defect 2: the axis offset forgot the heads, so the wrong axis was attended."""
    module = AxialAttention(4, n_dims=3, n_head=2, dropout=0.0, rotary=False)
    for other, attention in enumerate(module.axes):
        if other != axis:
            nn.init.zeros_(attention.output.weight)
    x = torch.randn(1, 4, 2, 3, 4, requires_grad=True)
    module(x)[0, :, 0, 0, 0].sum().backward()
    seen = x.grad[0].abs().sum(0) > 0
    expected = torch.zeros(2, 3, 4, dtype=torch.bool)
    expected.movedim(axis, 0)[:, 0, 0] = True
    assert torch.equal(seen, expected)


def test_3_what_were_constants_are_settings():
    """Defect 3: heads, attention type, dropout, EMA decay, channels and the scale of the loss were fixed."""
    model = model_of(
        (5, 8, 8),
        attention={"type": "axial", "n_head": 4, "dropout": 0.3},
        ema_decay=0.7,
        data_variance=0.5,
        data_mean=0.1,
    )
    x = torch.rand(2, 5, 8, 8)
    recon_loss, x_recon, _ = model(x)
    torch.testing.assert_close(recon_loss, (x_recon - x).square().mean() / 0.5)
    heads = [module for module in model.modules() if isinstance(module, MultiHeadAttention)]
    assert {(head.n_head, head.dropout) for head in heads} == {(4, 0.3)}
    assert model.quantizer.ema_decay == 0.7


def test_3_attention_weights_are_not_materialised():
    """Defect 3: 8,192 positions took 0.5 GiB of softmax a block and sample. No tensor here comes near it."""
    largest = 0

    class Largest(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            nonlocal largest
            output = func(*args, **(kwargs or {}))
            for value in output if isinstance(output, tuple) else (output,):
                largest = max(largest, value.numel() if isinstance(value, torch.Tensor) else 0)
            return output

    module = FullAttention(8, n_head=2, dropout=0.0, rotary=False)
    with torch.no_grad(), Largest():
        module(torch.randn(1, 8, 2048))
    assert largest <= 2048 * 3 * 8


@pytest.mark.parametrize("downsample", [(1, 1), (3, 3), (6, 6), (1, 6), (5, 7)])
def test_4_any_factor_downsamples_by_exactly_itself(downsample):
    """Defect 4: all ones crashed, 3 became 2 and 6 became 4."""
    model = model_of((3, *(4 * factor for factor in downsample)), downsample)
    _, x_recon, output = model(torch.rand(2, *model.input_shape))
    assert output["encodings"].shape == (2, 4, 4)
    assert x_recon.shape == (2, *model.input_shape)


def test_4_sizes_that_do_not_divide_keep_their_size():
    """Defect 4: the ancestor's own README example, with three frames, crashed."""
    model = model_of((3, 3, 7, 9), (2, 4, 4))
    x = torch.rand(2, 3, 3, 7, 9)
    assert model(x)[1].shape == x.shape


def test_5_latent_shape_is_that_of_the_encodings():
    """Defect 5: channels were zipped with strides."""
    model = model_of((3, 8, 12, 16), (2, 4, 2))
    assert model.latent_shape == (4, 3, 8)
    assert model.encode(torch.rand(1, 3, 8, 12, 16)).shape[1:] == model.latent_shape


def test_6_training_on_from_a_checkpoint_keeps_the_codebook():
    """Defect 6: the first step after loading drew the codebook anew."""
    first, second = (EMACodebook(8, 3, ema_decay=0.99, restart_threshold=0.0) for _ in range(2))
    first(torch.randn(2, 3, 40))
    second.load_state_dict(first.state_dict())
    assert second.initialised
    batch = torch.randn(2, 3, 40) + 5
    first(batch)
    second(batch)
    assert torch.equal(second.codes, first.codes)


def test_7_a_restarted_code_does_not_drift_back():
    """Defect 7: only the code was replaced, not its sum, so the next step undid the restart."""
    codebook = EMACodebook(2, 2, ema_decay=0.9, restart_threshold=0.2)
    far = torch.full((2,), 1000.0)
    codebook.codes.copy_(torch.stack([torch.zeros(2), far]))
    codebook.sums.copy_(codebook.codes)
    codebook.updates.fill_(1_000_000)
    codebook.initialised = True
    steps_near = 0
    for _ in range(80):
        codebook(torch.randn(1, 2, 10))
        steps_near = steps_near + 1 if codebook.codes[1].norm() < 10 else 0
    assert steps_near > 40


def test_8_few_tokens_a_step_do_not_replace_the_codebook():
    """Defect 8: with 1,024 codes and 128 tokens a step, 99.5% of the codes were replaced at every step."""
    codebook = EMACodebook(1024, 8)
    codebook(torch.randn(16, 8, 128))
    for _ in range(60):
        before = codebook.codes.clone()
        encodings = codebook(torch.randn(1, 8, 128))["encodings"]
        moved = (codebook.codes - before).norm(dim=1) > 1e-3
        moved[encodings] = False
        assert moved.float().mean() < 0.05


def test_11_nearest_codes_are_exact_under_bfloat16_autocast():
    """Defect 11: up to 28% wrong codes for latents off the centre."""
    codebook = EMACodebook(256, 16).eval()
    codebook.codes.add_(10)
    latents = torch.randn(1, 16, 1000) + 10
    with torch.autocast("cpu", torch.bfloat16):
        encodings = codebook(latents)["encodings"][0]
    distances = (latents[0].T.double()[:, None] - codebook.codes.double()).square().sum(-1)
    assert torch.equal(encodings, distances.argmin(1))


def test_11_moving_averages_are_float32_under_autocast():
    """Defect 11: sums of tokens were rounded to bf16."""
    plain, autocast = (EMACodebook(4, 3, restart_threshold=0.0) for _ in range(2))
    autocast.load_state_dict(plain.state_dict())
    for codebook in (plain, autocast):
        codebook.updates.fill_(1_000_000)
        codebook.initialised = True
    latents = torch.randn(4, 3, 50)
    plain(latents)
    with torch.autocast("cpu", torch.bfloat16):
        autocast(latents)
    assert torch.equal(plain.sums, autocast.sums)


def test_12_a_batch_of_one_trains_as_it_evaluates():
    """Defect 12: BatchNorm with a batch of one normalised by that one sample in training, by others in evaluation."""
    model = model_of()
    x = torch.rand(3, 3, 8, 8)
    model.eval()
    together = model(x)[1]
    model.quantizer.eval()
    model.encoder.train()
    model.decoder.train()
    alone = torch.cat([model(sample[None])[1] for sample in x])
    torch.testing.assert_close(alone, together)


def test_12_the_encoder_ends_with_a_norm():
    """Defect 12: residual blocks end without one, so the last one's output went on as it was."""
    model = model_of(n_res_layers=2)
    before_last_map = []
    model.encoder[-1].register_forward_pre_hook(lambda _, args: before_last_map.append(args[0]))
    model(100 * torch.rand(2, 3, 8, 8))
    (hiddens,) = before_last_map
    torch.testing.assert_close(hiddens.square().mean(1), torch.ones(2, *hiddens.shape[2:]), atol=1e-3, rtol=0)
