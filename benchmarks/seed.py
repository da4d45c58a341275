"""The model this project started from, as published: the package nd-vq-vae 1.0.3.

Where it is not installed, ``NDimVQVAE`` and ``Codebook`` are ``None`` and the benchmarks go without it.
"""

import warnings

from ndvq_tune.data.torchvision.package import declare_missing_operators

__all__ = ["CODEBOOK_BETA", "LEARNING_RATE", "MISSING", "Codebook", "NDimVQVAE"]

MISSING = "The seed's columns are left out: its package is not installed. To have them: pip install -e '.\\[bench]'"
LEARNING_RATE = 1e-4  # what its configure_optimizers has
CODEBOOK_BETA = 0.10  # the default of its command line

try:
    declare_missing_operators()  # it imports torchvision by way of pytorch_lightning, and calls nothing of it
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of other packages, about each other
        from nd_vq_vae import NDimVQVAE
        from nd_vq_vae.vqvae_ndim import Codebook
except ImportError:
    NDimVQVAE = Codebook = None
