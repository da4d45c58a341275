"""Sample data for each type: real, offline, and made on first use out of packages that are installed anyway."""

import importlib
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import av

from ndvq_tune.config import DataConfig, TorchvisionData
from ndvq_tune.data.folders import whole_folder
from ndvq_tune.data.progress import Progress
from ndvq_tune.data.samples import array, image, signal, video
from ndvq_tune.errors import DataError

_MAKERS: Mapping[str, ModuleType] = {"video": video, "image": image, "signal": signal, "array": array}


def ensure_samples(config: DataConfig, progress: Progress) -> None:
    """Makes sample data if ``config.path`` is the default one of its type and is not there.

    Args:
        config: The data; nothing happens if its path is a URI or exists, or if torchvision fills it.
        progress: Told of every file that samples are made from.

    Raises:
        DataError: The path is a user's own and does not exist, or the samples cannot be made.
    """
    path = Path(config.path)
    if isinstance(config, TorchvisionData) or "://" in config.path or path.exists():
        return
    default = Path(type(config).model_fields["path"].default)
    if path.absolute() != default.absolute():
        raise DataError(
            f"{path}: no such folder; {_layout(config.type)}. Only the default path, {default}, is filled with samples"
        )
    try:
        with whole_folder(path) as building:
            for split in ("train", "test"):
                (building / split).mkdir()
            _MAKERS[config.type].make(building, progress)
    except (OSError, av.FFmpegError) as error:
        raise DataError(f"{path}: the samples cannot be written: {error}") from error


def _layout(data_type: str) -> str:
    reader = importlib.import_module(f"ndvq_tune.data.readers.{data_type}")
    suffixes = ", ".join(sorted(suffix.removeprefix(".") for suffix in reader.SUFFIXES))
    return (
        f"a data set is a folder with train/ and test/ inside, or with data.split any folder, that holds {suffixes} "
        "(folders may be nested)"
    )
