"""The N-dimensional VQ-VAE, in plain torch."""

from ndvq_tune.model.quantizers import EMACodebook
from ndvq_tune.model.vqvae import NDimVQVAE, build_model, build_model_of_shapes, latent_shape

__all__ = ["EMACodebook", "NDimVQVAE", "build_model", "build_model_of_shapes", "latent_shape"]
