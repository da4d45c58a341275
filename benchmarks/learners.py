"""The seed's model and ours behind one interface, each trained the way it is at its best."""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import nn

from benchmarks import seed
from benchmarks.samples import Samples
from ndvq_tune.config import ModelConfig, TrainingConfig
from ndvq_tune.metrics import psnr
from ndvq_tune.model import build_model
from ndvq_tune.training.optimizers import optimizers, set_learning_rates
from ndvq_tune.training.schedules import learning_rate_share

N_HIDDENS, N_RES_LAYERS, N_CODES, EMBEDDING_DIM = 32, 2, 256, 32


class Learner(Protocol):
    """A model that learns."""

    @property
    def model(self) -> nn.Module:
        """What is trained."""

    def step(self, x: torch.Tensor, done: int, total: int) -> None:
        """Learn from data ``(B, C, *S)`` in [0, 1], knowing how far the training is."""

    def reconstruct(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The reconstruction of ``x``, in [0, 1] too, and its encodings."""


class Seed:
    """The published model with its own optimiser and loss, on data in [-0.5, 0.5] as it wants it."""

    def __init__(self, samples: Samples, learning_rate: float) -> None:
        shape = list(samples.train.shape[1:])
        sizes = (EMBEDDING_DIM, N_CODES, len(samples.downsample), list(samples.downsample), N_HIDDENS, N_RES_LAYERS)
        self.model = seed.NDimVQVAE(*sizes, seed.CODEBOOK_BETA, shape)
        self._optimizer = self.model.configure_optimizers()
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate

    def step(self, x: torch.Tensor, done: int, total: int) -> None:
        """Learn from a batch; the rate stays, so how far the training is does not matter."""
        recon_loss, _, vq_output = self.model(x - 0.5)
        self._optimizer.zero_grad(set_to_none=True)
        (recon_loss + vq_output["commitment_loss"]).backward()
        self._optimizer.step()

    def reconstruct(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The reconstruction and its encodings."""
        _, x_recon, vq_output = self.model(x - 0.5)
        return x_recon + 0.5, vq_output["encodings"]


class Ours:
    """Our model, with all that the comparison does not fix as ``ModelConfig`` and ``TrainingConfig`` have it."""

    def __init__(self, samples: Samples) -> None:
        config = ModelConfig(
            n_dims=len(samples.downsample),
            n_codes=N_CODES,
            embedding_dim=EMBEDDING_DIM,
            downsample=samples.downsample,
            n_hiddens=N_HIDDENS,
            n_res_layers=N_RES_LAYERS,
        )
        variance, mean = torch.var_mean(samples.train, correction=0)
        self.model = build_model(config, tuple(samples.train.shape[1:]), mean.item(), variance.item())
        self._settings = TrainingConfig()
        self._optimizers = optimizers(self.model.parameters(), self._settings)

    def step(self, x: torch.Tensor, done: int, total: int) -> None:
        """Learn from a batch, at the rate of this time of the training."""
        set_learning_rates(self._optimizers, learning_rate_share(done, total, self._settings.schedule))
        recon_loss, _, vq_output = self.model(x)
        self.model.zero_grad(set_to_none=True)
        (recon_loss + vq_output["commitment_loss"]).backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self._settings.gradient_clip)
        for optimizer in self._optimizers:
            optimizer.step()

    def reconstruct(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The reconstruction and its encodings."""
        _, x_recon, vq_output = self.model(x)
        return x_recon, vq_output["encodings"]


@dataclass(frozen=True)
class Quality:
    """How well a model does on a validation set.

    Attributes:
        nmse: MSE over the variance of the training data.
        psnr: Peak signal-to-noise ratio, dB.
        perplexity: exp of the entropy of code use, pooled over the whole set.
        usage: Share of codes used at least once.
    """

    nmse: float
    psnr: float
    perplexity: float
    usage: float


@torch.no_grad()
def judge(learner: Learner, samples: Samples) -> Quality:
    """The same measure for every model, from nothing but reconstructions and encodings."""
    squared_error = 0.0
    counts = torch.zeros(N_CODES, dtype=torch.int64)
    learner.model.eval()
    for x in samples.validation.split(samples.batch):
        x_recon, encodings = learner.reconstruct(x)
        squared_error += (x_recon - x).double().square().sum().item()
        counts += torch.bincount(encodings.flatten(), minlength=N_CODES)
    learner.model.train()
    mse = squared_error / samples.validation.numel()
    return Quality(
        nmse=mse / samples.train.var(correction=0).item(),
        psnr=psnr(mse),
        perplexity=torch.special.entr(counts.double() / counts.sum()).sum().exp().item(),
        usage=(counts > 0).double().mean().item(),
    )
