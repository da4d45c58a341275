import numpy as np
import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from ndvq_tune.model import EMACodebook
from ndvq_tune.model.quantizers.nearest import nearest
from tests.model.quantizers.quantizer_examples import as_latents, codebook_of, nearest_in_float64


class TestOutput:
    def test_embeddings_are_exactly_the_codes_of_the_encodings(self):
        codes = torch.randn(6, 3)
        output = codebook_of(codes).eval()(torch.randn(2, 3, 4, 5))
        assert output["encodings"].shape == (2, 4, 5)
        assert output["encodings"].dtype == torch.int64
        assert torch.equal(output["embeddings"].movedim(1, -1), codes[output["encodings"]])

    def test_perplexity_by_hand(self):
        codes = torch.tensor([[0.0], [10.0], [20.0], [30.0]])
        tokens = torch.tensor([[0.0], [0.0], [10.0], [20.0]])
        perplexity = codebook_of(codes)(as_latents(tokens))["perplexity"]
        # Shares 1/2, 1/4, 1/4: entropy 1.5 bits.
        assert perplexity.item() == pytest.approx(2**1.5, rel=1e-6)

    def test_commitment_loss_by_hand(self):
        codes = torch.tensor([[0.0, 0.0], [10.0, 10.0]])
        tokens = torch.tensor([[1.0, 0.0], [10.0, 12.0]])
        loss = codebook_of(codes, codebook_beta=0.5)(as_latents(tokens))["commitment_loss"]
        assert loss.item() == pytest.approx(0.5 * (1 + 4) / 4)

    def test_gradient_passes_straight_through(self):
        latents = torch.randn(2, 3, 5, requires_grad=True)
        weights = torch.randn(2, 3, 5)
        (codebook_of(torch.randn(4, 3))(latents)["embeddings"] * weights).sum().backward()
        assert torch.equal(latents.grad, weights)

    def test_commitment_pulls_latents_to_their_codes(self):
        codes = torch.randn(4, 3)
        latents = torch.randn(2, 3, 5, requires_grad=True)
        output = codebook_of(codes, codebook_beta=0.25)(latents)
        output["commitment_loss"].backward()
        chosen = codes[output["encodings"]].movedim(-1, 1)
        torch.testing.assert_close(latents.grad, 0.25 * 2 * (latents.detach() - chosen) / latents.numel())


class TestLearning:
    def test_moving_averages_follow_their_closed_form(self):
        decay, codes = 0.8, torch.randn(5, 3)
        codebook = codebook_of(codes, ema_decay=decay)
        counts, sums = np.ones(5), codes.double().numpy()
        current = sums.copy()
        for _ in range(4):
            tokens = torch.randn(50, 3)
            codebook(as_latents(tokens))
            chosen = np.eye(5)[nearest_in_float64(tokens, torch.from_numpy(current))]
            counts = decay * counts + (1 - decay) * chosen.sum(0)
            sums = decay * sums + (1 - decay) * chosen.T @ tokens.double().numpy()
            current = sums / counts[:, None]
            np.testing.assert_allclose(codebook.counts, counts, rtol=1e-5)
            np.testing.assert_allclose(codebook.sums, sums, rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(codebook.codes, current, rtol=1e-4, atol=1e-5)

    def test_first_steps_have_a_short_memory(self):
        codebook = codebook_of(torch.zeros(1, 1), ema_decay=0.5)
        expected = 1.0
        for step, decay in enumerate([2 / 11, 3 / 12, 4 / 13, 5 / 14, 6 / 15, 7 / 16, 8 / 17, 0.5, 0.5], start=1):
            codebook.updates.fill_(step)  # what is initialised stays so
            codebook(torch.zeros(1, 1, 3))
            expected = decay * expected + (1 - decay) * 3
            assert codebook.counts.item() == pytest.approx(expected)
            assert codebook.updates == step + 1

    def test_codes_converge_to_the_means_of_their_tokens(self):
        codes = torch.tensor([[0.0, 0.0], [10.0, 10.0]])
        tokens = torch.tensor([[1.0, 0.0], [3.0, 0.0], [11.0, 12.0]])
        codebook = codebook_of(codes, ema_decay=0.5)
        for _ in range(40):
            codebook(as_latents(tokens))
        torch.testing.assert_close(codebook.codes, torch.tensor([[2.0, 0.0], [11.0, 12.0]]))

    def test_an_unused_code_stays_where_it_is_for_ever(self):
        codes = torch.tensor([[0.0, 0.0], [10.0, -7.0]])
        codebook = codebook_of(codes, ema_decay=0.5)
        for _ in range(200):
            codebook(torch.zeros(1, 2, 4))
        torch.testing.assert_close(codebook.codes[1], codes[1])

    def test_evaluation_moves_no_buffer(self):
        codebook = EMACodebook(8, 3).eval()
        before = {name: value.clone() for name, value in codebook.state_dict().items()}
        for _ in range(3):
            codebook(torch.randn(2, 3, 10))
        assert all(torch.equal(value, before[name]) for name, value in codebook.state_dict().items())


class TestInitialisation:
    def test_sample_takes_different_latents_of_the_first_batch(self):
        tokens = torch.randn(50, 3)
        codebook = EMACodebook(20, 3, codebook_init="sample")
        codebook(as_latents(tokens))
        matches = (codebook.codes[:, None] == tokens).all(-1)
        assert matches.any(1).all()
        assert matches.any(0).sum() == 20

    def test_kmeans_finds_separate_clusters(self):
        centres = torch.tensor([[0.0, 0.0], [100.0, 0.0], [0.0, 100.0]])
        tokens = (centres[:, None] + torch.randn(3, 200, 2)).flatten(0, 1)
        errors = []
        for kind in ("sample", "kmeans"):
            torch.manual_seed(1)
            codebook = EMACodebook(12, 2, codebook_init=kind)
            codebook(as_latents(tokens))
            errors.append(F.mse_loss(codebook.codes[nearest(tokens, codebook.codes)], tokens).item())
        sample, kmeans = errors
        assert kmeans < 0.8 * sample

    def test_fewer_latents_than_codes_still_give_different_codes(self):
        codebook = EMACodebook(64, 3)
        codebook(torch.randn(1, 3, 10))
        assert codebook.codes.unique(dim=0).shape[0] == 64
        assert codebook.codes.isfinite().all()

    def test_only_the_first_training_batch_initialises(self):
        codebook = EMACodebook(8, 3, ema_decay=0.99)
        assert not codebook.initialised
        codebook(torch.randn(4, 3, 30))
        assert codebook.initialised
        before = codebook.codes.clone()
        codebook(torch.randn(4, 3, 30) + 50)
        assert (codebook.codes - before).norm(dim=1).median() < 10

    def test_unknown_initialisation_is_refused(self):
        with pytest.raises(ValueError, match="kmeans, sample, but got 'random'"):
            EMACodebook(8, 3, codebook_init="random")


class TestRestart:
    def test_a_dead_code_comes_to_a_latent_with_an_even_count(self):
        codes = torch.tensor([[0.0, 0.0], [1000.0, 1000.0]])
        codebook = codebook_of(codes, ema_decay=0.5, restart_threshold=0.1)
        tokens = torch.randn(40, 2)
        while codebook.codes[1, 0] == 1000:
            codebook(as_latents(tokens))
        distance = (codebook.codes[1] - tokens).norm(dim=1).min()
        assert distance < 1e-5
        assert codebook.counts[1] == 20
        torch.testing.assert_close(codebook.sums[1], 20 * codebook.codes[1])

    def test_zero_threshold_never_restarts(self):
        codes = torch.tensor([[0.0, 0.0], [1000.0, 1000.0]])
        codebook = codebook_of(codes, ema_decay=0.5, restart_threshold=0.0)
        for _ in range(60):
            codebook(torch.randn(1, 2, 40))
        torch.testing.assert_close(codebook.codes[1], codes[1])

    def test_restarts_revive_a_collapsed_codebook(self):
        codes = torch.cat([torch.zeros(1, 4), 1000 + torch.randn(63, 4)])
        codebook = codebook_of(codes, ema_decay=0.9, restart_threshold=0.03)
        for _ in range(80):
            perplexity = codebook(torch.randn(1, 4, 512))["perplexity"]
        assert perplexity > 40


class TestCosine:
    def test_nearest_is_the_greatest_cosine(self):
        codes = F.normalize(torch.randn(32, 5), dim=1)
        tokens = torch.randn(300, 5) * torch.rand(300, 1) * 10
        cosines = F.normalize(tokens.double(), dim=1) @ codes.double().T
        output = codebook_of(codes, cosine=True).eval()(as_latents(tokens))
        assert torch.equal(output["encodings"][0], cosines.argmax(1))
        unit = F.normalize(tokens, dim=1)
        loss = 0.25 * F.mse_loss(unit.double(), codes[cosines.argmax(1)].double())
        assert output["commitment_loss"].item() == pytest.approx(loss.item(), rel=1e-5)

    @pytest.mark.parametrize("restart_threshold", [0.0, 0.5])
    def test_codes_stay_on_the_unit_sphere(self, restart_threshold):
        codebook = EMACodebook(64, 4, cosine=True, restart_threshold=restart_threshold)
        for n in (20, 300, 300, 20):
            codebook(7 * torch.randn(1, 4, n) + 1)
            torch.testing.assert_close(codebook.codes.norm(dim=1), torch.ones(64))

    def test_a_code_turns_to_the_direction_of_its_mean(self):
        codebook = codebook_of(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]), cosine=True, ema_decay=0.5)
        tokens = torch.tensor([[5.0, 0.0], [0.0, 0.1], [-2.0, 0.0]])
        for _ in range(40):
            codebook(as_latents(tokens))
        torch.testing.assert_close(codebook.codes, torch.tensor([[0.5**0.5, 0.5**0.5], [-1.0, 0.0]]))


class TestPrecision:
    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
    @pytest.mark.parametrize("offset", [0.0, 50.0])
    @pytest.mark.parametrize("name", ["forward", "encode"])
    def test_codes_are_exact_under_autocast(self, dtype, offset, name):
        codes = torch.randn(256, 16) + offset
        codebook = codebook_of(codes).eval()
        latents = (torch.randn(1, 16, 2000) + offset).to(dtype)
        with torch.autocast("cpu", torch.bfloat16):
            encodings = codebook.encode(latents) if name == "encode" else codebook(latents)["encodings"]
        expected = nearest_in_float64(latents[0].T.float(), codes)
        assert (encodings[0].numpy() == expected).mean() >= 0.999

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
    def test_embeddings_and_averages_are_float32(self, dtype):
        codebook = codebook_of(torch.randn(8, 4))
        with torch.autocast("cpu", torch.bfloat16):
            output = codebook(torch.randn(1, 4, 100).to(dtype))
        assert output["embeddings"].dtype == output["counts"].dtype == codebook.sums.dtype == torch.float32


def test_the_same_seed_gives_the_same_codebook():
    states = []
    for _ in range(2):
        torch.manual_seed(3)
        codebook = EMACodebook(32, 4, restart_threshold=0.5)
        for _ in range(5):
            codebook(torch.randn(2, 4, 20))
        states.append(codebook.state_dict())
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
