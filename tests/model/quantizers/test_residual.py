import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812

from ndvq_tune.model.quantizers import EMACodebook, ResidualVQ
from tests.model.quantizers.quantizer_examples import as_latents, nearest_in_float64


def initialised(**settings) -> ResidualVQ:
    quantizer = ResidualVQ(3, 32, 4, **settings)
    quantizer(torch.randn(2, 4, 200))
    return quantizer.eval()


def test_each_codebook_quantises_what_those_before_left():
    quantizer = initialised()
    tokens = torch.randn(500, 4)
    output = quantizer(as_latents(tokens))
    residual, losses = tokens.double().numpy(), []
    for number, codebook in enumerate(quantizer.codebooks):
        chosen = nearest_in_float64(torch.from_numpy(residual), codebook.codes)
        np.testing.assert_array_equal(output["encodings"][0, :, number], chosen)
        residual = residual - codebook.codes.double().numpy()[chosen]
        losses.append(0.25 * np.square(residual).mean())
    np.testing.assert_allclose(output["embeddings"][0].T, tokens.numpy() - residual, atol=1e-5)
    np.testing.assert_allclose(output["commitment_loss"], sum(losses), rtol=1e-5)
    assert losses[2] < losses[1] < losses[0]


def test_one_of_its_codebooks_is_a_plain_one():
    latents = torch.randn(2, 4, 200)
    torch.manual_seed(1)
    alone = EMACodebook(32, 4)
    torch.manual_seed(1)
    quantizer = ResidualVQ(1, 32, 4)
    for codebook in (alone, quantizer):
        torch.manual_seed(2)
        codebook(latents)
        codebook(latents)
    assert torch.equal(quantizer.codebooks[0].codes, alone.codes)


def test_the_gradient_passes_once():
    latents, gradients = torch.randn(2, 4, 30, requires_grad=True), torch.randn(2, 4, 30)
    (initialised()(latents)["embeddings"] * gradients).sum().backward()
    assert torch.equal(latents.grad, gradients)


def test_commitment_pulls_latents_to_each_partial_sum():
    quantizer = initialised()
    latents = torch.randn(2, 4, 30, requires_grad=True)
    output = quantizer(latents)
    output["commitment_loss"].backward()
    books = zip(quantizer.codebooks, output["encodings"].unbind(-1), strict=True)
    sums = torch.stack([codebook.lookup(numbers) for codebook, numbers in books]).cumsum(0)
    expected = 0.25 * 2 * (latents.detach() - sums).sum(0) / latents.numel()
    torch.testing.assert_close(latents.grad, expected)


def test_more_codebooks_leave_less():
    x = torch.randn(1, 4, 2000)
    errors = []
    for n_codebooks in (1, 2, 4):
        quantizer = ResidualVQ(n_codebooks, 32, 4)
        for _ in range(20):
            quantizer(x)
        errors.append(F.mse_loss(quantizer.eval()(x)["embeddings"], x).item())
    assert errors[2] < 0.5 * errors[1] < 0.25 * errors[0]
