import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ndvq_tune.data.cache.source import Item
from ndvq_tune.data.folder.source import KINDS
from ndvq_tune.errors import CheckpointError, DataError, ResultsError
from ndvq_tune.tokens import tokenize as module
from ndvq_tune.tokens.store import CODES, manifest_of, shards_of, write_shard
from ndvq_tune.tokens.tokenize import as_trained, tokenize
from ndvq_tune.training.checkpoint import load_config, load_model
from tests.tokens.conftest import SUFFIX, write_file, write_sound

TYPES = ("video", "image", "signal", "array")


def recordings(tokens: Path) -> dict:
    """Of each file its codes and its entry."""
    return {found.name: (shard.codes(found), found) for shard in shards_of(tokens) for found in shard.recordings}


@pytest.mark.parametrize("type_", TYPES)
def test_each_file_becomes_the_codes_of_all_of_it(type_, trained, files, tmp_path):
    model, folder = trained(type_), files(type_)
    tokenize(model, str(folder), tmp_path / "tokens")
    found, manifest, loaded = recordings(tmp_path / "tokens"), manifest_of(tmp_path / "tokens"), load_model(model)
    assert sorted(found) == [name + SUFFIX[type_] for name in ("a", "b/c", "b/d")]
    assert manifest.dtype == "uint16"
    config = as_trained(load_config(model).data, loaded.data, str(folder), None)
    for name, (codes, entry) in found.items():
        rows = np.concatenate(list(KINDS[type_].read(folder / name, config)))
        rows = rows if type_ == "array" else rows[0][None] if type_ == "image" else rows[None]
        x = torch.from_numpy(rows).movedim(-1, 1)
        x = loaded.data.to_unit(x.double()).float() if x.is_floating_point() else x
        expected = loaded.encode(x)
        assert codes.dtype == np.uint16
        assert np.array_equal(codes, expected if type_ == "array" else expected[0])
        assert entry.size == tuple(x.shape[2:])
        assert entry.rate == {"video": 20, "signal": 8000}.get(type_)


def test_whole_frames_are_encoded_where_that_is_asked_for(trained, files, tmp_path):
    model, folder = trained("image"), files("image")
    tokenize(model, str(folder), tmp_path / "whole", shorter_side=41)
    codes, entry = recordings(tmp_path / "whole")["b/c.png"]
    with Image.open(folder / "b/c.png") as image:
        pixels = np.asarray(image)
    assert entry.size == pixels.shape[:2] == (41, 46)
    x = torch.from_numpy(pixels.copy()).movedim(-1, 0)[None]
    assert np.array_equal(codes, load_model(model).encode(x)[0])


def test_the_same_command_again_encodes_only_what_is_new(trained, files, tmp_path, monkeypatch):
    model, folder, tokens = trained("signal"), files("signal"), tmp_path / "tokens"
    tokenize(model, str(folder), tokens)
    before = {name: codes.copy() for name, (codes, _) in recordings(tokens).items()}
    write_file(folder, "new.wav", 500, 9)
    encoded = []
    written = module.write
    monkeypatch.setattr(module, "write", lambda job: encoded.extend(item.name for item in job.items) or written(job))
    tokenize(model, str(folder), tokens)
    assert encoded == ["new.wav"]
    after = recordings(tokens)
    assert sorted(after) == sorted([*before, "new.wav"])
    assert all(np.array_equal(after[name][0], codes) for name, codes in before.items())


def test_what_was_interrupted_goes_on_and_has_each_file_once(trained, files, tmp_path, monkeypatch):
    model, folder, tokens = trained("signal"), files("signal"), tmp_path / "tokens"
    monkeypatch.setattr(module, "SHARD_FILES", 1)
    given = write_shard
    calls = []

    def dies(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return given(*arguments)

    monkeypatch.setattr(module, "write_shard", dies)
    with pytest.raises(KeyboardInterrupt):
        tokenize(model, str(folder), tokens)
    assert len(recordings(tokens)) == 1
    told = []
    tokenize(model, str(folder), tokens, progress=lambda *call: told.append(call[1:]))
    assert told == [(2, 3), (3, 3)]
    names = [found.name for shard in shards_of(tokens) for found in shard.recordings]
    assert sorted(names) == ["a.wav", "b/c.wav", "b/d.wav"]
    assert [shard.folder.name for shard in shards_of(tokens)] == ["shard-00000", "shard-00001", "shard-00002"]


def test_a_file_that_cannot_be_used_is_named_and_leaves_nothing(trained, files, tmp_path):
    model, folder, tokens = trained("image"), files("image"), tmp_path / "tokens"
    (folder / "aa.png").write_bytes((folder / "a.png").read_bytes()[:100])
    tokenize(model, str(folder), tokens)
    (shard,) = shards_of(tokens)
    assert list(shard.skipped) == ["aa.png"]
    assert "aa.png: not a readable image" in shard.skipped["aa.png"]
    assert len(np.load(shard.folder / CODES)) == sum(codes.size for codes, _ in recordings(tokens).values())


def test_what_breaks_off_in_the_middle_leaves_nothing(trained, files, tmp_path, monkeypatch):
    model, folder, tokens = trained("video"), files("video"), tmp_path / "tokens"
    given = module.File._measured

    def breaks(self, blocks, **options):
        yield from given(self, blocks, **options)
        if self.name == "b/c.mp4":
            raise DataError("b/c.mp4: the video is damaged or cut off")

    monkeypatch.setattr(module.File, "_measured", breaks)
    tokenize(model, str(folder), tokens)
    (shard,) = shards_of(tokens)
    assert list(shard.skipped) == ["b/c.mp4"]
    lengths = [codes.size for codes, _ in recordings(tokens).values()]
    assert [found.start for found in shard.recordings] == [0, lengths[0]]
    assert len(np.load(shard.folder / CODES)) == sum(lengths)


def test_values_that_cannot_be_meant_are_a_reason_to_leave_a_file_out(trained, files, tmp_path):
    model, folder = trained("array"), files("array")
    np.save(folder / "far.npy", np.full((2, 2, 16, 16), 1e6, np.float32))
    tokenize(model, str(folder), tmp_path / "tokens")
    (shard,) = shards_of(tmp_path / "tokens")
    assert "values from" in shard.skipped["far.npy"]


@pytest.mark.parametrize(
    ("changes", "message"), [({"seed": 1}, "of another model"), ({"shorter_side": 32}, "of another size")]
)
def test_a_folder_has_tokens_of_one_model_and_one_size(changes, message, trained, files, tmp_path):
    folder = files("image")
    tokenize(trained("image"), str(folder), tmp_path / "tokens")
    model = trained("image", seed=changes.pop("seed", 0))
    with pytest.raises(ResultsError, match=message):
        tokenize(model, str(folder), tmp_path / "tokens", **changes)


def test_a_folder_of_other_things_stays_as_it_is(trained, files, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "note.txt").write_text("x")
    with pytest.raises(ResultsError, match="is not empty and holds no tokens"):
        tokenize(trained("image"), str(files("image")), tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["note.txt"]


def test_sounds_are_brought_to_the_rate_of_the_training_data(trained, files, tmp_path):
    model, folder = trained("signal"), files("signal")
    write_sound(folder / "fast.wav", 4000, 1, rate=16000)
    tokenize(model, str(folder), tmp_path / "tokens")
    _, entry = recordings(tmp_path / "tokens")["fast.wav"]
    assert entry.size[0] == pytest.approx(2000, abs=20)
    assert entry.rate == 8000


def test_a_checkpoint_that_does_not_know_its_data_is_refused(trained, files, tmp_path):
    model = trained("image")
    description = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(description | {"data": None}))
    with pytest.raises(CheckpointError, match="does not say what it was trained on"):
        tokenize(model, str(files("image")), tmp_path / "tokens")


def test_a_folder_without_such_files_is_an_error(trained, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="there are no images in it"):
        tokenize(trained("image"), str(tmp_path / "empty"), tmp_path / "tokens")


@pytest.mark.parametrize("stride", [1, 2, 3, 7])
def test_every_so_many_frames_are_counted_over_all_blocks(stride):
    rows = np.arange(40)
    blocks = np.split(rows, [3, 4, 15, 16, 30])
    found = np.concatenate(list(module._every(iter(blocks), stride)))
    assert np.array_equal(found, rows[::stride])


def test_files_share_shards_up_to_a_size():
    items = [Item(str(number), size * 2**20, "") for number, size in enumerate([200, 60, 20, 300, 1, 1])]
    groups = list(module._shared_out(items))
    assert [[item.name for item in group] for group in groups] == [["0"], ["1", "2"], ["3"], ["4", "5"]]
