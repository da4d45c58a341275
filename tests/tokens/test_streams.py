import numpy as np
import pytest
import torch

from ndvq_tune.config import ModelConfig
from ndvq_tune.config.card import Cut, DataCard
from ndvq_tune.model import build_model
from ndvq_tune.model.tiles import tiling
from ndvq_tune.tokens.streams import Stream

SHAPES = {1: (2, 64), 2: (3, 16, 16), 3: (3, 4, 16, 16)}
FACTORS = {1: (8,), 2: (4, 4), 3: (2, 4, 4)}


def card_of(shape, dtype="uint8", low=0.0, high=255.0) -> DataCard:
    cut = Cut(length=None, stride=1, step=1, crop=None)
    return DataCard(
        type="video",
        source="folder",
        fingerprint="0",
        test_fingerprint="0",
        files=1,
        train_samples=1,
        test_samples=1,
        dtype=dtype,
        low=low,
        high=high,
        minimum=low,
        maximum=high,
        channels=shape[0],
        channel_names=(),
        clip_length=None,
        resolution=None,
        sample_rate=None,
        frame_rate=None,
        file_rates={},
        train_cut=cut,
        test_cut=cut,
    )


def stream_of(n_dims=3, positions=1, card=None, **changes):
    torch.manual_seed(0)
    settings = {"downsample": FACTORS[n_dims], "n_hiddens": 8, "embedding_dim": 4, "n_codes": 32, "n_res_layers": 1}
    model = build_model(ModelConfig(n_dims=n_dims, **settings | changes), SHAPES[n_dims], 0.5, 0.08).eval()
    card = card or card_of(SHAPES[n_dims])
    model.data = card
    return model, Stream(model, card, tiling(model, positions))


def blocks_of(rows, *lengths):
    ends = np.cumsum(lengths)
    return [part for part in np.split(rows, ends) if len(part)]


def bytes_of(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("lengths", [(), (1,) * 60, (7, 30, 2), (61,)])
@pytest.mark.parametrize("count", [61, 64, 3, 1])
def test_codes_do_not_depend_on_how_rows_come(lengths, count):
    model, stream = stream_of()
    rows = bytes_of(count, 20, 18, 3)
    found = np.concatenate(list(stream.encode(iter(blocks_of(rows, *lengths)))))
    whole = model.encode(torch.from_numpy(rows).movedim(-1, 0)[None])[0]
    assert np.array_equal(found, whole)


@pytest.mark.parametrize(("n_dims", "size"), [(1, (1001,)), (2, (50, 37)), (3, (33, 20, 20))])
def test_what_comes_back_is_what_the_whole_decodes_to(n_dims, size):
    model, stream = stream_of(n_dims)
    rows = bytes_of(*size, SHAPES[n_dims][0])
    codes = np.concatenate(list(stream.encode([rows])))
    back = np.concatenate(list(stream.decode(codes, size)))
    whole = model.decode(torch.from_numpy(codes)[None], size)[0].movedim(0, -1)
    assert back.dtype == np.uint8
    assert back.shape == rows.shape
    assert np.abs(back - (whole * 255).round().clip(0, 255).detach().numpy()).max() <= 1  # of 255: where it is rounded


def test_of_a_long_recording_only_a_part_is_held():
    _, stream = stream_of(1)
    sizes = []
    given = stream._encoded
    stream._encoded = lambda rows: sizes.append(len(rows)) or given(rows)
    blocks = (bytes_of(100, 2) for _ in range(100))
    assert sum(len(codes) for codes in stream.encode(blocks)) == 1250
    assert max(sizes) <= 8 * (8 + 2 * stream._cut.encoding[0])


def test_values_with_a_unit_go_in_and_come_out_in_it():
    card = card_of(SHAPES[1], "float32", -2.0, 2.0)
    model, stream = stream_of(1, card=card)
    rows = np.random.default_rng(0).uniform(-2, 2, (160, 2)).astype(np.float32)
    codes = np.concatenate(list(stream.encode([rows])))
    assert np.array_equal(codes, model.encode((torch.from_numpy(rows).T[None] + 2) / 4)[0])
    back = np.concatenate(list(stream.decode(codes, (160,))))
    assert back.dtype == np.float32
    whole = model.decode(torch.from_numpy(codes)[None], (160,))[0].T.detach() * 4 - 2
    np.testing.assert_allclose(back, whole, atol=1e-4)


@pytest.mark.parametrize("changes", [{"norm": "group"}, {"attention": {"type": "full"}}])
def test_what_sees_everything_sees_pieces_as_long_as_its_samples(changes):
    model, stream = stream_of(**changes)
    seen = set()
    model.encoder.register_forward_pre_hook(lambda _, given: seen.add(tuple(given[0].shape[2:])))
    found = list(stream.encode(blocks_of(bytes_of(30, 32, 32, 3), 11, 8)))
    assert sum(map(len, found)) == 15
    assert seen == {(4, 16, 16)}


def test_samples_that_have_nothing_to_do_with_each_other_are_encoded_one_by_one():
    model, stream = stream_of(2)
    samples = bytes_of(5, 16, 16, 3)
    codes = np.concatenate(list(stream.encode_samples([samples[:3], samples[3:]])))
    assert np.array_equal(codes, model.encode(torch.from_numpy(samples).movedim(-1, 1)))
    back = np.concatenate(list(stream.decode_samples(codes, (16, 16))))
    assert back.shape == samples.shape
