"""Quantizers behind one contract, chosen by ``model.quantizer.type``.

A quantizer is a ``base.Quantizer``. In training ``forward`` is called once a batch, with the latents of the encoder,
and may learn from them; in evaluation it moves nothing. ``encode`` and ``lookup`` are what a tokenizer calls. Its
settings are those of ``config.model.QuantizerConfig``; ``BUILDERS`` is where it is registered.
"""

from collections.abc import Callable
from typing import Any

from ndvq_tune.config import ModelConfig
from ndvq_tune.model.quantizers.base import Quantizer, VQOutput
from ndvq_tune.model.quantizers.ema import EMACodebook
from ndvq_tune.model.quantizers.fsq import FSQ, levels_for
from ndvq_tune.model.quantizers.lfq import LFQ
from ndvq_tune.model.quantizers.residual import ResidualVQ
from ndvq_tune.model.quantizers.simvq import SimVQ

__all__ = ["BUILDERS", "FSQ", "LFQ", "EMACodebook", "Quantizer", "ResidualVQ", "SimVQ", "VQOutput", "build_quantizer"]


def build_quantizer(config: ModelConfig) -> Quantizer:
    """The quantizer that a configuration describes.

    Example:
        >>> import torch
        >>> config = ModelConfig.model_validate({"embedding_dim": 8, "n_codes": 64, "quantizer": {"type": "residual"}})
        >>> quantizer = build_quantizer(config).eval()
        >>> output = quantizer(torch.randn(2, 8, 4, 8, 8))
        >>> output["embeddings"].shape, output["encodings"].shape, output["counts"].shape
        (torch.Size([2, 8, 4, 8, 8]), torch.Size([2, 4, 8, 8, 4]), torch.Size([4, 64]))
        >>> torch.equal(quantizer.lookup(output["encodings"]), output["embeddings"])
        True
    """
    return BUILDERS[config.quantizer.type](config)


def _moving_average_settings(config: ModelConfig) -> dict[str, Any]:
    return {
        "n_codes": config.n_codes,
        "embedding_dim": config.embedding_dim,
        "codebook_beta": config.codebook_beta,
        "ema_decay": config.ema_decay,
        "codebook_init": config.quantizer.codebook_init,
        "restart_threshold": config.quantizer.restart_threshold,
        "rotation_trick": config.quantizer.rotation_trick,
    }


BUILDERS: dict[str, Callable[[ModelConfig], Quantizer]] = {
    "ema": lambda config: EMACodebook(**_moving_average_settings(config), cosine=config.quantizer.cosine),
    "residual": lambda config: ResidualVQ(config.quantizer.n_quantizers, **_moving_average_settings(config)),
    "simvq": lambda config: SimVQ(
        config.n_codes, config.embedding_dim, config.codebook_beta, config.quantizer.rotation_trick
    ),
    "fsq": lambda config: FSQ(config.quantizer.levels or levels_for(config.n_codes)),
    "lfq": lambda config: LFQ(config.n_codes, config.codebook_beta, config.quantizer.entropy_weight),
}
"""What makes the quantizer of each type from a configuration."""
