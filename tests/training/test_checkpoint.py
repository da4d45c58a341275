import json
import pickle
import wave
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from ndvq_tune.config import RunConfig
from ndvq_tune.data.dataset import Dataset, open_dataset
from ndvq_tune.errors import CheckpointError, InputError
from ndvq_tune.training.checkpoint import load_model, pack, unpack
from ndvq_tune.training.files import (
    CODE_COUNTS,
    CONFIG,
    MODEL,
    TRAINING,
    code_counts_of,
    epoch_of,
    read,
    sample_losses_of,
    write,
)
from ndvq_tune.training.loop import Training
from tests.training.training_examples import SIZE, config, dataset, floats, timeless

RESTARTING = {"quantizer": {"restart_threshold": 0.5}, "dropout": 0.1}


def trained(epochs: int = 1, **settings) -> Training:
    training = Training(config(RESTARTING, **settings), dataset())
    for _ in range(epochs):
        training.run_epoch()
    return training


def rest_of(training: Training) -> list[dict[str, float]]:
    reports: list[dict[str, float]] = []
    training.fit(reports.append)
    return [timeless(report) for report in reports]


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "muon"])
def test_going_on_from_a_checkpoint_is_as_if_never_stopped(tmp_path, optimizer):
    """With dropout and code restarts, both of which draw random numbers."""
    expected = rest_of(trained(0, optimizer=optimizer, weight_decay=0.01))

    write(tmp_path / "checkpoint", pack(trained(2, optimizer=optimizer, weight_decay=0.01)))
    torch.rand(1000)
    continued = trained(0, optimizer=optimizer, weight_decay=0.01)
    unpack(continued, read(tmp_path / "checkpoint"))
    assert rest_of(continued) == expected[2:]


def test_a_checkpoint_knows_the_loss_of_each_test_sample(tmp_path):
    training = trained()
    write(tmp_path, pack(training))
    losses = sample_losses_of(tmp_path)
    assert losses == pytest.approx(training.sample_losses.tolist(), rel=1e-5)
    continued = trained(0)
    unpack(continued, read(tmp_path))
    write(tmp_path / "again", pack(continued))
    assert sample_losses_of(tmp_path / "again") == losses


def test_a_checkpoint_of_an_earlier_release_knows_of_no_samples(tmp_path):
    files = pack(trained())
    description = {name: value for name, value in json.loads(files[CONFIG]).items() if name != "sample_losses"}
    write(tmp_path, files | {CONFIG: json.dumps(description).encode()})
    assert sample_losses_of(tmp_path) == ()
    unpack(trained(0), read(tmp_path))


@pytest.mark.parametrize("quantizer", [{"type": "ema"}, {"type": "residual", "n_quantizers": 2}])
def test_a_checkpoint_knows_how_often_each_code_was_chosen(tmp_path, quantizer):
    training = Training(config({"quantizer": quantizer}), dataset())
    training.run_epoch()
    write(tmp_path, pack(training))
    encodings = load_model(tmp_path).encode(floats(training.dataset.test)).numpy()
    books = [encodings] if training.model.quantizer.n_codebooks == 1 else np.moveaxis(encodings, -1, 0)
    counts = code_counts_of(tmp_path)
    n_codes = training.model.quantizer.n_codes
    assert counts.tolist() == [np.bincount(book.ravel(), minlength=n_codes).tolist() for book in books]
    continued = Training(training.config, dataset())
    unpack(continued, read(tmp_path))
    write(tmp_path / "again", pack(continued))
    assert (code_counts_of(tmp_path / "again") == counts).all()


def test_a_checkpoint_of_an_earlier_release_does_not_know_how_often_codes_were_chosen(tmp_path):
    files = pack(trained())
    state = {name: tensor for name, tensor in load(files[TRAINING]).items() if name != CODE_COUNTS}
    write(tmp_path, files | {TRAINING: save(state)})
    assert code_counts_of(tmp_path).shape == (0, 0)
    unpack(trained(0), read(tmp_path))
    (tmp_path / TRAINING).write_bytes(files[TRAINING][:-10])
    with pytest.raises(CheckpointError, match="damaged"):
        code_counts_of(tmp_path)


def test_random_numbers_matter_in_that_test():
    """Dropout and restarts are really on there: other random numbers give another run."""
    continued = trained(2)
    files = pack(continued)
    expected = rest_of(continued)
    state = load(files[TRAINING])
    state["random.cpu"] = torch.Generator().manual_seed(99).get_state()
    other = trained(0)
    unpack(other, files | {TRAINING: save(state)})
    assert rest_of(other) != expected


def test_saving_does_not_disturb_the_run():
    expected = rest_of(trained(1))
    saved = trained(1)
    pack(saved)
    assert rest_of(saved) == expected


def test_a_loaded_model_gives_the_same_codes_and_reconstructions_bit_for_bit(tmp_path):
    training = trained(2)
    write(tmp_path, pack(training))
    loaded = load_model(tmp_path)
    model = training.model.eval()
    x = floats(dataset().test)
    with torch.no_grad():
        assert torch.equal(loaded.encode(x), model.encode(x))
        assert torch.equal(loaded(x)[1], model(x)[1])
        assert torch.equal(loaded(x)[0], model(x)[0])  # the loss, so the data's variance came along
    assert not loaded.training


def opened(folder: Path) -> tuple[RunConfig, Dataset]:
    """Sounds of one folder at two rates, between -0.25 and 0.25."""
    for name, rate in (("train/a.wav", 8000), ("train/b.wav", 4000), ("test/c.wav", 8000)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        with wave.open(str(folder / name), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(rate)
            file.writeframes((8192 * np.sin(np.arange(2000) / 5)).astype("<i2").tobytes())
    model = {"n_dims": 1, "downsample": [4], "n_codes": 16, "embedding_dim": 4, "n_hiddens": 8, "n_res_layers": 1}
    data = {"type": "signal", "path": str(folder), "window": 100}
    run = RunConfig.model_validate({"data": data, "model": model, "training": {"batch_size": 8, "max_epochs": 1}})
    return run, open_dataset(run.data)


def test_what_a_model_was_trained_on_travels_with_it(tmp_path, monkeypatch):
    monkeypatch.setenv("NDVQ_TUNE_CACHE", str(tmp_path / "cache"))
    run, data = opened(tmp_path / "sounds")
    training = Training(run, data)
    training.run_epoch()
    write(tmp_path / "model", pack(training))
    loaded = load_model(tmp_path / "model")
    assert loaded.data == training.model.data == data.card
    kept = json.loads((tmp_path / "model" / CONFIG).read_text())["data"]
    assert (kept["sample_rate"], kept["file_rates"]) == (8000, {"4000.0": 1, "8000.0": 2})
    assert (kept["low"], kept["high"]) == pytest.approx((-0.25, 0.25), abs=0.01)

    stored = data.test[:]  # as files have it, in [-1, 1]
    unit = data.test.scale.to_unit(stored, torch.device("cpu"))
    assert torch.equal(loaded.encode(loaded.data.to_unit(stored)), loaded.encode(unit))
    with pytest.raises(InputError, match=r"model\.data\.to_unit\(x\)"):
        loaded.encode(stored)


def test_a_checkpoint_that_does_not_know_its_data_loads_as_before(tmp_path):
    files = pack(trained())
    description = json.loads(files[CONFIG])
    assert description.pop("data") is None  # made in memory
    write(tmp_path, files | {CONFIG: json.dumps(description).encode()})
    loaded = load_model(tmp_path)
    assert loaded.data is None
    assert loaded.encode(3 * floats(dataset().test)).shape == (6, *loaded.latent_shape)


def test_nothing_is_pickled(tmp_path, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise AssertionError("a pickle was read or written")

    for module, name in ((pickle, "dumps"), (pickle, "dump"), (pickle, "loads"), (pickle, "load"), (torch, "load")):
        monkeypatch.setattr(module, name, refuse)
    training = trained(1)
    write(tmp_path, pack(training))
    assert {path.name for path in tmp_path.iterdir()} == {MODEL, CONFIG, TRAINING}
    for name in (MODEL, TRAINING):
        assert load((tmp_path / name).read_bytes())
    assert json.loads((tmp_path / CONFIG).read_text())["epoch"] == 1
    load_model(tmp_path)
    unpack(trained(0), read(tmp_path))


def test_samples_and_seconds_go_on():
    first = trained(2)
    continued = trained(0)
    unpack(continued, pack(first))
    report = continued.run_epoch()
    assert report["samples_seen"] == 48
    assert report["training_seconds"] > first.seconds > 0


def test_an_older_checkpoint_counts_them_from_nothing():
    files = pack(trained(2))
    description = json.loads(files[CONFIG])
    del description["samples_seen"], description["training_seconds"]
    continued = trained(0)
    unpack(continued, files | {CONFIG: json.dumps(description).encode()})
    assert continued.run_epoch()["samples_seen"] == 16


def test_the_epoch_of_a_checkpoint_is_known_before_it_is_loaded():
    files = pack(trained(2))
    assert epoch_of(files) == 2
    for damaged in (b"", b"[]", b'{"format": 1}', changed(files[CONFIG], epoch=None)):
        with pytest.raises(CheckpointError, match=CONFIG):
            epoch_of(files | {CONFIG: damaged})


@pytest.mark.parametrize(
    "model",
    [
        {},
        {"attention": {"type": "full", "positions": "rotary"}, "norm": "batch"},
        {"quantizer": {"type": "residual"}},
        {"quantizer": {"type": "simvq"}},
        {"quantizer": {"type": "fsq"}},
        {"quantizer": {"type": "lfq"}},
    ],
)
def test_training_goes_on_with_samples_of_another_size(tmp_path, model):
    small = Training(config(model), dataset(size=SIZE - 1))  # 7 is padded to 8
    small.run_epoch()
    files = pack(small)
    large = Training(config(model), dataset(size=2 * SIZE))
    unpack(large, files)
    for name, parameter in small.model.named_parameters():
        assert torch.equal(large.model.get_parameter(name), parameter), name
    assert pack(large)[TRAINING] == files[TRAINING]
    assert large.run_epoch()["epoch"] == 2

    write(tmp_path, pack(large))
    loaded = load_model(tmp_path)
    assert loaded.input_shape == (3, 2, 2 * SIZE, 2 * SIZE)
    x = floats(large.dataset.test)
    with torch.no_grad():
        assert torch.equal(loaded(x)[1], large.model.eval()(x)[1])


def test_mean_and_variance_are_those_of_the_data_at_hand():
    """Or ``recon_loss`` would not be the one of a run that was trained on full samples from the start."""
    small, large = Training(config(), dataset(size=SIZE)), Training(config(), dataset(size=2 * SIZE))
    assert small.dataset.variance != large.dataset.variance
    unpack(large, pack(small))
    assert large.model.data_mean.flatten().tolist() == pytest.approx(large.dataset.mean)
    assert large.model.data_variance.flatten().tolist() == pytest.approx(large.dataset.variance)


@pytest.mark.parametrize("saved", ["pooled", "channel"])
def test_training_goes_on_with_the_statistics_at_hand_of_whatever_kind_were_saved(tmp_path, saved):
    of_channels = dataset()
    pooled = replace(of_channels, mean=0.5, variance=of_channels.pooled_variance)
    before, after = (pooled, of_channels) if saved == "pooled" else (of_channels, pooled)
    first, second = Training(config(), before), Training(config(), after)
    write(tmp_path, pack(first))
    unpack(second, read(tmp_path))
    assert second.model.data_variance.flatten().tolist() == pytest.approx(np.ravel(after.variance))
    assert load_model(tmp_path).data_variance.flatten().tolist() == pytest.approx(np.ravel(before.variance))
    x = floats(before.test)
    with torch.no_grad():
        assert torch.equal(load_model(tmp_path)(x)[1], first.model.eval()(x)[1])


def test_statistics_of_another_number_of_channels_are_refused(tmp_path):
    files = pack(trained(0))
    state = load(files[MODEL]) | {"data_mean": torch.zeros(2, 1, 1, 1)}
    write(tmp_path, files | {MODEL: save(state)})
    with pytest.raises(CheckpointError, match="data_mean"):
        load_model(tmp_path)


@pytest.mark.parametrize("missing", [MODEL, CONFIG, TRAINING])
def test_a_missing_file_is_named(tmp_path, missing):
    write(tmp_path, pack(trained()))
    (tmp_path / missing).unlink()
    with pytest.raises(CheckpointError, match=missing) as error:
        read(tmp_path)
    assert str(tmp_path) in str(error.value)
    if missing != TRAINING:
        with pytest.raises(CheckpointError, match=missing):
            load_model(tmp_path)


def without(content: bytes, *keys: str) -> bytes:
    return save({name: tensor for name, tensor in load(content).items() if name not in keys})


def changed(content: bytes, **values) -> bytes:
    return json.dumps(json.loads(content) | values).encode()


DAMAGES = {
    "truncated model": (MODEL, lambda content: content[: len(content) // 2]),
    "empty model": (MODEL, lambda content: b""),
    "no safetensors": (MODEL, lambda content: b"\x80\x04}q\x00." * 20),
    "model without codes": (MODEL, lambda content: without(content, "quantizer.codes")),
    "truncated config": (CONFIG, lambda content: content[:40]),
    "config that is a list": (CONFIG, lambda content: b"[]"),
    "config of another format": (CONFIG, lambda content: changed(content, format=99)),
    "config that is not text": (CONFIG, lambda content: b"\xff\xfe\x00"),
}
TRAINING_DAMAGES = {
    "no epoch": (CONFIG, lambda content: json.dumps({"format": 1, "config": {}}).encode()),
    "truncated optimiser": (TRAINING, lambda content: content[:-10]),
    "no random state": (TRAINING, lambda content: without(content, "random.cpu")),
}
MODEL_DAMAGES = {
    "no config": (CONFIG, lambda content: json.dumps({"format": 1, "input_shape": [3, 2, 8, 8]}).encode()),
    "unknown setting": (CONFIG, lambda content: changed(content, config={"model": {"n_code": 3}})),
    "run that is a list": (CONFIG, lambda content: changed(content, config=[])),
    "shape that is none": (CONFIG, lambda content: changed(content, input_shape=None)),
    "card that is none": (CONFIG, lambda content: changed(content, data={"low": 0})),
    "shape of a picture": (CONFIG, lambda content: changed(content, input_shape=[3, 8, 8])),
}


@pytest.mark.parametrize("damage", DAMAGES | TRAINING_DAMAGES)
def test_a_damaged_checkpoint_does_not_go_on(damage):
    name, spoil = (DAMAGES | TRAINING_DAMAGES)[damage]
    files = pack(trained())
    with pytest.raises(CheckpointError) as error:
        unpack(trained(0), files | {name: spoil(files[name])})
    assert len(str(error.value)) > 20


@pytest.mark.parametrize("damage", DAMAGES | MODEL_DAMAGES)
def test_a_damaged_checkpoint_gives_no_model(tmp_path, damage):
    name, spoil = (DAMAGES | MODEL_DAMAGES)[damage]
    files = pack(trained())
    write(tmp_path, files | {name: spoil(files[name])})
    with pytest.raises(CheckpointError):
        load_model(tmp_path)


def test_a_checkpoint_of_another_model_is_refused():
    other = Training(config({"n_codes": 32}), dataset())
    with pytest.raises(CheckpointError, match="does not fit"):
        unpack(other, pack(trained()))
