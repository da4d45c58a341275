"""Public models of the same kind, at our bits: each with its package's own settings, and its published training.

All minimise the squared error and their quantizer's own loss: no discriminators, no losses of other networks. Data have
mean 0 and variance 1 in each channel, as in our model, where a package does not say what it wants.
"""

import importlib
import importlib.util
import math
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812
from vector_quantize_pytorch import ResidualVQ, VectorQuantize

from benchmarks import seed
from benchmarks.learners import EMBEDDING_DIM, N_CODES, N_HIDDENS, N_RES_LAYERS, Output, Tokenizer
from benchmarks.samples import Samples
from ndvq_tune.config import TrainingConfig
from ndvq_tune.data.torchvision.package import declare_missing_operators

FSQ_LEVELS = (8, 6, 5)  # of Mentzer et al., 2023, arXiv 2309.15505, table 1, for 2^8 codes: 240
ENCODEC_DIM = 128  # its default
SEED_CHANNELS = 3  # the seed knows no other data
PACKAGES = {"nd-vq-vae": "nd_vq_vae", "magvit2-pytorch": "magvit2_pytorch", "encodec": "encodec"}


class Seed(Tokenizer):
    """``nd-vq-vae``, on data in [-0.5, 0.5] as it wants it. With one codebook only, it gets a finer grid for more."""

    n_codes = N_CODES

    def __init__(self, samples: Samples) -> None:
        super().__init__()
        downsample = [factor // samples.n_codebooks for factor in samples.downsample]
        sizes = (EMBEDDING_DIM, N_CODES, len(downsample), downsample, N_HIDDENS, N_RES_LAYERS)
        self.model = seed.NDimVQVAE(*sizes, seed.CODEBOOK_BETA, list(samples.train.shape[1:]))

    def forward(self, x: torch.Tensor) -> Output:
        """Reconstruct."""
        recon_loss, x_recon, vq_output = self.model(x - 0.5)
        return Output(recon_loss + vq_output["commitment_loss"], x_recon + 0.5, vq_output["encodings"].unsqueeze(-1))


class Standardised(Tokenizer):
    """A model of data with mean 0 and variance 1 in each channel.

    Args:
        samples: The data.
        n_codes: Codes in a codebook.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, samples: Samples, n_codes: int) -> None:
        super().__init__()
        self.n_codes = n_codes
        for_channels = (-1, *(1 for _ in samples.downsample))
        self.register_buffer("mean", torch.tensor(samples.mean).view(for_channels))
        self.register_buffer("std", torch.tensor(samples.variance).sqrt().view(for_channels))

    def forward(self, x: torch.Tensor) -> Output:
        """Reconstruct."""
        z = (x - self.mean) / self.std
        z_recon, encodings, penalty = self.reconstruct(z)
        return Output(F.mse_loss(z_recon, z) + penalty, z_recon * self.std + self.mean, encodings)

    def reconstruct(self, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The reconstruction of standardised data, encodings ``(B, *L, Q)``, and the quantizer's loss."""
        raise NotImplementedError


class Convolutions(Standardised):
    """The network of van den Oord et al. (2017; arXiv 1711.00937) around a quantizer of ``vector-quantize-pytorch``.

    The quantizer is as that package's documentation has it, with what it advises against dead codes.
    """

    def __init__(self, samples: Samples, width: int) -> None:
        super().__init__(samples, N_CODES)
        n_dims, channels = len(samples.downsample), samples.train.shape[1]
        self._conv, self._transposed = (getattr(nn, f"{kind}{n_dims}d") for kind in ("Conv", "ConvTranspose"))
        strides = halvings(samples.downsample)
        widths = [channels, *(width // 2 for _ in strides[1:]), width]
        levels = list(zip(widths[:-1], widths[1:], strides, strict=True))
        down = [layer for level in levels for layer in self._down(*level)]
        up = [layer for level in reversed(levels) for layer in self._up(*level)]
        self.encoder = nn.Sequential(*down, *self._residual(width), nn.ReLU(), self._conv(width, EMBEDDING_DIM, 1))
        self.decoder = nn.Sequential(self._conv(EMBEDDING_DIM, width, 3, padding=1), *self._residual(width), *up)
        settings = {"dim": EMBEDDING_DIM, "codebook_size": N_CODES, "kmeans_init": True, "threshold_ema_dead_code": 2}
        several = samples.n_codebooks > 1
        self.quantizer = (
            ResidualVQ(num_quantizers=samples.n_codebooks, **settings) if several else VectorQuantize(**settings)
        )

    def _down(self, fine: int, coarse: int, stride: Sequence[int]) -> list[nn.Module]:
        return [self._conv(fine, coarse, _kernel(stride), stride, padding=1), nn.ReLU()]

    def _up(self, fine: int, coarse: int, stride: Sequence[int]) -> list[nn.Module]:
        return [nn.ReLU(), self._transposed(coarse, fine, _kernel(stride), stride, padding=1)]

    def _residual(self, width: int) -> list[nn.Module]:
        return [
            Residual(nn.ReLU(), self._conv(width, width, 3, padding=1), nn.ReLU(), self._conv(width, width, 1))
            for _ in range(N_RES_LAYERS)
        ]

    def reconstruct(self, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The reconstruction of standardised data, encodings, and the commitment loss."""
        latents = self.encoder(z)
        vectors, encodings, penalty = self.quantizer(latents.flatten(2).mT)
        positions = len(z), math.prod(latents.shape[2:]), -1
        return self.decoder(vectors.mT.reshape(latents.shape)), encodings.view(positions), penalty.sum()


def _kernel(stride: Sequence[int]) -> tuple[int, ...]:
    """With a padding of 1, sizes are divided or multiplied by exactly the stride."""
    return tuple(4 if factor == 2 else 3 for factor in stride)


class Residual(nn.Sequential):
    """Layers whose input is added to what they make of it."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the layers."""
        return x + super().forward(x)  # type: ignore[no-any-return]


class Magvit2(Standardised):
    """The tokenizer of ``magvit2-pytorch`` for videos and images, with as many residual layers as ours.

    Args:
        samples: The data.
        width: Channels of its first layer.
        levels: Those of FSQ; its default, LFQ, if there are none.
    """

    def __init__(self, samples: Samples, width: int, levels: tuple[int, ...] | None) -> None:
        super().__init__(samples, math.prod(levels) if levels else N_CODES)
        *times, _, factor = samples.downsample
        layers = ("residual", *("compress_space", "residual") * int(math.log2(factor)))
        layers += ("compress_time",) * int(math.log2(math.prod(times)))
        with imported("magvit2_pytorch") as package:
            self.model = package.VideoTokenizer(
                image_size=samples.train.shape[-1],
                layers=(*layers, ("consecutive_residual", N_RES_LAYERS)),
                init_dim=width,
                use_gan=False,
                perceptual_loss_weight=0.0,
                **({"use_fsq": True, "fsq_levels": list(levels)} if levels else {"codebook_size": N_CODES}),
            )
        del self.model.discr  # it is built in any case

    def reconstruct(self, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The reconstruction of standardised data, encodings, and LFQ's loss."""
        latents = self.model.encode(z if z.ndim == 5 else z.unsqueeze(2), video_contains_first_frame=False)
        quantised, encodings, *penalty = self.model.quantizers(latents)
        z_recon = self.model.decode(quantised, video_contains_first_frame=False)
        return z_recon.view(z.shape), encodings.unsqueeze(-1), sum(penalty, torch.zeros(()))


class Encodec(Standardised):
    """The network of EnCodec with its residual quantizer.

    Args:
        samples: The data.
        width: Channels of its first layer.
    """

    def __init__(self, samples: Samples, width: int) -> None:
        super().__init__(samples, N_CODES)
        (factor,) = samples.downsample
        sizes = {"channels": samples.train.shape[1], "dimension": ENCODEC_DIM, "n_filters": width}
        ratios = [4] * int(math.log(factor, 4))
        with imported("encodec") as package:
            self.encoder = package.modules.SEANetEncoder(ratios=ratios, **sizes)
            self.decoder = package.modules.SEANetDecoder(ratios=ratios, **sizes)
            self.quantizer = package.quantization.ResidualVectorQuantizer(ENCODEC_DIM, samples.n_codebooks, N_CODES)

    def reconstruct(self, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The reconstruction of standardised data, encodings, and the commitment loss."""
        quantised, encodings, penalties = self.quantizer.vq(self.encoder(z))
        return self.decoder(quantised), encodings.movedim(0, -1), penalties.mean()


def halvings(downsample: Sequence[int]) -> list[tuple[int, ...]]:
    """Strides of 1 and 2 that make up factors, which are powers of two.

    Example:
        >>> halvings((2, 4, 4))
        [(2, 2, 2), (1, 2, 2)]
    """
    count = int(math.log2(max(downsample)))
    return [tuple(2 if factor >= 2 ** (done + 1) else 1 for factor in downsample) for done in range(count)]


@contextmanager
def imported(name: str) -> Iterator[Any]:
    """A peer's package, whose warnings are not ours to mend.

    EnCodec imports torchaudio, which it needs for files alone and whose build for CUDA does not load beside torch for
    CPUs, as torchvision's does not; an empty module stands in for it.
    """
    declare_missing_operators()
    stand_in = ModuleType("torchaudio")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        known = sys.modules.setdefault("torchaudio", stand_in)
        try:
            yield importlib.import_module(name)
        finally:
            if known is stand_in:
                del sys.modules["torchaudio"]


class Peer(NamedTuple):
    """A model to compare with.

    Attributes:
        build: Builds it.
        published: How it is trained where it comes from.
    """

    build: Callable[[], Tokenizer]
    published: TrainingConfig


def peers(samples: Samples) -> dict[str, Peer]:
    """Those that such data fits and whose packages are installed, by name."""
    n_dims = len(samples.downsample)
    magvit2 = published("adamw", 1e-5, beta2=0.99, weight_decay=0.01)  # as in its VideoTokenizerTrainer
    found = {}
    if samples.train.shape[1] == SEED_CHANNELS:
        found["nd-vq-vae"] = Peer(partial(Seed, samples), published("adam", seed.LEARNING_RATE))
    for width in (32, 64):
        training = published("adamw", 3e-4, weight_decay=0.01)  # as in the package's examples
        found[f"convolutions {width}"] = Peer(partial(Convolutions, samples, width), training)
    for width in (16, 32) if n_dims == 1 else ():  # Défossez et al., 2022, arXiv 2210.13438, section 4.4
        found[f"encodec {width}"] = Peer(
            partial(Encodec, samples, width), published("adam", 3e-4, beta1=0.5, beta2=0.9)
        )
    for width, levels in ((8, FSQ_LEVELS), (16, FSQ_LEVELS), (16, None)) if n_dims > 1 else ():
        name = f"magvit2-pytorch {width}, {'FSQ' if levels else 'LFQ'}"
        found[name] = Peer(partial(Magvit2, samples, width, levels), magvit2)
    return {name: peer for name, peer in found.items() if not any(name.startswith(gone) for gone in missing())}


def published(optimizer: str, learning_rate: float, beta2: float = 0.999, **settings: float) -> TrainingConfig:
    """A training at one learning rate, with gradients as they are.

    Args:
        optimizer: ``adam`` or ``adamw``.
        learning_rate: The rate.
        beta2: PyTorch's, if a package does not say another.
        **settings: Others of ``TrainingConfig``.
    """
    constant = {"type": "constant", "warmup": 0.0}
    named = {"optimizer": optimizer, "learning_rate": learning_rate, "beta2": beta2}
    return TrainingConfig.model_validate({"schedule": constant, "gradient_clip": 1e9, **named, **settings})


def missing() -> list[str]:
    """Packages of peers that are not installed."""
    return [name for name, module in PACKAGES.items() if not importlib.util.find_spec(module)]
