"""The N-dimensional VQ-VAE."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from ndvq_tune.config import ModelConfig
from ndvq_tune.errors import ShapeError
from ndvq_tune.model.attention import AttentionType
from ndvq_tune.model.layers import decoder, encoder, residual_stack
from ndvq_tune.model.quantizer import CodebookInit, EMACodebook, VQOutput

_MEMORY_FORMAT = {1: torch.contiguous_format, 2: torch.channels_last, 3: torch.channels_last_3d}


class NDimVQVAE(nn.Module):
    """VQ-VAE for data of 1, 2 or 3 dimensions (van den Oord et al., 2017; https://arxiv.org/abs/1711.00937).

    Example: a clip ``(3, 16, 64, 64)`` with ``downsample=(4, 8, 8)`` becomes ``4 x 8 x 8`` codes. Sizes that the
    factors do not divide are padded by repeating the edge, and the reconstruction is cropped back. The network is
    convolutional: spatial sizes other than that of ``input_shape`` work too.

    Args:
        embedding_dim: Dimensions of a code.
        n_codes: Codes in the codebook.
        n_dims: Dimensions of the data: 1, 2 or 3.
        downsample: Downsampling factor of each dimension, any positive integers.
        n_hiddens: Channels of the encoder and decoder.
        n_res_layers: Residual blocks on each side.
        codebook_beta: Weight of the commitment loss.
        input_shape: Shape ``(C, *S)`` of a sample.
        ema_decay: Decay of the codebook's moving averages.
        attention: Attention over positions in every residual block: ``none``, ``axial`` or ``full``.
        n_head: Attention heads.
        attn_dropout: Dropout of attention weights while training.
        codebook_init: Initial codes from the first training batch: ``kmeans`` or ``sample``.
        restart_threshold: Share of an even use below which a code is restarted; 0 for never.
        data_mean: Mean of the training data. The network sees data normalised by it and by the variance, and the
            reconstruction is in the data's own units.
        data_variance: Variance of the training data.

    Raises:
        ShapeError: If ``n_dims``, ``downsample`` and ``input_shape`` do not fit together.
    """

    data_mean: torch.Tensor
    data_variance: torch.Tensor

    def __init__(
        self,
        embedding_dim: int,
        n_codes: int,
        n_dims: int,
        downsample: Sequence[int],
        n_hiddens: int,
        n_res_layers: int,
        codebook_beta: float,
        input_shape: Sequence[int],
        *,
        ema_decay: float = 0.95,
        attention: AttentionType = "none",
        n_head: int = 2,
        attn_dropout: float = 0.0,
        codebook_init: CodebookInit = "kmeans",
        restart_threshold: float = 0.03,
        data_mean: float = 0.0,
        data_variance: float = 1.0,
    ) -> None:
        super().__init__()
        _check_shapes(n_dims, downsample, input_shape)
        self.n_dims = n_dims
        self.n_codes = n_codes
        self.embedding_dim = embedding_dim
        self.downsample = tuple(downsample)
        self.input_shape = tuple(input_shape)
        channels = input_shape[0]

        def residual() -> nn.Module:
            return residual_stack(n_hiddens, n_dims, n_res_layers, attention, n_head, attn_dropout)

        self.encoder = encoder(channels, downsample, embedding_dim, n_hiddens, residual())
        self.codebook = EMACodebook(n_codes, embedding_dim, codebook_beta, ema_decay, codebook_init, restart_threshold)
        self.decoder = decoder(channels, downsample, embedding_dim, n_hiddens, residual())
        self.register_buffer("data_mean", torch.tensor(float(data_mean)))
        self.register_buffer("data_variance", torch.tensor(float(data_variance)))

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """Codes along each dimension for a sample of ``input_shape``."""
        return tuple(-(-size // factor) for size, factor in zip(self.input_shape[1:], self.downsample, strict=True))

    @property
    def memory_format(self) -> torch.memory_format:
        """Memory format that convolutions of this many dimensions are fastest in; data in it is not copied."""
        return _MEMORY_FORMAT[self.n_dims]

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, VQOutput]:
        """Encode, quantise and decode ``x`` of shape ``(B, C, *S)``.

        Returns:
            recon_loss: MSE of the reconstruction over the data's variance; a scalar.
            x_recon: The reconstruction, in the shape and units of ``x``.
            vq_output: ``embeddings``, ``encodings``, ``commitment_loss`` and ``perplexity``; see ``VQOutput``.

        Raises:
            ShapeError: If ``x`` has another number of dimensions or channels.
        """
        vq_output: VQOutput = self.codebook(self._latents(x))
        x_recon = _crop(self._reconstruct(vq_output["embeddings"]), x.shape[2:])
        return F.mse_loss(x_recon, x.float()) / self.data_variance, x_recon, vq_output

    @torch.no_grad()
    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Encodings ``(B, *L)``, int64, of data ``(B, C, *S)``. The codebook does not move, not even in training.

        Raises:
            ShapeError: If ``x`` has another number of dimensions or channels.
        """
        latents = self._latents(x).movedim(1, -1)
        return self.codebook.nearest(latents.flatten(0, -2)).view(latents.shape[:-1])

    def decode(self, encodings: torch.Tensor) -> torch.Tensor:
        """Reconstruct data ``(B, C, *S)`` from encodings ``(B, *L)``.

        Encodings of ``latent_shape`` give samples of ``input_shape``; others give ``S = L * downsample``, because
        they do not tell how much of that was padding.

        Raises:
            ShapeError: If ``encodings`` has another number of dimensions.
        """
        if encodings.ndim != self.n_dims + 1:
            raise ShapeError(f"encodings need {self.n_dims + 1} dimensions (B, *L), but got {tuple(encodings.shape)}")
        x_recon = self._reconstruct(self.codebook.lookup(encodings))
        fits_input = tuple(encodings.shape[1:]) == self.latent_shape
        return _crop(x_recon, self.input_shape[1:]) if fits_input else x_recon

    def _latents(self, x: torch.Tensor) -> torch.Tensor:
        channels = self.input_shape[0]
        if x.ndim != self.n_dims + 2 or x.shape[1] != channels:
            dims = "".join(f", S{i + 1}" for i in range(self.n_dims))
            raise ShapeError(f"input needs the shape (B, {channels}{dims}), but got {tuple(x.shape)}")
        x = (x - self.data_mean) / self.data_variance.sqrt()
        x = self._pad(x).contiguous(memory_format=self.memory_format)
        latents: torch.Tensor = self.encoder(x)
        return latents

    def _reconstruct(self, embeddings: torch.Tensor) -> torch.Tensor:
        x: torch.Tensor = self.decoder(embeddings.contiguous(memory_format=self.memory_format))
        return torch.addcmul(self.data_mean, x.float(), self.data_variance.sqrt())

    def _pad(self, x: torch.Tensor) -> torch.Tensor:
        missing = [-size % factor for size, factor in zip(x.shape[2:], self.downsample, strict=True)]
        if not any(missing):
            return x
        return F.pad(x, [pad for after in reversed(missing) for pad in (0, after)], mode="replicate")


def build_model(
    config: ModelConfig, input_shape: Sequence[int], data_mean: float = 0.0, data_variance: float = 1.0
) -> NDimVQVAE:
    """The model that a configuration describes, for samples of ``input_shape``, which is ``(C, *S)``.

    Raises:
        ShapeError: If ``input_shape`` does not fit ``config.n_dims``.
    """
    return NDimVQVAE(
        embedding_dim=config.embedding_dim,
        n_codes=config.n_codes,
        n_dims=config.n_dims,
        downsample=config.downsample,
        n_hiddens=config.n_hiddens,
        n_res_layers=config.n_res_layers,
        codebook_beta=config.codebook_beta,
        input_shape=input_shape,
        ema_decay=config.ema_decay,
        attention=config.attention.type,
        n_head=config.attention.n_head,
        attn_dropout=config.attention.dropout,
        codebook_init=config.codebook_init,
        restart_threshold=config.restart_threshold,
        data_mean=data_mean,
        data_variance=data_variance,
    )


def _crop(x: torch.Tensor, sizes: Sequence[int]) -> torch.Tensor:
    # The gradient of a slice costs a copy, even of a slice that keeps all.
    for axis, size in enumerate(sizes, start=2):
        x = x if x.shape[axis] == size else x.narrow(axis, 0, size)
    return x


def _check_shapes(n_dims: int, downsample: Sequence[int], input_shape: Sequence[int]) -> None:
    if n_dims not in _MEMORY_FORMAT:
        raise ShapeError(f"n_dims must be 1, 2 or 3, but got {n_dims}")
    if len(downsample) != n_dims:
        raise ShapeError(f"downsample needs a factor for each of n_dims={n_dims} dimensions, but got {downsample}")
    if len(input_shape) != n_dims + 1:
        raise ShapeError(f"input_shape needs channels and n_dims={n_dims} sizes (C, *S), but got {input_shape}")
    if min(*downsample, *input_shape) < 1:
        raise ShapeError(f"sizes and factors must be positive integers, but got {downsample=} and {input_shape=}")
