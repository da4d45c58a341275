"""The model this project started from, as published: the package nd-vq-vae 1.0.3.

Where it is not installed, ``NDimVQVAE`` and ``Codebook`` are ``None`` and the benchmarks go without it.
"""

import warnings

import torch

MISSING = "The seed's columns are left out: its package is not installed. To have them: pip install -e '.\\[bench]'"
LEARNING_RATE = 1e-4  # what its configure_optimizers has
CODEBOOK_BETA = 0.10  # the default of its command line


def _declare_torchvision_ops() -> torch.library.Library | None:
    """Declare the two operators without which torchvision does not import; nothing where its own ones load.

    The published package imports torchvision by way of pytorch_lightning and calls nothing of it. PyPI's torchvision
    has its operators compiled for CUDA, so beside a CPU build of torch they do not load.

    Returns:
        What must be kept: with it, the declarations go.
    """
    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        return library
    return None


try:
    _LIBRARY = _declare_torchvision_ops()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of other packages, about each other
        from nd_vq_vae import NDimVQVAE
        from nd_vq_vae.vqvae_ndim import Codebook
except ImportError:
    NDimVQVAE = Codebook = None
