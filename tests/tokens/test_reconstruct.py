import json
import wave
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image

from ndvq_tune.errors import ResultsError
from ndvq_tune.tokens.reconstruct import reconstruct
from ndvq_tune.tokens.store import INDEX, shards_of
from ndvq_tune.tokens.tokenize import tokenize
from ndvq_tune.training.checkpoint import load_model


def decoded(model: Path, tokens: Path, name: str) -> np.ndarray:
    """What a model makes of all codes of a file at once, ``(*S, C)`` in [0, 1]."""
    (shard,) = shards_of(tokens)
    recording = next(found for found in shard.recordings if found.name == name)
    codes = torch.from_numpy(shard.codes(recording).astype(np.int64))
    codes = codes if len(recording.shape) > len(recording.size) else codes[None]
    x = load_model(model).decode(codes, recording.size).detach().movedim(1, -1).numpy()
    return x if len(x) > 1 else x[0]


@pytest.fixture
def made(trained, files, tmp_path):
    """Files of a type by way of their codes."""

    def make(type_: str) -> tuple[Path, Path, Path]:
        model, tokens, output = trained(type_), tmp_path / "tokens", tmp_path / "out"
        tokenize(model, str(files(type_)), tokens)
        assert reconstruct(model, tokens, output) == 3
        return model, tokens, output

    return make


def test_videos_play_as_fast_as_they_did_and_look_as_decoded(made):
    model, tokens, output = made("video")
    with av.open(str(output / "b" / "c.mp4")) as container:
        frames = list(container.decode(video=0))
    assert len(frames) == 24
    assert [frame.time for frame in frames] == pytest.approx([number / 20 for number in range(24)])
    expected = decoded(model, tokens, "b/c.mp4").clip(0, 1) * 255
    pictures = np.stack([frame.to_ndarray(format="rgb24") for frame in frames])
    assert np.abs(pictures - expected).mean() < 6  # of 255: H.264, with colour at half the size


def test_images_are_what_was_decoded(made):
    model, tokens, output = made("image")
    with Image.open(output / "b" / "d.png") as image:
        pixels = np.asarray(image)
    assert np.abs(pixels - decoded(model, tokens, "b/d.png").clip(0, 1) * 255).max() <= 0.51


def test_sounds_are_what_was_decoded_at_their_rate(made):
    model, tokens, output = made("signal")
    with wave.open(str(output / "a.wav")) as file:
        steps = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        assert (file.getframerate(), file.getnchannels(), len(steps)) == (8000, 1, 1001)
    card = load_model(model).data
    expected = card.from_unit(decoded(model, tokens, "a.wav"))[:, 0]
    assert np.abs(steps / 32767 - expected.clip(-1, 1)).max() < 1 / 32767


def test_arrays_come_back_in_one_file_with_channels_last(made):
    model, tokens, output = made("array")
    found = np.load(output / "a.npy")
    assert found.shape == (6, 16, 16, 2)
    expected = load_model(model).data.from_unit(decoded(model, tokens, "a.npy"))
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_files_that_are_there_stay_and_the_rest_is_made(made, tmp_path):
    model, tokens, output = made("image")
    (output / "a.png").write_bytes(b"mine")
    (output / "b" / "c.png").unlink()
    assert reconstruct(model, tokens, output) == 1
    assert (output / "a.png").read_bytes() == b"mine"
    assert (output / "b" / "c.png").exists()


def test_tokens_of_another_model_are_refused(made, trained, tmp_path):
    _, tokens, _ = made("image")
    with pytest.raises(ResultsError, match="was encoded by another model"):
        reconstruct(trained("image", seed=1), tokens, tmp_path / "elsewhere")


@pytest.mark.parametrize("name", ["../outside.png", "/tmp/outside.png", "b/../../outside.png"])
def test_names_that_lead_out_of_the_folder_are_refused(name, made, tmp_path):
    model, tokens, _ = made("image")
    (shard,) = shards_of(tokens)
    index = json.loads((shard.folder / INDEX).read_text())
    index["recordings"][0]["name"] = name
    (shard.folder / INDEX).write_text(json.dumps(index))
    with pytest.raises(ResultsError, match="leads out of"):
        reconstruct(model, tokens, tmp_path / "new")
    assert not (tmp_path / "outside.png").exists()


def test_a_folder_without_tokens_is_an_error(trained, tmp_path):
    with pytest.raises(ResultsError, match="holds no tokens"):
        reconstruct(trained("image"), tmp_path / "nothing", tmp_path / "out")
