import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from ndvq_tune import TokenDataset
from ndvq_tune.errors import ResultsError
from ndvq_tune.tokens import tokenize as module
from ndvq_tune.tokens.store import shards_of
from ndvq_tune.tokens.tokenize import tokenize


@pytest.fixture
def tokens(trained, files, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SHARD_FILES", 2)
    tokenize(trained("signal"), str(files("signal")), tmp_path / "tokens")
    return tmp_path / "tokens"


def codes_of(tokens, name):
    for shard in shards_of(tokens):
        for found in shard.recordings:
            if found.name == name:
                return shard.codes(found)
    raise KeyError(name)


def test_an_item_is_a_recording(tokens):
    dataset = TokenDataset(tokens)
    assert dataset.names == ["a.wav", "b/c.wav", "b/d.wav"]
    assert dataset.n_codes == 300
    for item, name in zip(dataset, dataset.names, strict=True):
        assert item.dtype == torch.int64
        assert np.array_equal(item, codes_of(tokens, name))
    assert torch.equal(dataset[-1], dataset[2])


def test_an_item_is_a_piece_where_a_length_is_given_and_remainders_are_left_out(tokens):
    dataset = TokenDataset(tokens, length=50)
    assert [dataset.names.count(name) for name in ("a.wav", "b/c.wav", "b/d.wav")] == [2, 2, 2]  # of 126 codes each
    assert np.array_equal(dataset[3], codes_of(tokens, "b/c.wav")[50:100])
    batch = next(iter(DataLoader(dataset, batch_size=4)))
    assert batch.shape == (4, 50)
    with pytest.raises(IndexError, match="there are 6 items"):
        dataset[6]


def test_a_folder_without_tokens_is_an_error(tmp_path):
    with pytest.raises(ResultsError, match="holds no tokens"):
        TokenDataset(tmp_path)
