"""Sample data for each type: real, offline, and made on first use out of packages that are installed anyway."""

import importlib
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import av

from ndvq_tune.atomic import whole_folder
from ndvq_tune.config import DataConfig, TorchvisionData
from ndvq_tune.data.cache.source import Progress
from ndvq_tune.data.sample_data import array, image, signal, video, volume
from ndvq_tune.errors import DataError

# What is made, by the type of data that reads it and the folder that it goes to.
_MAKERS: Mapping[str, Mapping[str, ModuleType]] = {
    "video": {"data/video_dataset": video},
    "image": {"data/image_dataset": image},
    "signal": {"data/signal_dataset": signal},
    "array": {"data/array_dataset": array, "data/volume_dataset": volume},
}


def ensure_samples(config: DataConfig, progress: Progress) -> None:
    """Makes sample data if ``config.path`` is a folder for samples of its type and is not there.

    Args:
        config: The data; nothing happens if its path is a URI or exists, or if torchvision fills it.
        progress: Told of every file that samples are made from.

    Raises:
        DataError: The path is a user's own and does not exist, or the samples cannot be made.
    """
    path, maker = Path(config.path), _maker(config)
    if not _missing(config):
        return
    if maker is None:
        folders = " or ".join(_MAKERS[config.type])
        raise DataError(f"{path}: no such folder; {_layout(config.type)}. Samples are made for {folders} only")
    try:
        with whole_folder(path) as building:
            for split in ("train", "test"):
                (building / split).mkdir()
            maker.make(building, progress)
    except (OSError, av.FFmpegError) as error:
        raise DataError(f"{path}: the samples cannot be written: {error}") from error


def will_be_made(config: DataConfig) -> bool:
    """Whether ``ensure_samples`` has samples to make."""
    return _missing(config) and _maker(config) is not None


def _missing(config: DataConfig) -> bool:
    return not (isinstance(config, TorchvisionData) or "://" in config.path or Path(config.path).exists())


def _maker(config: DataConfig) -> ModuleType | None:
    makers = {Path(folder).absolute(): maker for folder, maker in _MAKERS.get(config.type, {}).items()}
    return makers.get(Path(config.path).absolute())


def _layout(data_type: str) -> str:
    reader = importlib.import_module(f"ndvq_tune.data.readers.{data_type}")
    suffixes = ", ".join(sorted(suffix.removeprefix(".") for suffix in reader.SUFFIXES))
    return (
        f"a data set is a folder with train/ and test/ inside, or with data.split any folder, that holds {suffixes} "
        "(folders may be nested)"
    )
