"""The N-dimensional VQ-VAE."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812
from torch.overrides import TorchFunctionMode

from ndvq_tune.config import ModelConfig
from ndvq_tune.config.card import DataCard
from ndvq_tune.errors import ShapeError
from ndvq_tune.model.checks import decodable, encodable
from ndvq_tune.model.convolution import channels_last
from ndvq_tune.model.layers import decoder, encoder
from ndvq_tune.model.quantizers import VQOutput, build_quantizer
from ndvq_tune.model.statistics import Statistic, broadcast, mean_over_channels, take_shapes


class NDimVQVAE(nn.Module):
    """VQ-VAE for data of 1 to 4 dimensions (van den Oord et al., 2017; https://arxiv.org/abs/1711.00937).

    Example: a clip ``(3, 16, 64, 64)`` with ``downsample=(4, 8, 8)`` becomes ``4 x 8 x 8`` codes. Sizes that the
    factors do not divide are padded by repeating the edge, and the reconstruction is cropped back. The network is
    convolutional: spatial sizes other than that of ``input_shape`` work too.

    Args:
        embedding_dim: Dimensions of a code.
        n_codes: Codes in the codebook.
        n_dims: Dimensions of the data: 1, 2, 3, or 4 for a volume over time.
        downsample: Downsampling factor of each dimension, any positive integers.
        n_hiddens: Channels of the encoder and decoder.
        n_res_layers: Residual blocks on each side.
        codebook_beta: Weight of the commitment loss.
        input_shape: Shape ``(C, *S)`` of a sample.
        data_mean: Mean of the training data: one number, or one for each channel. The network sees data normalised by
            it and by the variance, and the reconstruction is in the data's own units.
        data_variance: Variance of the training data, above 0; one number, or one for each channel.
        **options: Any other field of ``ModelConfig``, such as ``attention={"type": "axial"}``.

    Raises:
        ShapeError: If ``n_dims``, ``downsample`` and ``input_shape`` do not fit together, or there is another number of
            means or variances than of channels.
        ValueError: If ``ModelConfig`` refuses a value.

    Example:
        >>> model = NDimVQVAE(
        ...     embedding_dim=8, n_codes=64, n_dims=2, downsample=(4, 4), n_hiddens=16, n_res_layers=1,
        ...     codebook_beta=0.25, input_shape=(3, 32, 32),
        ... ).eval()
        >>> x = torch.rand(2, 3, 32, 32)
        >>> recon_loss, x_recon, vq_output = model(x)
        >>> x_recon.shape, vq_output["encodings"].shape
        (torch.Size([2, 3, 32, 32]), torch.Size([2, 8, 8]))
        >>> torch.equal(model.decode(model.encode(x)), x_recon)
        True
    """

    data_mean: torch.Tensor
    data_variance: torch.Tensor
    data: DataCard | None = None
    """What the model was trained on, where that is known."""

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
        data_mean: Statistic = 0.0,
        data_variance: Statistic = 1.0,
        **options: Any,
    ) -> None:
        super().__init__()
        _check_shapes(n_dims, downsample, input_shape)
        config = ModelConfig(
            embedding_dim=embedding_dim,
            n_codes=n_codes,
            n_dims=n_dims,
            downsample=tuple(downsample),
            n_hiddens=n_hiddens,
            n_res_layers=n_res_layers,
            codebook_beta=codebook_beta,
            **options,
        )
        self.config = config
        self.n_dims = n_dims
        self.downsample = config.downsample
        self.input_shape = tuple(input_shape)
        self.quantizer = build_quantizer(config)
        self.encoder = encoder(config, input_shape[0], self.quantizer.embedding_dim)
        self.decoder = decoder(config, input_shape[0], self.quantizer.embedding_dim)
        self.register_buffer("data_mean", broadcast(data_mean, input_shape))
        self.register_buffer("data_variance", broadcast(data_variance, input_shape))
        self.register_load_state_dict_pre_hook(take_shapes)  # type: ignore[no-untyped-call]

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """Codes along each dimension for a sample of ``input_shape``."""
        return latent_shape(self.config, self.input_shape)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, VQOutput]:
        """Encode, quantise and decode ``x`` of shape ``(B, C, *S)``, whose values are not checked.

        Returns:
            recon_loss: MSE of the reconstruction over the data's variance, the mean over channels; a scalar.
            x_recon: The reconstruction, in the shape and units of ``x``.
            vq_output: see ``VQOutput``.

        Raises:
            ShapeError: If ``x`` has another number of dimensions or channels.
        """
        self._check_shape(x)
        vq_output: VQOutput = self.quantizer(self._latents(x))
        x_recon = _crop(self._reconstruct(vq_output["embeddings"]), x.shape[2:])
        return mean_over_channels(F.mse_loss, x_recon, x.float(), self.data_variance), x_recon, vq_output

    @torch.no_grad()
    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Encodings ``(B, *L)``, int64, of data ``(B, C, *S)``. The codebook does not move, not even in training.

        With several codebooks (``quantizer.type: residual``) they are ``(B, *L, Q)``.

        Args:
            x: Floats in [0, 1]; or, where the model knows its ``data``, integers of the type that it was stored in,
                such as frames of bytes. Floats in the data's own units become such by ``model.data.to_unit(x)``.

        Raises:
            ShapeError: If ``x`` has another number of dimensions or channels.
            InputError: If it is of another type, holds NaN or infinity, or lies far outside of what the model has seen.
        """
        self._check_shape(x)
        return self.quantizer.encode(self._latents(encodable(x, self.data).to(self.data_mean.dtype)))

    def decode(self, encodings: torch.Tensor, size: Sequence[int] | None = None) -> torch.Tensor:
        """Reconstruct data ``(B, C, *S)`` from encodings ``(B, *L)`` (``(B, *L, Q)`` of several codebooks).

        Data is in [0, 1]; ``model.data.from_unit`` gives its own units.

        Args:
            encodings: What ``encode`` gave.
            size: ``S``; what is beyond it was padding. If it is not given, encodings of ``latent_shape`` give samples
                of ``input_shape``, and others ``L * downsample``, as they do not tell how much of that was padding.

        Raises:
            ShapeError: If ``encodings`` has another number of dimensions or codebooks.
            InputError: If they are no integers, or a code is not in the codebook.
        """
        codebooks = self.quantizer.n_codebooks
        several = codebooks > 1
        if encodings.ndim != self.n_dims + 1 + several or (several and encodings.shape[-1] != codebooks):
            shape = f"(B, *L, {codebooks})" if several else "(B, *L)"
            raise ShapeError(
                f"encodings need {self.n_dims + 1 + several} dimensions {shape}, but got {tuple(encodings.shape)}"
            )
        x_recon = self._reconstruct(self.quantizer.lookup(decodable(encodings, self.quantizer.n_codes)))
        if size is None:
            of_a_sample = tuple(encodings.shape[1 : self.n_dims + 1]) == self.latent_shape
            size = self.input_shape[1:] if of_a_sample else x_recon.shape[2:]
        return _crop(x_recon, size)

    def _check_shape(self, x: torch.Tensor) -> None:
        channels = self.input_shape[0]
        if x.ndim == self.n_dims + 2 and x.shape[1] == channels:
            return
        dims = "".join(f", S{i + 1}" for i in range(self.n_dims))
        mend = ""
        if x.ndim == self.n_dims + 1 and x.shape[0] == channels:
            mend = "; a single sample is a batch of one: x[None]"
        elif x.ndim == self.n_dims + 2 and x.shape[-1] == channels:
            mend = "; channels come second: x.movedim(-1, 1)"
        raise ShapeError(f"input needs the shape (B, {channels}{dims}), but got {tuple(x.shape)}{mend}")

    def _latents(self, x: torch.Tensor) -> torch.Tensor:
        x = (x - self.data_mean) / self.data_variance.sqrt()
        latents: torch.Tensor = self.encoder(channels_last(self._pad(x)))
        return latents

    def _reconstruct(self, embeddings: torch.Tensor) -> torch.Tensor:
        x: torch.Tensor = self.decoder(channels_last(embeddings))
        # Under autocast x is bf16, and without this the sum would be, too: 8 bits of data in [0, 1].
        return torch.addcmul(self.data_mean, x.float(), self.data_variance.sqrt())

    def _pad(self, x: torch.Tensor) -> torch.Tensor:
        """Repeat the edge until the downsampling factors divide every size."""
        for axis, (size, factor) in enumerate(zip(x.shape[2:], self.downsample, strict=True), start=2):
            if missing := -size % factor:
                edge = x.narrow(axis, size - 1, 1)
                x = torch.cat([x, *[edge] * missing], axis)
        return x


def latent_shape(config: ModelConfig, input_shape: Sequence[int]) -> tuple[int, ...]:
    """Codes along each dimension for a sample: the last one may stand for less than the others.

    Args:
        config: The model's settings.
        input_shape: Shape ``(C, *S)`` of a sample.

    Raises:
        ShapeError: If ``input_shape`` does not fit ``config.n_dims``.

    Example:
        >>> latent_shape(ModelConfig(downsample=(2, 4, 4)), (3, 16, 64, 66))
        (8, 16, 17)
    """
    _check_shapes(config.n_dims, config.downsample, input_shape)
    return tuple(-(-size // factor) for size, factor in zip(input_shape[1:], config.downsample, strict=True))


def build_model(
    config: ModelConfig, input_shape: Sequence[int], data_mean: Statistic = 0.0, data_variance: Statistic = 1.0
) -> NDimVQVAE:
    """The model that a configuration describes.

    Args:
        config: The model's settings.
        input_shape: Shape ``(C, *S)`` of a sample.
        data_mean: Mean of the training data, on the scale of what the model is given; a number, or one a channel.
        data_variance: Its variance, above 0.

    Raises:
        ShapeError: If ``input_shape`` does not fit ``config.n_dims``.
    """
    fields = {name: getattr(config, name) for name in ModelConfig.model_fields}
    return NDimVQVAE(input_shape=input_shape, data_mean=data_mean, data_variance=data_variance, **fields)


def build_model_of_shapes(config: ModelConfig, input_shape: Sequence[int]) -> NDimVQVAE:
    """The model on the meta device: tensors that have shapes and no numbers, so none are drawn.

    Args:
        config: The model's settings.
        input_shape: Shape ``(C, *S)`` of a sample.

    Raises:
        ShapeError: If ``input_shape`` does not fit ``config.n_dims``.
    """
    with torch.device("meta"), _Undrawn():
        return build_model(config, input_shape)


class _Undrawn(TorchFunctionMode):
    """Initial weights stay as they are: on the meta device drawing them takes half of the time of building a model."""

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in _INITIALISERS:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


_INITIALISERS = {nn.init.normal_, nn.init.uniform_, nn.init.kaiming_uniform_, nn.init.ones_, nn.init.zeros_}


def _crop(x: torch.Tensor, sizes: Sequence[int]) -> torch.Tensor:
    # The gradient of a slice costs a copy, even of a slice that keeps all.
    for axis, size in enumerate(sizes, start=2):
        x = x if x.shape[axis] == size else x.narrow(axis, 0, size)
    return x


def _check_shapes(n_dims: int, downsample: Sequence[int], input_shape: Sequence[int]) -> None:
    if n_dims not in (1, 2, 3, 4):
        raise ShapeError(f"n_dims must be 1, 2, 3 or 4, but got {n_dims}")
    if len(downsample) != n_dims:
        raise ShapeError(f"downsample needs a factor for each of n_dims={n_dims} dimensions, but got {downsample}")
    if len(input_shape) != n_dims + 1:
        raise ShapeError(f"input_shape needs channels and n_dims={n_dims} sizes (C, *S), but got {input_shape}")
    if min(*downsample, *input_shape) < 1:
        raise ShapeError(f"sizes and factors must be positive integers, but got {downsample=} and {input_shape=}")
