import gzip
import importlib.util
import pickle
import struct
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ndvq_tune.config import TorchvisionData
from ndvq_tune.data.cache.source import Item, Source
from ndvq_tune.data.torchvision.opening import opened
from ndvq_tune.data.torchvision.package import datasets
from ndvq_tune.data.torchvision.source import TorchvisionSource
from ndvq_tune.errors import DataError, UnavailableError


@pytest.fixture(autouse=True)
def forget_what_is_open() -> Iterator[None]:
    yield
    opened.cache_clear()


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only files can be fetched."""
    fetch = urllib.request.urlopen

    def refuse(request: urllib.request.Request) -> Any:
        if not request.full_url.startswith("file://"):
            raise urllib.error.URLError("no network in tests")
        answer = fetch(request)
        answer.length = int(answer.headers["Content-Length"])  # as an answer by HTTP has it
        return answer

    monkeypatch.setattr(urllib.request, "urlopen", refuse)


def source(path: Path, name: str, subset: str | None = "train", **settings: Any) -> TorchvisionSource:
    return TorchvisionSource(TorchvisionData(path=str(path), name=name, **settings), subset)


def rows(data: Source) -> list[np.ndarray]:
    return [read(data, item) for item in data.items()]


def read(data: Source, item: Item) -> np.ndarray:
    with data.read(item) as content:
        return np.concatenate(list(content.blocks))


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def write_mnist(root: Path, train: np.ndarray, test: np.ndarray) -> None:
    """MNIST's own files: big-endian sizes, then bytes."""
    folder = root / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for name, images in (("train", train), ("t10k", test)):
        header = struct.pack(">4I", 2051, *images.shape)
        (folder / f"{name}-images-idx3-ubyte").write_bytes(header + images.tobytes())
        labels = bytes(len(images))
        (folder / f"{name}-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 2049, len(labels)) + labels)


def write_moving_mnist(root: Path, frames: np.ndarray) -> None:
    (root / "MovingMNIST").mkdir(parents=True)
    np.save(root / "MovingMNIST" / "mnist_test_seq.npy", frames)


def test_fake_data_is_what_torchvision_makes(tmp_path: Path) -> None:
    options = {"size": 12, "image_size": [3, 20, 30]}
    data = source(tmp_path, "FakeData", None, options=options, resolution=16)
    expected = datasets().FakeData(12, (3, 20, 30))
    assert [item.name for item in data.items()] == [f"{index:02}" for index in range(12)]
    assert len({item.content for item in data.items()}) == 12
    for decoded, (image, _) in zip(rows(data), expected, strict=True):
        scaled = np.asarray(image.resize((24, 16), Image.Resampling.BICUBIC))
        assert decoded.dtype == np.uint8
        assert np.array_equal(decoded, scaled[None, :, 4:20])


def test_mnist_has_a_part_for_training_and_one_for_tests(tmp_path: Path) -> None:
    train, test = noise(11, 28, 28), noise(4, 28, 28, seed=1)
    write_mnist(tmp_path, train, test)
    settings = {"channels": 1, "resolution": 28}
    assert np.array_equal(np.stack(rows(source(tmp_path, "MNIST", **settings))), train[:, None, ..., None])
    assert np.array_equal(np.stack(rows(source(tmp_path, "MNIST", "test", **settings))), test[:, None, ..., None])
    assert np.array_equal(np.stack(rows(source(tmp_path, "MNIST", None, **settings))), train[:, None, ..., None])
    assert rows(source(tmp_path, "MNIST", "test", resolution=16))[0].shape == (1, 16, 16, 3)


def test_split_that_is_no_subset_stays_an_option(tmp_path: Path) -> None:
    folder = tmp_path / "EMNIST" / "raw"
    folder.mkdir(parents=True)
    images = noise(2, 28, 28)
    for name in ("train", "test"):
        header = struct.pack(">4I", 2051, 2, 28, 28)
        (folder / f"emnist-letters-{name}-images-idx3-ubyte").write_bytes(header + images.tobytes())
        (folder / f"emnist-letters-{name}-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 2049, 2) + bytes(2))
        images = 255 - images
    data = source(tmp_path, "EMNIST", "test", options={"split": "letters"}, channels=1, resolution=28)
    assert np.array_equal(np.stack(rows(data))[:, 0, ..., 0], 255 - noise(2, 28, 28))


def test_videos_are_recordings_of_frames(tmp_path: Path) -> None:
    frames = noise(20, 3, 64, 64)
    write_moving_mnist(tmp_path, frames)
    settings = {"channels": 1, "resolution": 64, "clip_length": 5}
    assert np.array_equal(
        np.stack(rows(source(tmp_path, "MovingMNIST", None, **settings))), frames.swapaxes(0, 1)[..., None]
    )
    for subset, part in (("train", frames[:10]), ("test", frames[10:])):
        decoded = rows(source(tmp_path, "MovingMNIST", subset, **settings))
        assert np.array_equal(np.stack(decoded), part.swapaxes(0, 1)[..., None])
    assert source(tmp_path, "MovingMNIST", **settings).noun == "videos"


def test_videos_need_a_clip_length_and_images_none(tmp_path: Path) -> None:
    write_moving_mnist(tmp_path, noise(20, 3, 64, 64))
    with pytest.raises(DataError, match=r"number 0: a video; set data\.clip_length"):
        rows(source(tmp_path, "MovingMNIST"))
    with pytest.raises(DataError, match=r"number 0: an image, not a video; leave data\.clip_length out"):
        rows(source(tmp_path, "FakeData", None, options={"size": 2}, clip_length=4))


class Samples:
    """A data set that holds whatever a test gives it."""

    given: tuple[Any, ...] = ()

    def __init__(self, root: str, split: str = "train") -> None:
        if split not in ("train", "val"):
            raise ValueError(f"Unknown value '{split}' for argument split. Valid values are {{'train', 'val'}}.")
        self.split = split

    def __len__(self) -> int:
        return len(self.given)

    def __getitem__(self, index: int) -> Any:
        if isinstance(self.given[index], Exception):
            raise self.given[index]
        return self.given[index]


@pytest.fixture
def samples(monkeypatch: pytest.MonkeyPatch) -> type[Samples]:
    monkeypatch.setattr(datasets(), "Caltech101", Samples)
    return Samples


@pytest.mark.parametrize("label", [(), (7,), ("a caption", 3)])
def test_tensors_and_arrays_are_read_with_channels_first(
    tmp_path: Path, samples: type[Samples], monkeypatch: pytest.MonkeyPatch, label: tuple[Any, ...]
) -> None:
    image = noise(3, 16, 16)
    forms = (torch.from_numpy(image), image, Image.fromarray(image.transpose(1, 2, 0)))
    monkeypatch.setattr(samples, "given", tuple((form, *label) if label else form for form in forms))
    for decoded in rows(source(tmp_path, "Caltech101", resolution=16)):
        assert np.array_equal(decoded, image.transpose(1, 2, 0)[None])


def test_arrays_without_channels_are_grey(
    tmp_path: Path, samples: type[Samples], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samples, "given", (noise(16, 16), torch.from_numpy(noise(16, 16).astype(np.uint16)) * 257))
    for decoded in rows(source(tmp_path, "Caltech101", resolution=16)):
        assert np.array_equal(decoded, np.repeat(noise(16, 16)[None, ..., None], 3, axis=3))


def test_val_is_the_test_data_where_there_is_no_test(tmp_path: Path, samples: type[Samples]) -> None:
    assert opened("Caltech101", str(tmp_path), "{}", "test").split == "val"
    assert opened("Caltech101", str(tmp_path), "{}", "train").split == "train"


@pytest.mark.parametrize(
    ("sample", "reason"),
    [
        (torch.zeros(3, 16, 16), r"neither an image .* float32 \(3, 16, 16\)"),
        (np.zeros((16, 16, 3), np.uint8), r"neither an image .* uint8 \(16, 16, 3\)"),
        (OSError("image file is truncated"), "image file is truncated"),
        (RuntimeError("no such member"), "no such member"),
        (AssertionError(), "AssertionError$"),
        ({"image": 1}, "neither an image"),
    ],
)
def test_bad_samples_are_named(
    tmp_path: Path, samples: type[Samples], monkeypatch: pytest.MonkeyPatch, sample: Any, reason: str
) -> None:
    monkeypatch.setattr(samples, "given", (noise(16, 16), sample))
    data = source(tmp_path, "Caltech101", resolution=16)
    good, bad = data.items()
    assert read(data, good).shape == (1, 16, 16, 3)
    with pytest.raises(DataError, match=reason) as caught:
        read(data, bad)
    assert str(caught.value).startswith(f"{data.path_of(bad)}: ")


def test_an_empty_data_set_is_an_error(tmp_path: Path, samples: type[Samples]) -> None:
    with pytest.raises(DataError, match="there are no images in it"):
        source(tmp_path, "Caltech101").items()


def test_it_travels_to_other_processes_and_opens_once_in_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_mnist(tmp_path, noise(3, 28, 28), noise(3, 28, 28))
    data = pickle.loads(pickle.dumps(source(tmp_path, "MNIST", resolution=28)))
    rows(data)
    assert opened.cache_info().misses == 1
    assert data.mapped(data.items()[0]) is None


def test_content_tells_apart_what_may_differ(tmp_path: Path) -> None:
    def content(path: Path, subset: str | None = None, **options: Any) -> str:
        return source(path, "FakeData", subset, options={"size": 2, **options}).items()[0].content

    write_mnist(tmp_path, noise(3, 28, 28), noise(3, 28, 28))
    found = [content(tmp_path), content(tmp_path / "b"), content(tmp_path, random_offset=1)]
    found += [source(tmp_path, "MNIST", subset).items()[0].content for subset in ("train", "test", None)]
    assert len(set(found)) == len(found)
    assert content(tmp_path) == content(tmp_path)


def test_settings_are_those_that_rows_depend_on(tmp_path: Path) -> None:
    settings = source(tmp_path, "MNIST", channels=1, resolution=8, clip_length=3).settings
    assert settings == {"channels": 1, "resolution": 8, "resize": None, "crop": "centre"}


@pytest.mark.parametrize(
    ("name", "subset", "settings", "reason"),
    [
        ("CIFAR11", "train", {}, "data.name: 'CIFAR11' is not in torchvision.datasets; did you mean 'CIFAR10'?"),
        ("Holiday", "train", {}, "allowed: CIFAR10, CIFAR100, CLEVRClassification"),
        ("FakeData", "test", {}, "FakeData has no test data of its own; set data.split, such as 0.9"),
        ("FakeData", None, {"options": {"sise": 3}}, "data.options: FakeData.__init__() got an unexpected keyword"),
        ("FakeData", None, {"options": {"sise": 3}}, "takes: image_size, num_classes, random_offset, size"),
        ("EMNIST", "train", {}, "missing 1 required positional argument: 'split'"),
        ("EMNIST", "train", {"options": {"split": "word"}}, "Unknown value 'word' for argument split"),
        ("SVHN", "train", {"options": {"split": "extra"}}, "data.options: split is what tells training and test data"),
        ("FakeData", None, {"options": {"size": Path}}, "data.options: Object of type type is not JSON serializable"),
        ("ImageFolder", None, {}, "torchvision's ImageFolder cannot be opened there"),
    ],
)
def test_what_cannot_be_opened_says_why(
    tmp_path: Path, name: str, subset: str | None, settings: dict[str, Any], reason: str
) -> None:
    with pytest.raises(DataError) as caught:
        source(tmp_path, name, subset, **settings).items()
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("error", "reason"),
    [(ModuleNotFoundError("No module named 'lmdb'"), "No module named 'lmdb'"), (ImportError(), "ImportError")],
)
def test_packages_that_are_not_there_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: ImportError, reason: str
) -> None:
    class Needy:
        def __init__(self, root: str) -> None:
            raise error

    monkeypatch.setattr(datasets(), "LSUN", Needy)
    with pytest.raises(DataError, match=f"LSUN needs another package: {reason}$"):
        source(tmp_path, "LSUN", None).items()


@pytest.mark.skipif(importlib.util.find_spec("torchcodec") is not None, reason="with TorchCodec it would work")
def test_data_sets_that_decode_videos_name_the_package_for_it(tmp_path: Path, write_video, noise) -> None:
    write_video(tmp_path / "train" / "class" / "a.mp4", noise(12, 16, 16))
    kinetics = source(tmp_path, "Kinetics", "train", options={"frames_per_clip": 8}, clip_length=8)
    with pytest.raises(UnavailableError) as caught:
        read(kinetics, Item("0", 1, ""))
    assert "TorchCodec" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["MNIST", "CIFAR10", "MovingMNIST", "Flowers102"])
def test_without_a_network_the_folder_for_the_files_is_named(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    with pytest.raises(DataError) as caught:
        source(tmp_path / "new", name).items()
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'new'}: torchvision's {name} is not in this folder")
    assert "cannot be downloaded" in message
    assert "no network in tests" in message
    assert "\n" not in message
    assert capfd.readouterr() == ("", "")


def test_downloads_are_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    write_mnist(tmp_path / "served", noise(3, 28, 28), noise(2, 28, 28))
    for path in (tmp_path / "served" / "MNIST" / "raw").iterdir():
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    mnist = datasets().MNIST
    monkeypatch.setattr(mnist, "mirrors", [f"{(tmp_path / 'served' / 'MNIST' / 'raw').as_uri()}/"])
    monkeypatch.setattr(mnist, "resources", [(name, None) for name, _ in mnist.resources])
    decoded = rows(source(tmp_path / "new", "MNIST", channels=1, resolution=28))
    assert np.array_equal(np.stack(decoded), noise(3, 28, 28)[:, None, ..., None])
    assert capfd.readouterr() == ("", "")


def test_a_uri_is_no_place_for_torchvision(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data\.path: s3://bucket/folder is a URI"):
        TorchvisionSource(TorchvisionData(path="s3://bucket/folder", name="MNIST"), "train").items()


def test_damaged_files_are_an_error(tmp_path: Path) -> None:
    write_mnist(tmp_path, noise(3, 28, 28), noise(3, 28, 28))
    images = tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte"
    images.write_bytes(images.read_bytes()[:1000])
    with pytest.raises(DataError, match="torchvision's MNIST"):
        source(tmp_path, "MNIST").items()
