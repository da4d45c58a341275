import numpy as np
import pytest
import torch

from ndvq_tune.model.quantizers import nearest as search
from ndvq_tune.model.quantizers.nearest import nearest
from tests.model.quantizers.quantizer_examples import nearest_in_float64


@pytest.mark.parametrize("n_codes", [1, 40, 64, 256])
@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_agrees_with_float64(offset, n_codes):
    tokens, codes = torch.randn(300, 5) + offset, torch.randn(n_codes, 5) + offset
    assert np.array_equal(nearest(tokens, codes).numpy(), nearest_in_float64(tokens, codes))


@pytest.mark.parametrize("codes_at_once", [64, 50])
def test_pieces_change_nothing(monkeypatch, codes_at_once):
    tokens, codes = torch.randn(101, 3), torch.randn(300, 3)
    monkeypatch.setattr(search, "_SCORES_AT_ONCE", {"cpu": 1000})
    monkeypatch.setattr(search, "_CODES_AT_ONCE", codes_at_once)
    assert np.array_equal(nearest(tokens, codes).numpy(), nearest_in_float64(tokens, codes))


def test_the_first_of_equal_codes_is_taken(monkeypatch):
    monkeypatch.setattr(search, "_CODES_AT_ONCE", 128)
    codes = torch.randn(64, 3).repeat(8, 1)
    assert nearest(torch.randn(500, 3), codes).max() < 64


def test_scores_at_once_are_bounded(monkeypatch):
    monkeypatch.setattr(search, "_SCORES_AT_ONCE", {"cpu": 64})
    monkeypatch.setattr(search, "_CODES_AT_ONCE", 16)
    sizes, addmm = [], torch.addmm

    def recording(bias, chunk, codes):
        scores = addmm(bias, chunk, codes)
        sizes.append(scores.numel())
        return scores

    monkeypatch.setattr(torch, "addmm", recording)
    nearest(torch.randn(50, 3), torch.randn(40, 3))
    assert max(sizes) <= 64


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_broken_latents_still_have_a_code(value):
    """So that the loss becomes nan, which the search knows what to do with, rather than an index error."""
    tokens = torch.full((3, 4), value)
    assert nearest(tokens, torch.randn(130, 4)).max() < 130
    assert nearest(tokens, torch.randn(128, 4)).max() < 128
