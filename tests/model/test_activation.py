import numpy as np
import pytest
import torch

from ndvq_tune.model.activation import Snake, build_activation
from ndvq_tune.model.convolution import channels_last

KINDS = ["relu", "silu", "snake"]
SHAPES = {1: (2, 3, 7), 2: (2, 3, 4, 5), 3: (2, 3, 2, 3, 4), 4: (2, 3, 2, 3, 4, 5)}

REFERENCES = {
    "relu": lambda x: np.maximum(x, 0),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "snake": lambda x: x + np.square(np.sin(x)),
}


@pytest.mark.parametrize("n_dims", SHAPES)
@pytest.mark.parametrize("kind", KINDS)
def test_activation_starts_as_its_formula(kind, n_dims):
    x = 3 * torch.randn(SHAPES[n_dims])
    expected = REFERENCES[kind](x.double().numpy())
    np.testing.assert_allclose(build_activation(kind, 3)(x).detach(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("n_dims", SHAPES)
def test_snake_has_an_alpha_for_each_channel(n_dims):
    snake = Snake(3)
    alphas = [0.1, 1.0, 20.0]
    snake.log_alpha.data = torch.tensor(alphas).log()
    x = torch.randn(SHAPES[n_dims])
    y = snake(x).detach()
    for channel, alpha in enumerate(alphas):
        part = x[:, channel].double().numpy()
        # Another form of the same: equation 3 after the double angle.
        expected = part + (1 - np.cos(2 * alpha * part)) / (2 * alpha)
        np.testing.assert_allclose(y[:, channel], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("log_alpha", [-40.0, 40.0])
def test_snake_of_an_extreme_alpha_is_the_identity(log_alpha):
    snake = Snake(3)
    snake.log_alpha.data.fill_(log_alpha)
    x = torch.randn(SHAPES[2], requires_grad=True)
    y = snake(x)
    y.sum().backward()
    torch.testing.assert_close(y, x)
    assert snake.log_alpha.grad.isfinite().all()


@pytest.mark.parametrize("n_dims", [1, 4])
def test_snake_gradients(n_dims):
    snake = Snake(3).double()
    x = torch.randn(2, 3, *(2,) * n_dims, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, _: snake(x), (x, snake.log_alpha))


@pytest.mark.parametrize("n_dims", SHAPES)
@pytest.mark.parametrize("kind", KINDS)
def test_strides_stay(kind, n_dims):
    activation = build_activation(kind, 3)
    x = torch.randn(SHAPES[n_dims])
    assert activation(x).stride() == x.stride()
    assert activation(channels_last(x)).stride() == channels_last(x).stride()


@pytest.mark.parametrize("kind", KINDS)
def test_bfloat16_stays_under_autocast(kind):
    activation = build_activation(kind, 3)
    x = torch.randn(SHAPES[2])
    with torch.autocast("cpu", torch.bfloat16):
        y = activation(x.bfloat16())
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.float(), activation(x), atol=0.05, rtol=0.02)


def test_unknown_activation():
    with pytest.raises(ValueError, match="relu, silu, snake, but got 'tanh'"):
        build_activation("tanh", 3)
