"""Gradients past a choice that has none."""

import torch
from torch.nn import functional as F  # noqa: N812


def straight_through(path: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
    """The exact value of codes, as decoding from encodings finds it, with the gradient of ``path`` (same shape).

    Example:
        >>> latents = torch.tensor([0.4], requires_grad=True)
        >>> quantised = straight_through(latents, torch.tensor([0.5]))
        >>> quantised.item(), torch.autograd.grad(quantised, latents)[0].item()
        (0.5, 1.0)
    """
    return codes.detach() + (path - path.detach())


def rotated(latents: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
    """Latents ``(B, D, *L)`` rotated and rescaled onto their codes by a map that counts as constant.

    The rotation trick (Fifty et al., 2024, equations 4 and 5; https://arxiv.org/abs/2410.06424): with ``e`` and ``q``
    the directions of latent and code, and ``r`` that of ``e + q``, it is ``|code| / |latent| * (I - 2 r r' + 2 q e')``.
    Its value is the code up to rounding; its gradient keeps the angle that it has with the code.

    Args:
        latents: Latents ``(B, D, *L)``.
        codes: The code chosen for each, in the same shape.

    Example:
        A gradient along the code comes to the latent as one along the latent:

        >>> latent, code = torch.tensor([[2.0, 0.0]], requires_grad=True), torch.tensor([[0.0, 2.0]])
        >>> gradient = torch.autograd.grad(rotated(latent, code), latent, torch.tensor([[0.0, 1.0]]))[0]
        >>> torch.allclose(gradient, torch.tensor([[1.0, 0.0]]), atol=1e-6)
        True
    """
    with torch.no_grad():
        # A latent of no length has no direction to turn from; its gradient stays finite.
        scale = _length(codes) / _length(latents).clamp_min(1e-6)
        e, q = F.normalize(latents, dim=1), F.normalize(codes, dim=1)
        r = F.normalize(e + q, dim=1)
    along_r, along_e = ((latents * direction).sum(1, keepdim=True) for direction in (r, e))
    return scale * (latents - 2 * along_r * r + 2 * along_e * q)


def _length(vectors: torch.Tensor) -> torch.Tensor:
    length: torch.Tensor = torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
    return length
