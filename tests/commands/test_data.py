import json
import os
import re
import time
import wave
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image
from typer.testing import CliRunner, Result

from ndvq_tune.commands import data as command
from ndvq_tune.config import RunConfig
from ndvq_tune.data.cache.index import INDEX

KEY = "0123456789abcdef" * 2
DAY = 86400
SPACE = """
name: small
data: {type: array, path: PATH}
model: {n_dims: 1, n_codes: {choice: [8, 16]}}
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.fixture
def arrays(tmp_path: Path) -> Path:
    """10 training and 4 test samples of shape (2, 6), between 0 and 7."""
    values = np.random.default_rng(0).random((14, 2, 6)).astype(np.float32)
    values[0, 0, :2] = 0, 1
    for split, part in (("train", values[:10]), ("test", values[10:])):
        (tmp_path / "arrays" / split).mkdir(parents=True)
        np.save(tmp_path / "arrays" / split / "a.npy", 7 * part)
    return tmp_path / "arrays"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for split, colour, count in (("train", (255, 0, 0), 4), ("test", (0, 255, 0), 2)):
        (tmp_path / "images" / split).mkdir(parents=True)
        for number in range(count):
            image = Image.new("RGB", (16, 16), colour)
            image.save(tmp_path / "images" / split / f"{number}.png")
    return tmp_path / "images"


@pytest.fixture
def space(tmp_path: Path, arrays: Path) -> Path:
    path = tmp_path / "space.yaml"
    path.write_text(SPACE.replace("PATH", str(arrays)))
    return path


def run(*arguments: object, stdin: str | None = None) -> Result:
    return CliRunner().invoke(
        command.app, [str(argument) for argument in arguments], input=stdin, env={"COLUMNS": "200"}
    )


def output(*arguments: object, stdin: str | None = None) -> str:
    result = run(*arguments, stdin=stdin)
    assert result.exit_code == 0, result.output
    return result.output


def failure(*arguments: object) -> str:
    """What a user's mistake prints, in one line."""
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output
    return " ".join(re.sub("[│╭╮╰╯─]", " ", result.stderr).split())


def folders(cache: Path) -> list[Path]:
    return sorted(index.parent for index in cache.glob(f"*/{INDEX}"))


def write_digests(cache: Path, key: str) -> Path:
    """What is remembered of the files in a folder."""
    path = cache / "digests" / f"{key}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text("{}")
    return path


def write_sounds(folder: Path) -> Path:
    """Three sounds of different rates."""
    for name, rate in (("test/a.wav", 8000), ("train/b.wav", 16000), ("train/c.wav", 44100)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        with wave.open(str(folder / name), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(rate)
            file.writeframes((8192 * np.sin(np.arange(9000) / 5)).astype("<i2").tobytes())
    return folder


def age(path: Path, days: float) -> None:
    os.utime(path, (time.time() - days * DAY,) * 2)


def test_sounds_of_different_rates_are_told_with_the_one_that_was_chosen(tmp_path: Path):
    sounds = write_sounds(tmp_path / "sounds")
    line = (
        "resampled 2 of 3 sounds to 8,000 Hz (1 of 16,000 Hz, 1 of 44,100 Hz): "
        "data.sample_rate, or else the rate of the first"
    )
    asked = ("--data", sounds, "--type", "signal")
    assert output("build", *asked).splitlines()[-1] == line
    assert output("build", *asked, "--output", tmp_path / "out").splitlines()[-1] == line
    shown = output("info", *asked).splitlines()
    assert shown[-1] == line
    assert "sample rate 8,000 Hz; 2 files resampled" in shown
    same = output("info", *asked, "--set", "data.sample_rate=16000")
    assert "resampled 2 of 3 sounds to 16,000 Hz (1 of 8,000 Hz, 1 of 44,100 Hz)" in same


def test_a_data_set_is_shown_as_a_model_sees_it(arrays: Path, cache: Path):
    values = np.load(arrays / "train" / "a.npy").astype(np.float64)
    unit = (values - values.min()) / np.ptp(values)
    shown = dict(line.split(None, 1) for line in output("info", "--data", arrays, "--type", "array").splitlines())
    assert shown == {
        "data": f"array, {arrays}",
        "files": "2, of which 0 are skipped",
        "samples": "10 for training, 4 for testing",
        "shape": "2 x 6, channels first",
        "range": "0 to 7, which a model sees as 0 to 1",
        "values": f"float32, for training from {values.min():g} to {values.max():g}",
        "fingerprint": shown["fingerprint"],
        "mean": " ".join(f"{mean:.4g}" for mean in unit.mean((0, 2))) + ", of what a model sees",
        "variance": " ".join(f"{variance:.4g}" for variance in unit.var((0, 2))) + ", of what a model sees",
        "augment": "nothing",
        "cache": shown["cache"],
    }
    assert set(shown["fingerprint"].split("; test files ")) == {folder.name for folder in folders(cache)}
    assert shown["cache"].startswith(f"decoded into {cache}: 2 entries, ")
    assert f"in the cache already, {cache}" in output("info", "--data", arrays, "--type", "array")


def test_pooled_statistics_are_shown_as_one_number(arrays: Path):
    values = np.load(arrays / "train" / "a.npy").astype(np.float64)
    unit = (values - values.min()) / np.ptp(values)
    shown = output("info", "--data", arrays, "--type", "array", "--set", "data.normalise=pooled").splitlines()
    assert f"variance    {unit.var():.4g}, of what a model sees" in shown


def test_a_search_space_and_a_run_configuration_describe_data(space: Path, tmp_path: Path, arrays: Path):
    of_space = output("info", "--space", space).splitlines()
    best = tmp_path / "best.yaml"
    best.write_text(json.dumps(RunConfig(data={"type": "array", "path": arrays}, model={"n_dims": 1}).to_dict()))
    assert output("info", "--space", best).splitlines()[:-1] == of_space[:-1]


def test_options_replace_what_the_space_says(space: Path, arrays: Path, tmp_path: Path):
    other = arrays.rename(tmp_path / "moved")
    assert "no such folder" in failure("info", "--space", space)
    assert str(other) in output("info", "--space", space, "--data", other)
    assert "6 x 2, channels first" in output("info", "--space", space, "--data", other, "--set", "data.axes=NHC")
    assert "6 x 2" in output("info", "--type", "array", "--data", other, "--set", "data.axes=NHC")


def test_an_empty_cache(cache: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NDVQ_TUNE_CACHE_LIMIT", "5GB")
    assert output("info") == f"{cache}: 0 entries, 0 B of 5.0 GB\n"
    assert not cache.exists()


def test_entries_are_listed_the_last_used_first(images: Path, cache: Path):
    (images / "train" / "bad.png").write_text("no image")
    output("build", "--type", "image", "--data", images, "--set", "data.resolution=8", "--set", "data.max_bad=0.5")
    age(next(folder for folder in folders(cache) if "bad" in (folder / INDEX).read_text()) / INDEX, days=3)
    lines = output("info").splitlines()
    assert re.fullmatch(rf"{cache}: 2 entries, \d+\.\d KB of 100\.0 GB", lines[0])
    assert re.search(rf"2 images +2 +\S+ .?B +\d+ s ago +{images}/test", lines[2])
    assert "resolution 8" in lines[3]
    assert re.search(rf"4 images +4 +\S+ .?B +3 d 0 h ago +{images}/train", lines[4])
    assert "1 skipped" in lines[5]


def test_damage_is_found_by_check_sums(images: Path, cache: Path):
    output("build", "--type", "image", "--data", images)
    assert output("info", "--verify").endswith("all check sums are right\n")
    shard = folders(cache)[0] / "00000.bin"
    stat = shard.stat()
    shard.write_bytes(bytes([shard.read_bytes()[0] ^ 1]) + shard.read_bytes()[1:])
    os.utime(shard, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    result = run("info", "--verify")
    assert result.exit_code == 1
    assert f"{shard.parent}: damaged: 00000.bin" in result.output
    assert result.output.count("damaged") == 1


def test_building_tells_what_was_built_and_what_was_skipped(images: Path, cache: Path, here: Path):
    for number in range(12):
        (images / "train" / f"bad {number}.png").write_text("no image")
    arguments = ("build", "--type", "image", "--data", images, "--set", "data.max_bad=0.9")
    lines = output(*arguments).splitlines()
    assert re.fullmatch(
        rf"decoded into {cache}: 2 entries, \d+\.\d KB: 4 training and 2 test samples from 6 files", lines[0]
    )
    assert len(lines) == 1 + 10 + 1
    assert lines[1].startswith("skipped train/bad 0.png: ")
    assert lines[-1] == "skipped 2 more"
    assert list(here.iterdir()) == []
    again = output(*arguments, "--output", "lists").splitlines()
    assert again[0] == f"in the cache already, {cache}: 4 training and 2 test samples from 6 files"
    assert again[1].startswith("skipped 12 of 18 files: train/bad 0.png")
    assert again[1].endswith("see lists/skipped.csv")
    assert len((here / "lists" / "skipped.csv").read_text().splitlines()) == 13


def test_a_preview_shows_training_above_test_samples(images: Path, here: Path):
    assert output("preview", "--type", "image", "--data", images, "--samples", 3) == "preview.png\n"
    picture = np.asarray(Image.open(here / "preview.png"))
    red, green = (np.argwhere((picture == colour).all(-1)) for colour in ((255, 0, 0), (0, 255, 0)))
    assert (len(red), len(green)) == (3 * 128 * 128, 2 * 128 * 128)
    assert red[:, 0].max() < green[:, 0].min()


def test_a_preview_follows_the_augmentation(images: Path, tmp_path: Path):
    path = tmp_path / "p.png"
    changed = "data.augment={RandomInvert: {p: 1.0}}"
    assert output("preview", "--type", "image", "--data", images, "--set", changed, "--output", path) == f"{path}\n"
    assert (np.asarray(Image.open(path)) == (0, 255, 255)).all(-1).sum() == 4 * 128 * 128


def test_clearing_asks_first(images: Path, cache: Path):
    output("build", "--type", "image", "--data", images)
    write_digests(cache, KEY)
    result = run("clear", stdin="n\n")
    assert result.exit_code == 1
    assert re.search(rf"Remove 2 entries and 3 leftovers \(.*\), \d+\.\d KB, from {cache}\?", result.output)
    assert len(folders(cache)) == 2
    assert "removed 2 entries" in output("clear", stdin="y\n")
    assert [path for path in cache.rglob("*") if path.is_file()] == []
    assert output("clear") == f"{cache}: there is nothing to remove\n"


def test_clearing_leaves_what_was_used_lately(images: Path, cache: Path):
    output("build", "--type", "image", "--data", images)
    old, new = folders(cache)
    age(old / INDEX, days=10)
    age(new / INDEX, days=6)
    age(write_digests(cache, KEY), days=10)
    kept = write_digests(cache, KEY[::-1])
    assert output("clear", "--older-than", 11, "--yes") == f"{cache}: there is nothing to remove\n"
    assert "removed 1 entry and 1 leftover " in output("clear", "--older-than", 7, "--yes")
    assert folders(cache) == [new]
    assert list(cache.glob("digests/*")) == [kept]


def test_clearing_leaves_a_strangers_files_alone(images: Path, cache: Path, tmp_path: Path):
    """The variable may name any folder by mistake."""
    output("build", "--type", "image", "--data", images)
    (tmp_path / "elsewhere").mkdir()
    mine = {
        "thesis.txt": "a",
        "photos/index.json": json.dumps({"format": 2, "shards": []}),
        f"{KEY}/index.json": json.dumps({"photos": 3}),
        f"{KEY[::-1]}/data.bin": "a",
        f"{KEY}0/index.json": (folders(cache)[0] / INDEX).read_text(),
        ".git/config": "a",
        "x.lock": "a",
        "my.building/a": "a",
        "digests/mine.json": "{}",
        "../elsewhere/index.json": (folders(cache)[0] / INDEX).read_text(),
    }
    for name, text in mine.items():
        (cache / name).parent.mkdir(exist_ok=True)
        (cache / name).write_text(text)
    (cache / f"{KEY[1:]}0").symlink_to(tmp_path / "elsewhere")
    output("clear", "--yes")
    assert (cache / f"{KEY[1:]}0" / INDEX).exists()
    assert folders(cache) == sorted(cache / name for name in ("photos", KEY, f"{KEY}0", f"{KEY[1:]}0"))
    assert all((cache / name).read_text() == text for name, text in mine.items())


def test_clearing_removes_interrupted_builds_but_not_running_ones(cache: Path):
    for key in (KEY, KEY[::-1]):
        (cache / f".{key}.building").mkdir(parents=True)
        (cache / f".{key}.building" / "00000.bin").write_bytes(bytes(1000))
    with FileLock(cache / f".{KEY}.lock"):
        assert output("clear", "--yes").endswith("2 of them stay, as they are being written\n")  # folder and lock
    assert [path.name for path in cache.glob(".*.building")] == [f".{KEY}.building"]
    output("clear", "--yes")
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("name", ["info", "build", "preview"])
def test_mistakes_are_told_in_words(name: str, tmp_path: Path, space: Path, arrays: Path):
    assert "spce.yaml: cannot be read" in failure(name, "--space", tmp_path / "spce.yaml")
    assert f"{space}: --set data.windw: unknown key" in failure(name, "--space", space, "--set", "data.windw=3")
    assert "did you mean 'array'" in failure(name, "--type", "aray", "--data", arrays)
    assert "needs the form key.path=value" in failure(name, "--type", "array", "--data", arrays, "--set", "data.axes")
    assert "'data' is a value, not a section" in failure(name, "--type", "array", "--set", "data=NC")
    assert "model: unknown key" in failure(name, "--type", "array", "--data", arrays, "--set", "model.n_codes=3")
    assert "no such folder" in failure(name, "--type", "array", "--data", tmp_path / "nowhere")
    assert "--type" in failure(name, "--data", arrays)


def test_a_cache_limit_that_is_no_size(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NDVQ_TUNE_CACHE_LIMIT", "much")
    assert "NDVQ_TUNE_CACHE_LIMIT=much" in failure("info")


def test_verify_is_about_the_whole_cache(arrays: Path):
    assert "--verify" in failure("info", "--verify", "--type", "array", "--data", arrays)
