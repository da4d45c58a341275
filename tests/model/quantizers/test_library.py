"""The library's quantizers against their rules written out in numpy."""

import itertools
import math
import subprocess
import sys

import numpy as np
import pytest
import torch

from ndvq_tune.model.quantizers import FSQ, LFQ, SimVQ
from ndvq_tune.model.quantizers.fsq import levels_for
from tests.model.quantizers.quantizer_examples import as_latents, nearest_in_float64


class TestSimVQ:
    def test_nearest_of_the_mapped_codes(self):
        quantizer = SimVQ(64, 5).eval()
        library, tokens = quantizer.library, torch.randn(400, 5)
        codes = library.frozen_codebook.double() @ library.code_transform.weight.detach().double().T
        chosen = nearest_in_float64(tokens, codes)
        output = quantizer(as_latents(tokens))
        np.testing.assert_array_equal(output["encodings"][0], chosen)
        np.testing.assert_allclose(output["embeddings"][0].T.detach(), codes[chosen], atol=1e-6)

    def test_loss_pulls_codes_and_less_so_latents(self):
        output = SimVQ(64, 5, codebook_beta=0.5)(latents := torch.randn(1, 5, 100))
        error = (output["embeddings"] - latents).square().mean().item()
        assert output["commitment_loss"].item() == pytest.approx(1.5 * error, rel=1e-5)

    def test_fixed_codes_stay(self):
        quantizer = SimVQ(16, 5)
        quantizer(torch.randn(1, 5, 100))["commitment_loss"].backward()
        assert [name for name, _ in quantizer.named_parameters()] == ["library.code_transform.weight"]

    def test_a_restart_makes_tokens_the_codes_once(self):
        quantizer = SimVQ(16, 5)
        quantizer.restart()
        tokens = torch.randn(100, 5)
        quantizer(as_latents(tokens))
        quantizer(as_latents(torch.randn(100, 5)))
        codes = quantizer.lookup(torch.arange(16)[None])[0].T
        distances = torch.cdist(codes, tokens)
        assert (distances.min(1).values < 1e-2).all()
        assert len(distances.argmin(1).unique()) == 16

    def test_a_checkpoint_from_before_there_were_restarts_loads(self):
        quantizer = SimVQ(16, 5)
        saved = {name: value for name, value in quantizer.state_dict().items() if name != "restarts"}
        quantizer.restart()
        quantizer.load_state_dict(saved)
        quantizer(torch.randn(1, 5, 100))
        assert torch.equal(quantizer.library.frozen_codebook, saved["library.frozen_codebook"])

    @pytest.mark.parametrize("rotation_trick", [False, True])
    def test_the_flag_is_the_librarys(self, rotation_trick):
        latents = torch.randn(1, 5, 100, requires_grad=True)
        SimVQ(16, 5, rotation_trick=rotation_trick)(latents)["embeddings"].sum().backward()
        assert torch.equal(latents.grad, torch.ones_like(latents)) is not rotation_trick


class TestFSQ:
    @pytest.mark.parametrize("levels", [(8, 5, 5), (3, 4), (7, 6, 6), (5,)])
    def test_rounds_the_bounded_latents(self, levels):
        """Appendix A.1 of the paper."""
        tokens = 3 * torch.randn(500, len(levels))
        n = np.array(levels)
        half = (n - 1) * (1 + 1e-3) / 2
        offset = np.where(n % 2 == 0, 0.5, 0.0)
        rounded = np.round(np.tanh(tokens.double().numpy() + np.arctanh(offset / half)) * half - offset)
        numbers = ((rounded + n // 2) * np.cumprod([1, *levels[:-1]])).sum(1)
        output = FSQ(levels)(as_latents(tokens))
        np.testing.assert_array_equal(output["encodings"][0], numbers)
        np.testing.assert_allclose(output["embeddings"][0].T, rounded / (n // 2), atol=1e-6)
        assert output["commitment_loss"] == 0

    def test_every_code_has_its_own_value(self):
        codes = FSQ((8, 5, 3)).lookup(torch.arange(120)[None])[0].T
        assert codes.unique(dim=0).shape == (120, 3)

    def test_two_levels_are_two(self):
        quantizer = FSQ((2, 3))
        encodings = quantizer.encode(5 * torch.randn(1, 2, 500))
        assert encodings.unique().tolist() == list(range(6))
        assert torch.equal(quantizer.lookup(encodings)[:, 0].abs(), torch.ones(1, 500))

    @pytest.mark.parametrize("n_codes", [25, 100, 256, 512, 1000, 4096, 16384])
    def test_levels_make_the_most_of_the_codes(self, n_codes):
        levels = levels_for(n_codes)
        assert set(levels) <= {5, 6, 7, 8}
        dimensions = range(1, 1 + math.ceil(math.log(n_codes, 5)))
        products = {math.prod(each) for d in dimensions for each in itertools.product((5, 6, 7, 8), repeat=d)}
        assert math.prod(levels) == max(product for product in products if product <= n_codes)

    @pytest.mark.parametrize("n_codes", range(2, 25))
    def test_few_codes_have_fewer_levels(self, n_codes):
        assert 0.8 * n_codes <= FSQ(levels_for(n_codes)).n_codes <= n_codes


class TestLFQ:
    @pytest.mark.parametrize("training", [False, True])
    def test_codes_are_signs(self, training):
        tokens = torch.randn(300, 6)
        output = LFQ(64).train(training)(as_latents(tokens))
        signs = np.where(tokens.numpy() > 0, 1, -1)
        np.testing.assert_array_equal(output["embeddings"][0].T, signs)
        np.testing.assert_array_equal(output["encodings"][0], (signs > 0) @ 2 ** np.arange(5, -1, -1))

    @pytest.mark.parametrize(("n_codes", "used"), [(2, 2), (3, 2), (64, 64), (100, 64)])
    def test_codes_are_a_power_of_two(self, n_codes, used):
        quantizer = LFQ(n_codes)
        assert quantizer.n_codes == used == 2**quantizer.embedding_dim

    def test_loss_by_hand(self):
        tokens = 0.02 * torch.randn(50, 4)
        values = tokens.double().numpy()
        codes = np.array(list(itertools.product((-1, 1), repeat=4)))
        logits = 200 * values @ codes.T
        shares = np.exp(logits - logits.max(1, keepdims=True))
        shares /= shares.sum(1, keepdims=True)

        def entropy(p):
            return -(p * np.log(np.maximum(p, 1e-5))).sum(-1)

        commitment = np.square(values - np.sign(values)).mean()
        expected = 0.3 * (entropy(shares).mean() - entropy(shares.mean(0))) + 0.5 * commitment
        quantizer = LFQ(16, codebook_beta=0.5, entropy_weight=0.3)
        assert quantizer(as_latents(tokens))["commitment_loss"].item() == pytest.approx(expected, rel=1e-4)
        assert quantizer.eval()(as_latents(tokens))["commitment_loss"] == 0


@pytest.mark.slow
def test_the_library_is_not_imported_until_it_is_needed():
    code = "import sys, ndvq_tune.model; sys.exit('vector_quantize_pytorch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
