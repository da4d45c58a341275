import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from ndvq_tune.data.batches.samples import SampleSet, Scale, Window
from ndvq_tune.data.dataset import Dataset
from ndvq_tune.model import NDimVQVAE, build_model
from ndvq_tune.model.statistics import broadcast
from ndvq_tune.training import evaluation
from ndvq_tune.training.evaluation import codebook_metrics, evaluate, static_metrics
from ndvq_tune.training.loop import Training
from tests.training.training_examples import clips, config, dataset, floats, values


@pytest.fixture
def model() -> NDimVQVAE:
    """A model with codes from data, off the values that it is tested on."""
    data = dataset()
    model = build_model(config().model, data.train.shape, data.mean, data.variance)
    model.train()
    model(floats(data.train))
    return model


class OneCodeAClip(nn.Module):
    """Stands in for a model: a clip of one pixel, whose value is the number of its only code."""

    latent_shape, input_shape = (1, 1, 1), (1, 1, 1, 1)

    def __init__(self, n_codes: int) -> None:
        super().__init__()
        self.quantizer = SimpleNamespace(n_codes=n_codes, n_codebooks=1)
        self.register_buffer("data_mean", torch.tensor(0.0))
        self.register_buffer("data_variance", torch.tensor(1.0))

    def forward(self, x):
        encodings = (x * 255).round().long()[:, 0]
        counts = torch.bincount(encodings.flatten(), minlength=self.quantizer.n_codes)[None]
        return torch.tensor(0.0), x, {"commitment_loss": torch.tensor(0.0), "counts": counts}


def of(samples: SampleSet, data: Dataset | None = None, **changes) -> Dataset:
    """A data set with these test samples."""
    return replace(data or dataset(), test=samples, **changes)


def pixels(numbers: list[int]) -> Dataset:
    frames = np.array(numbers, dtype=np.uint8)[:, None, None, None]
    return of(SampleSet([frames], Window(1, 1), Scale(0, 255)))


@pytest.mark.parametrize("batch_size", [1, 4, 64])
def test_9_code_use_is_pooled_over_the_whole_validation_set(batch_size):
    """Defect 9: with 4 clips a batch, an even use of 64 codes read as a perplexity of 4."""
    metrics = evaluate(OneCodeAClip(n_codes=128), pixels(list(range(64))), batch_size).metrics
    assert metrics["perplexity"] == pytest.approx(64)
    assert metrics["codebook_usage"] == 0.5
    assert metrics["entropy_bits_per_element"] == pytest.approx(6)
    assert metrics["bits_per_element"] == pytest.approx(7)


def test_9_uneven_use_is_pooled_before_the_entropy():
    """Mean of the batches' perplexities: (1 + 2) / 2. Pooled: 3 of 4 uses are code 0."""
    metrics, _, counts = evaluate(OneCodeAClip(n_codes=8), pixels([0, 0, 0, 5]), batch_size=2)
    assert counts.tolist() == [[3, 0, 0, 0, 0, 1, 0, 0]]
    assert metrics["perplexity"] == pytest.approx(math.exp(-(0.75 * math.log(0.75) + 0.25 * math.log(0.25))))
    assert metrics["codebook_usage"] == 0.25


def test_all_numbers_agree_with_numpy_in_float64(model):
    data = dataset()
    metrics = evaluate(model, data, batch_size=4).metrics

    model.eval()
    x = floats(data.test)
    with torch.no_grad():
        x_recon, encodings = model(x)[1], model.encode(x).numpy().ravel()
        latents = model._latents(x).double().numpy()
    codes = model.quantizer.codes.double().numpy()[encodings].reshape(*np.moveaxis(latents, 1, -1).shape)
    squares = np.square(x_recon.double().numpy() - values(data.test))
    mse, of_channel = squares.mean(), (0, 2, 3, 4)
    shares = np.unique(encodings, return_counts=True)[1] / encodings.size
    perplexity = np.exp(-(shares * np.log(shares)).sum())
    positions_per_code = 1 * 2 * 2
    assert metrics == pytest.approx(
        {
            "recon_loss": (squares.mean(of_channel) / values(data.train).var(of_channel)).mean(),
            "recon_loss_pooled": mse / values(data.train).var(),
            "psnr": 10 * np.log10(1 / mse),
            "commitment_loss": 0.25 * np.square(np.moveaxis(latents, 1, -1) - codes).mean(),
            "perplexity": perplexity,
            "codebook_usage": len(shares) / 16,
            "bits_per_element": 4 / positions_per_code,
            "entropy_bits_per_element": np.log2(perplexity) / positions_per_code,
            "parameters": sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad),
        },
        rel=1e-4,
    )


def test_the_loss_of_each_sample_agrees_with_numpy_and_their_mean_is_the_loss(model):
    data = dataset()
    metrics, losses, _ = evaluate(model, data, batch_size=4)
    x = floats(data.test)
    with torch.no_grad():
        squares = np.square(model.eval()(x)[1].double().numpy() - values(data.test))
    expected = (squares.mean((2, 3, 4)) / values(data.train).var((0, 2, 3, 4))).mean(1)
    assert len(losses) == len(data.test) == 6
    assert losses.tolist() == pytest.approx(expected.tolist(), rel=1e-4)
    assert metrics["recon_loss"] == pytest.approx(losses.mean().item(), rel=1e-6)


def test_of_many_samples_neighbours_share_a_loss(monkeypatch):
    data = of(clips(7, seed=3))
    model = build_model(config().model, data.test.shape, data.mean, data.variance).eval()
    alone = evaluate(model, data, batch_size=2).sample_losses
    monkeypatch.setattr(evaluation, "GROUPS", 3)
    shared = evaluate(model, data, batch_size=2).sample_losses
    expected = [group.mean().item() for group in (alone[:3], alone[3:5], alone[5:])]
    assert shared.tolist() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("batch_size", [1, 4, 5, 6, 100])
def test_batch_size_does_not_change_the_numbers(model, batch_size):
    data = dataset()
    found, pairs = evaluate(model, data, batch_size), evaluate(model, data, 2)
    assert found.metrics == pytest.approx(pairs.metrics, rel=1e-5)
    assert found.sample_losses.tolist() == pytest.approx(pairs.sample_losses.tolist(), rel=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_evaluation_moves_no_buffer_and_leaves_the_mode_as_it_was(model, training):
    model.train(training)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    evaluate(model, dataset(), batch_size=2)
    assert model.training is training
    assert all(module.training is training for module in model.modules())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_10_reporting_runs_no_second_forward_in_training_mode():
    """Defect 10: logging ran the model once more in training mode, and the codebook moved twice a step."""
    training = Training(config(), dataset(train=16, test=6))
    modes, codebook_modes = [], []
    training.model.register_forward_pre_hook(lambda module, _: modes.append(module.training))
    training.model.quantizer.register_forward_pre_hook(lambda module, _: codebook_modes.append(module.training))
    training.run_epoch()
    assert modes == codebook_modes == [True] * 4 + [False] * 2
    assert training.model.quantizer.updates == 4


def test_ranks_sum_up_to_what_one_rank_measures(monkeypatch):
    data = dataset(size=12)
    model = build_model(config().model, data.train.shape, data.mean, data.variance)
    model(floats(data.train))
    test = of(clips(7, seed=3, size=12), data, channel_names=("red", "green", "blue"))
    alone = evaluate(model, test, batch_size=2, similarities=["ssim"])
    totals: list[list[torch.Tensor]] = []

    class Others:
        """A process group in which rank 2 reduces last, when all others have told their totals."""

        @staticmethod
        def is_initialized() -> bool:
            return True

        @staticmethod
        def all_reduce(total: torch.Tensor) -> None:
            totals[-1].append(total.clone())
            if len(totals) == 3:
                total += sum(others[len(totals[-1]) - 1] for others in totals[:-1])

    monkeypatch.setattr(evaluation, "dist", Others)
    for rank in range(3):
        totals.append([])
        together = evaluate(model, test, batch_size=2, rank=rank, world_size=3, similarities=["ssim"])
    assert together.metrics == pytest.approx(alone.metrics, rel=1e-6)
    assert together.sample_losses.tolist() == pytest.approx(alone.sample_losses.tolist(), rel=1e-6)
    assert together.code_counts.tolist() == alone.code_counts.tolist()


def test_a_rank_without_samples_takes_part(monkeypatch, model):
    reduced = []
    monkeypatch.setattr("torch.distributed.is_initialized", lambda: True)
    monkeypatch.setattr("torch.distributed.all_reduce", lambda total: reduced.append(total.sum().item()))
    evaluate(model, dataset(test=2), batch_size=2, rank=2, world_size=3)
    assert reduced == [0.0, 0.0, 0.0]


class Errors(nn.Module):
    """Stands in for a model: adds an error to each channel, and carries statistics."""

    latent_shape = (1,)

    def __init__(self, errors: list[float], variance: float | list[float]) -> None:
        super().__init__()
        self.quantizer, self.input_shape = SimpleNamespace(n_codes=2, n_codebooks=1), (len(errors), 50)
        self.register_buffer("errors", torch.tensor(errors)[:, None])
        self.register_buffer("data_mean", torch.tensor(0.0))
        self.register_buffer("data_variance", broadcast(variance, self.input_shape))

    def forward(self, x):
        output = {"commitment_loss": torch.tensor(0.0), "counts": torch.ones(1, 2)}
        return torch.tensor(0.0), x + self.errors, output


def loud_and_quiet() -> tuple[Dataset, np.ndarray]:
    """Signals of two channels, the second a tenth as loud as the first; and their values in float64."""
    steps = np.random.default_rng(0).normal(0.5, [0.2, 0.02], (200, 2)).astype(np.float32)
    samples, unit = SampleSet([steps], Window(50, 50), Scale(0, 1)), steps.astype(np.float64)
    variance = tuple(unit.var(0).tolist())
    return Dataset(samples, samples, (0.5, 0.5), variance, float(unit.var()), {}, 1, ("loud", "quiet")), unit


def test_a_quiet_channel_counts_as_much_as_a_loud_one_and_each_is_named():
    data, unit = loud_and_quiet()
    metrics = evaluate(Errors([0.02, 0.02], data.variance), data, batch_size=3).metrics
    of_each = 0.02**2 / unit.var(0)
    assert of_each[1] > 50 * of_each[0]
    assert [metrics["recon_loss_loud"], metrics["recon_loss_quiet"]] == pytest.approx(of_each, rel=1e-5)
    assert metrics["recon_loss"] == pytest.approx(of_each.mean(), rel=1e-5)
    assert metrics["recon_loss_pooled"] == pytest.approx(0.02**2 / unit.var(), rel=1e-5)
    assert metrics["psnr"] == pytest.approx(-10 * np.log10(0.02**2), rel=1e-5)


def test_a_channel_that_is_called_pooled_leaves_the_pooled_loss_as_it_is():
    data, unit = loud_and_quiet()
    named = replace(data, channel_names=("loud", "pooled"))
    metrics = evaluate(Errors([0.02, 0.02], data.variance), named, batch_size=3).metrics
    assert metrics["recon_loss_pooled"] == pytest.approx(0.02**2 / unit.var(), rel=1e-5)
    assert metrics["recon_loss_loud"] == pytest.approx(0.02**2 / unit[:, 0].var(), rel=1e-5)


def test_with_one_variance_of_all_values_both_losses_are_the_same():
    data, unit = loud_and_quiet()
    metrics = evaluate(Errors([0.02, 0.01], data.pooled_variance), data, batch_size=3).metrics
    expected = (0.02**2 + 0.01**2) / 2 / unit.var()
    assert metrics["recon_loss"] == pytest.approx(expected, rel=1e-5)
    assert metrics["recon_loss_pooled"] == pytest.approx(expected, rel=1e-5)


def test_codebooks_are_pooled_each_for_itself():
    """Two codebooks at a position, used as 1, 1 and as 2, 0: entropies of 1 and 0 bits."""
    metrics = codebook_metrics(torch.tensor([[1, 1], [2, 0]]), OneCodeAClip(2))
    assert metrics["perplexity"] == pytest.approx(math.sqrt(2))
    assert metrics["codebook_usage"] == 0.75
    assert metrics["entropy_bits_per_element"] == pytest.approx(1)


def test_a_model_that_uses_one_code_has_perplexity_one_and_no_entropy():
    counts = torch.tensor([[0, 7, 0, 0]])
    assert codebook_metrics(counts, OneCodeAClip(4)) == {
        "perplexity": 1.0,
        "codebook_usage": 0.25,
        "entropy_bits_per_element": 0.0,
    }


def test_static_metrics_need_no_memory_and_are_those_of_the_real_model():
    data = dataset()
    with torch.device("meta"):
        meta = build_model(config().model, data.train.shape)
    assert static_metrics(meta) == static_metrics(build_model(config().model, data.train.shape))


def test_a_model_that_gives_nan_is_measured_as_nan(model):
    nn.init.constant_(next(model.decoder.parameters()), math.nan)
    metrics = evaluate(model, dataset(), batch_size=4).metrics
    assert math.isnan(metrics["recon_loss"])
    assert math.isnan(metrics["psnr"])
