"""Quantizers behind one contract, chosen by ``model.quantizer.type``."""

from ndvq_tune.config import ModelConfig
from ndvq_tune.model.quantizers.base import Quantizer, VQOutput
from ndvq_tune.model.quantizers.ema import EMACodebook

__all__ = ["EMACodebook", "Quantizer", "VQOutput", "build_quantizer"]


def build_quantizer(config: ModelConfig) -> Quantizer:
    """The quantizer that a configuration describes."""
    settings = config.quantizer
    return EMACodebook(
        config.n_codes,
        config.embedding_dim,
        config.codebook_beta,
        config.ema_decay,
        settings.codebook_init,
        settings.restart_threshold,
    )
