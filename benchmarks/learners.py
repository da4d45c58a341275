"""Models behind one interface, trained by one loop and judged alike: ours here, others in ``benchmarks.peers``."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn

from benchmarks.samples import Samples
from ndvq_tune.config import ModelConfig, TrainingConfig
from ndvq_tune.metrics import bits_per_element, psnr
from ndvq_tune.model import build_model
from ndvq_tune.training.optimizers import optimizers, set_learning_rates
from ndvq_tune.training.schedules import learning_rate_share

N_HIDDENS, N_RES_LAYERS, N_CODES, EMBEDDING_DIM = 32, 2, 256, 32
SCHEDULE_STEPS = 100_000  # into which the time of a training is divided for its schedule


class Output(NamedTuple):
    """What a model makes of data ``(B, C, *S)`` in [0, 1].

    Attributes:
        loss: What its training minimises.
        x_recon: The reconstruction, in [0, 1] too.
        encodings: Codes ``(B, *L, Q)`` of Q codebooks.
    """

    loss: torch.Tensor
    x_recon: torch.Tensor
    encodings: torch.Tensor


class Tokenizer(nn.Module):
    """A model of the comparison: ``forward`` gives an ``Output``.

    Attributes:
        n_codes: Codes in a codebook.
    """

    n_codes: int


class Ours(Tokenizer):
    """Our model, with all that the comparison does not fix as ``ModelConfig`` has it."""

    n_codes = N_CODES

    def __init__(self, samples: Samples) -> None:
        super().__init__()
        residual = {"quantizer": {"type": "residual", "n_quantizers": samples.n_codebooks}}
        config = ModelConfig.model_validate(
            {
                "n_dims": len(samples.downsample),
                "n_codes": N_CODES,
                "embedding_dim": EMBEDDING_DIM,
                "downsample": samples.downsample,
                "n_hiddens": N_HIDDENS,
                "n_res_layers": N_RES_LAYERS,
                **(residual if samples.n_codebooks > 1 else {}),
            }
        )
        self.model = build_model(config, tuple(samples.train.shape[1:]), samples.mean, samples.variance)

    def forward(self, x: torch.Tensor) -> Output:
        """Reconstruct."""
        recon_loss, x_recon, vq_output = self.model(x)
        encodings = vq_output["encodings"]
        one_codebook = encodings.ndim == x.ndim - 1
        return Output(
            recon_loss + vq_output["commitment_loss"], x_recon, encodings.unsqueeze(-1) if one_codebook else encodings
        )


class Learner:
    """A model in training.

    Args:
        model: The model.
        training: How it is trained; batches and their number come from outside.
    """

    def __init__(self, model: Tokenizer, training: TrainingConfig) -> None:
        self.model = model
        self._training = training
        self._optimizers = optimizers(model.parameters(), training)

    def step(self, share: float, x: torch.Tensor) -> None:
        """Learn from a batch, at the learning rate of this share of the training."""
        step = int(share * SCHEDULE_STEPS)
        set_learning_rates(self._optimizers, learning_rate_share(step, SCHEDULE_STEPS, self._training.schedule))
        self.model.zero_grad(set_to_none=True)
        self.model(x).loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self._training.gradient_clip)
        for optimizer in self._optimizers:
            optimizer.step()


@dataclass(frozen=True)
class Quality:
    """How well a model does on a validation set.

    Attributes:
        nmse: MSE over the variance of the training data.
        psnr: Peak signal-to-noise ratio, dB.
        perplexity: exp of the entropy of code use, pooled over the whole set; of codebooks the geometric mean.
        bits_per_element: Rate in bits per pixel or sample, whatever its channels.
    """

    nmse: float
    psnr: float
    perplexity: float
    bits_per_element: float


@torch.no_grad()
def judge(model: Tokenizer, samples: Samples) -> Quality:
    """The same measure for every model, from nothing but reconstructions and encodings."""
    squared_error, encodings = 0.0, []
    model.eval()
    for x in samples.validation.split(samples.batch):
        output: Output = model(x)
        squared_error += (output.x_recon - x).double().square().sum().item()
        encodings.append(output.encodings.flatten(1, -2))
    model.train()
    mse = squared_error / samples.validation.numel()
    of_codebooks = torch.cat(encodings).flatten(0, 1).unbind(-1)
    shares = [numbers.unique(return_counts=True)[1].double() / len(numbers) for numbers in of_codebooks]
    positions, elements = encodings[0].shape[1], samples.validation[0, 0].numel()
    return Quality(
        nmse=mse / samples.train.var(correction=0).item(),
        psnr=psnr(mse),
        perplexity=math.exp(sum(torch.special.entr(share).sum().item() for share in shares) / len(shares)),
        bits_per_element=bits_per_element(len(shares) * math.log2(model.n_codes), positions, elements),
    )
