"""The rotation trick against rotation matrices written out in float64."""

import numpy as np
import pytest
import torch

from ndvq_tune.model.quantizers.gradients import rotated, straight_through


def rotation(latent: np.ndarray, code: np.ndarray) -> np.ndarray:
    """The matrix, scale included, that takes a latent to its code in the plane of both (Rodrigues' formula)."""
    e, q = latent / np.linalg.norm(latent), code / np.linalg.norm(code)
    plane = np.outer(q, e) - np.outer(e, q)
    turn = np.eye(len(e)) + plane + plane @ plane / (1 + e @ q)
    return np.linalg.norm(code) / np.linalg.norm(latent) * turn


def test_value_and_gradient_agree_with_rotation_matrices():
    latents, codes, gradients = (torch.randn(2, 5, 3, 4, dtype=torch.float64) for _ in range(3))
    latents.requires_grad_()
    output = rotated(latents, codes)
    output.backward(gradients)
    torch.testing.assert_close(output, codes)
    for b, i, j in np.ndindex(2, 3, 4):
        matrix = rotation(latents[b, :, i, j].detach().numpy(), codes[b, :, i, j].numpy())
        np.testing.assert_allclose(latents.grad[b, :, i, j], matrix.T @ gradients[b, :, i, j].numpy())


def test_a_latent_on_its_code_gets_the_gradient_as_it_is():
    latents, gradients = torch.randn(1, 6, 4, requires_grad=True), torch.randn(1, 6, 4)
    rotated(latents, latents.detach()).backward(gradients)
    torch.testing.assert_close(latents.grad, gradients)


@pytest.mark.parametrize("scale", [-1.0, -3.0, 0.0])
def test_opposite_and_empty_codes_are_finite(scale):
    latents = torch.randn(1, 6, 4, requires_grad=True)
    rotated(latents, scale * latents.detach()).sum().backward()
    # Which way round is anyone's guess; its size is not.
    assert (latents.grad.norm(dim=1) <= 3.01 * abs(scale) * 6**0.5).all()


def test_empty_latents_are_finite():
    latents = torch.zeros(1, 6, 4, requires_grad=True)
    rotated(latents, torch.randn(1, 6, 4)).sum().backward()
    assert latents.grad.isfinite().all()


def test_straight_through_has_the_exact_value_of_codes_and_the_gradient_of_the_path():
    path, codes = (1000 * torch.randn(2, 3, 50)).requires_grad_(), torch.randn(2, 3, 50, requires_grad=True)
    output = straight_through(2 * path, codes)
    assert torch.equal(output, codes)
    output.sum().backward()
    assert torch.equal(path.grad, torch.full_like(path, 2))
    assert codes.grad is None
