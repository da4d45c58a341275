"""The model's configuration."""

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from ndvq_tune.config.base import Frozen, Positive

DOWNSAMPLE = {1: (4,), 2: (4, 4), 3: (2, 4, 4), 4: (2, 2, 4, 4)}
"""Downsampling of data of so many dimensions, if nothing else is said."""


class AttentionConfig(Frozen):
    """Attention over latent positions, after the convolutions of a residual block."""

    type: Literal["none", "axial", "full"] = Field("none", description="which positions see each other")
    n_head: Positive = Field(2, description="attention heads")
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout of attention weights")
    positions: Literal["none", "rotary"] = Field("none", description="how attention tells positions apart")
    levels: Literal["all", "coarsest"] = Field(
        "coarsest", description="residual blocks with attention, where res_levels is all"
    )


class QuantizerConfig(Frozen):
    """How latents become codes."""

    type: Literal["ema", "residual", "simvq", "fsq", "lfq"] = Field(
        "ema",
        description="how latents become codes; fsq and lfq have no codebook to learn, and set embedding_dim themselves",
    )
    codebook_init: Literal["kmeans", "sample"] = Field("kmeans", description="initial codes from the first batch")
    restart_threshold: float = Field(
        0.03, ge=0, lt=1, description="a code used less than this share of an even use is restarted; 0 for never"
    )
    cosine: bool = Field(False, description="codes and latents are compared on the unit sphere (ema)")
    rotation_trick: bool = Field(False, description="gradients rotate with the code (ema, residual, simvq)")
    n_quantizers: int = Field(4, ge=2, description="codebooks, each for what those before it left (residual)")
    levels: tuple[Annotated[int, Field(ge=3)], ...] | None = Field(
        None, description="levels of each dimension (fsq); those that make the most of n_codes if not given"
    )
    entropy_weight: float = Field(0.1, ge=0, description="weight of the entropy loss (lfq)")


class ModelConfig(Frozen):
    """The VQ-VAE, in the field's own names."""

    n_dims: Literal[1, 2, 3, 4] = Field(3, description="dimensions of the data")
    n_codes: int = Field(512, ge=2, description="codes in a codebook; fsq and lfq have as many of these as they can")
    embedding_dim: Positive = Field(16, description="dimensions of a code")
    downsample: tuple[Positive, ...] = Field(
        default_factory=lambda values: DOWNSAMPLE[values["n_dims"]],
        description="downsampling factor of each dimension; if not given, 4 for the last two and 2 for those before",
    )
    stem: Literal["conv", "patch"] = Field(
        "conv",
        description="what downsamples: strided convolutions one after another, or a single one over patches",
    )
    legacy_layers: bool = Field(
        False,
        description="layers of release 0.1: a convolution before the encoder's blocks, one activation behind all",
    )
    n_hiddens: int = Field(32, ge=2, description="channels of the encoder and decoder")
    decoder_multiplier: float = Field(1.0, gt=0, description="channels of the decoder over n_hiddens")
    n_res_layers: int = Field(2, ge=0, description="residual blocks on each side (at each level, if res_levels is all)")
    res_levels: Literal["all", "coarsest"] = Field("coarsest", description="where the residual blocks are")
    norm: Literal["group", "rms", "batch"] = Field("rms", description="normalisation in and behind residual blocks")
    activation: Literal["silu", "relu", "snake"] = Field("silu", description="snake continues what is periodic")
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout in residual blocks, before their last convolution")
    codebook_beta: float = Field(0.25, ge=0, description="weight of the commitment loss")
    ema_decay: float = Field(0.95, gt=0, lt=1, description="decay of the codebook's moving averages")
    quantizer: QuantizerConfig = QuantizerConfig()
    attention: AttentionConfig = AttentionConfig()

    @field_validator("downsample")
    @classmethod
    def _one_factor_a_dimension(cls, value: tuple[int, ...], info: ValidationInfo) -> tuple[int, ...]:
        n_dims = info.data.get("n_dims")
        if n_dims is not None and len(value) != n_dims:
            raise ValueError(f"needs one factor for each of n_dims={n_dims} dimensions")
        return value
