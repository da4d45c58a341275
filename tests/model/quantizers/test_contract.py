"""What every quantizer keeps, in every kind there is."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load, save
from torch import nn
from torch.nn import functional as F  # noqa: N812

from ndvq_tune.config import ModelConfig, QuantizerConfig
from ndvq_tune.model.quantizers import Quantizer, build_quantizer

KINDS: dict[str, dict[str, Any]] = {
    "ema": {"type": "ema"},
    "ema cosine": {"type": "ema", "cosine": True},
    "ema rotation": {"type": "ema", "rotation_trick": True},
    "ema sample": {"type": "ema", "codebook_init": "sample", "restart_threshold": 0.5},
    "residual": {"type": "residual", "n_quantizers": 3},
    "residual rotation": {"type": "residual", "n_quantizers": 2, "rotation_trick": True},
    "simvq": {"type": "simvq"},
    "simvq rotation": {"type": "simvq", "rotation_trick": True},
    "fsq": {"type": "fsq"},
    "fsq levels": {"type": "fsq", "levels": (3, 4, 5)},
    "lfq": {"type": "lfq"},
}


@pytest.fixture(params=list(KINDS.values()), ids=list(KINDS))
def settings(request) -> dict:
    return request.param


@pytest.fixture
def quantizer(settings) -> Quantizer:
    return build(settings)


def build(settings: dict, n_codes: int = 64) -> Quantizer:
    return build_quantizer(ModelConfig(n_codes=n_codes, embedding_dim=6, quantizer=QuantizerConfig(**settings)))


def latents_for(quantizer: Quantizer, *sizes: int, batch: int = 2) -> torch.Tensor:
    return torch.randn(batch, quantizer.embedding_dim, *sizes)


def trained(quantizer: Quantizer, steps: int = 4) -> Quantizer:
    """After a few steps of training on everything that learns, in evaluation."""
    optimizer = torch.optim.Adam([*quantizer.parameters(), nn.Parameter(torch.zeros(1))], lr=0.01)
    for _ in range(steps):
        output = quantizer.train()(latents_for(quantizer, 40).requires_grad_())
        (output["embeddings"].sum() + output["commitment_loss"]).backward()
        optimizer.step()
        optimizer.zero_grad()
    return quantizer.eval()


@pytest.mark.parametrize("sizes", [(7,), (4, 5), (2, 3, 4), (2, 3, 1, 4)])
@pytest.mark.parametrize("training", [False, True])
def test_shapes_and_values(quantizer, sizes, training):
    trained(quantizer).train(training)
    latents = latents_for(quantizer, *sizes)
    encoded = quantizer.encode(latents)
    decoded = quantizer.lookup(encoded).clone()
    output = quantizer(latents)

    books = quantizer.n_codebooks
    assert output["embeddings"].shape == decoded.shape == latents.shape
    assert output["embeddings"].dtype == torch.float32
    assert encoded.shape == (2, *sizes, *([books] if books > 1 else []))
    assert output["encodings"].dtype == encoded.dtype == torch.int64
    assert 0 <= encoded.min() <= encoded.max() < quantizer.n_codes
    assert output["commitment_loss"].shape == output["perplexity"].shape == ()
    assert torch.equal(output["encodings"], encoded)
    assert torch.equal(output["embeddings"], decoded)


def test_counts_and_perplexity_by_hand(quantizer):
    output = trained(quantizer)(latents_for(quantizer, 5, 7))
    books = output["encodings"].numpy().reshape(-1, quantizer.n_codebooks).T
    counts = np.stack([np.bincount(book, minlength=quantizer.n_codes) for book in books])
    np.testing.assert_array_equal(output["counts"], counts)
    assert (counts.sum(1) == 2 * 5 * 7).all()
    shares = counts / counts.sum(1, keepdims=True)
    entropies = -np.sum(shares * np.log(shares, where=shares > 0, out=np.zeros_like(shares)), axis=1)
    assert output["perplexity"].item() == pytest.approx(math.exp(entropies.mean()), rel=1e-5)


def test_gradients_reach_latents_and_parameters(quantizer):
    trained(quantizer).train()
    latents = latents_for(quantizer, 30).requires_grad_()
    output = quantizer(latents)
    (output["embeddings"] * torch.randn_like(latents)).sum().backward(retain_graph=True)
    assert latents.grad.isfinite().all()
    assert (latents.grad != 0).all()
    if output["commitment_loss"].requires_grad:
        output["commitment_loss"].backward()
    assert all((parameter.grad != 0).any() for parameter in quantizer.parameters())


def test_evaluation_moves_nothing(quantizer):
    trained(quantizer)
    before = {name: value.clone() for name, value in quantizer.state_dict().items()}
    for _ in range(2):
        latents = latents_for(quantizer, 20)
        quantizer.train().encode(latents)
        quantizer.eval()(latents)
        quantizer.lookup(quantizer.encode(latents))
    assert all(torch.equal(value, before[name]) for name, value in quantizer.state_dict().items())


def test_state_goes_through_a_file_bit_for_bit(settings, quantizer):
    trained(quantizer)
    restored = build(settings)
    restored.load_state_dict(load(save(quantizer.state_dict())))
    latents = latents_for(quantizer, 50)
    for one, other in ((quantizer.eval(), restored.eval()), (quantizer.train(), restored.train())):
        torch.manual_seed(1)
        first = one(latents)
        torch.manual_seed(1)
        second = other(latents)
        assert all(torch.equal(value, second[name]) for name, value in first.items())
    assert all(torch.equal(value, restored.state_dict()[name]) for name, value in quantizer.state_dict().items())


@pytest.mark.parametrize("offset", [0, 50])
def test_bfloat16_autocast_changes_no_code(quantizer, offset):
    trained(quantizer)
    latents = latents_for(quantizer, 500) + offset
    with torch.autocast("cpu", torch.bfloat16):
        output, encoded = quantizer(latents), quantizer.encode(latents)
        decoded = quantizer.lookup(encoded)
    assert output["embeddings"].dtype == decoded.dtype == torch.float32
    assert torch.equal(encoded, quantizer.encode(latents))
    assert torch.equal(output["encodings"], encoded)
    assert torch.equal(decoded, quantizer.lookup(encoded))


def test_meta_device_has_the_sizes_of_the_real_one(settings, quantizer):
    with torch.device("meta"):
        meta = build(settings)
    assert {value.device.type for value in [*meta.parameters(), *meta.buffers()]} <= {"meta"}
    sizes = [(name, value.shape) for name, value in quantizer.state_dict().items()]
    assert [(name, value.shape) for name, value in meta.state_dict().items()] == sizes
    assert (meta.n_codes, meta.n_codebooks) == (quantizer.n_codes, quantizer.n_codebooks)
    assert meta.embedding_dim == quantizer.embedding_dim


@pytest.mark.filterwarnings("ignore:Dynamo detected a call to a `functools.lru_cache`:UserWarning")
def test_compiles_to_one_graph_once_it_has_codes(settings, quantizer):
    trained(quantizer).train()
    alike = build(settings)
    alike.load_state_dict(quantizer.state_dict())
    torch.compiler.reset()
    compiled = torch.compile(alike, fullgraph=True, dynamic=False, backend="eager")
    for _ in range(2):
        latents = latents_for(quantizer, 20)
        output, expected = compiled(latents), quantizer(latents)
        assert torch.equal(output["encodings"], expected["encodings"])
        torch.testing.assert_close(output["embeddings"], expected["embeddings"])


def test_training_follows_a_mixture(quantizer):
    """A small autoencoder around the quantizer: its error falls well below that of the start."""
    dimensions = quantizer.embedding_dim
    centres = 3 * torch.randn(12, 8)
    encoder = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, dimensions))
    decoder = nn.Sequential(nn.Linear(dimensions, 32), nn.ReLU(), nn.Linear(32, 8))
    modules = nn.ModuleList([encoder, decoder, quantizer])
    optimizer = torch.optim.Adam(modules.parameters(), lr=0.01)
    errors = []
    for _ in range(200):
        x = centres[torch.randint(12, (128,))] + 0.1 * torch.randn(128, 8)
        output = quantizer(encoder(x).T[None])
        error = F.mse_loss(decoder(output["embeddings"][0].T), x)
        optimizer.zero_grad()
        (error + output["commitment_loss"]).backward()
        optimizer.step()
        errors.append(error.item())
    assert np.mean(errors[-20:]) < 0.25 * errors[0]


def collapsed(settings: dict) -> Quantizer:
    """A quantizer whose codes have all become the same."""
    quantizer = trained(build(settings))
    for name, codes in quantizer.named_buffers():
        if name.endswith(("codes", "frozen_codebook")):
            codes.copy_(codes[0].clone())
    return quantizer


def usage(quantizer: Quantizer, latents: torch.Tensor) -> float:
    """Share of codes that some latent uses, the least of all codebooks."""
    return (quantizer.eval()(latents)["counts"] > 0).float().mean(1).min().item()


# Without the restarts of single codes, which would do as well here.
RESTARTABLE = {
    name: settings | {"restart_threshold": 0.0}
    for name, settings in KINDS.items()
    if settings["type"] in ("ema", "residual", "simvq")
}


@pytest.mark.parametrize("through_checkpoint", [False, True])
@pytest.mark.parametrize("settings", RESTARTABLE.values(), ids=RESTARTABLE.keys(), indirect=True)
def test_restarted_codes_come_alive_with_the_next_training_batch(settings, through_checkpoint):
    torch.manual_seed(0)
    quantizer = collapsed(settings)
    latents = latents_for(quantizer, 400)
    before = quantizer(latents)
    assert usage(quantizer, latents) < 0.1

    assert quantizer.restart() is True
    assert torch.equal(quantizer(latents)["embeddings"], before["embeddings"])  # nothing happens in evaluation
    if through_checkpoint:
        saved = save(quantizer.state_dict())
        quantizer = build(settings)
        quantizer.load_state_dict(load(saved))
    quantizer.train()(latents_for(quantizer, 400))
    assert usage(quantizer, latents) > 0.5


def test_fixed_codes_cannot_be_restarted():
    assert [name for name, settings in KINDS.items() if not build(settings).restart()] == ["fsq", "fsq levels", "lfq"]
