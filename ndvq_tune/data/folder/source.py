"""A folder of files as a source: which files there are, and what reads them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ndvq_tune.config import ArrayData, DataConfig, SignalData
from ndvq_tune.data.cache.location import cache_root
from ndvq_tune.data.cache.source import Content, Item, Progress, Rows, silent
from ndvq_tune.data.folder import remote
from ndvq_tune.data.folder.digests import digests
from ndvq_tune.data.folder.files import Listing, SourceFile, find_files, has_folder, join, list_folder, local, suffix
from ndvq_tune.data.readers import array, image, signal, sound, video
from ndvq_tune.errors import DataError

_EXAMPLES = 5


@dataclass(frozen=True)
class Kind:
    """How files of one ``data.type`` are read.

    Attributes:
        noun: What they are called.
        suffixes: Of their names.
        settings: Names of the configuration's fields that decoded rows depend on.
        read: The rows of a file, in blocks.
        rate: Rows a second as a file states them, None where it states none or cannot be read.
    """

    noun: str
    suffixes: frozenset[str]
    settings: tuple[str, ...]
    read: Callable[[Path, Any], Iterator[Rows]]
    rate: Callable[[Path], float | None] = lambda path: None


KINDS = {
    "video": Kind("videos", video.SUFFIXES, video.SETTINGS, video.read_video, video.frame_rate_of),
    "image": Kind("images", image.SUFFIXES, image.SETTINGS, image.read_image),
    "signal": Kind("signals", signal.SUFFIXES, signal.SETTINGS, signal.read_signal, signal.sample_rate_of),
    "array": Kind("arrays", array.SUFFIXES, array.SETTINGS, array.read_array),
}


@dataclass(frozen=True)
class FolderSource:
    """The files of one split.

    Attributes:
        config: The data set.
        root: The split's folder or URI.
    """

    config: DataConfig
    root: str

    @property
    def place(self) -> str:
        """The split's folder or URI, without a password."""
        return remote.shown(self.root)

    @classmethod
    def of(cls, config: DataConfig, split: str | None) -> "FolderSource":
        """One split's folder, or the whole data set without a split.

        Raises:
            DataError: There is no folder for the split.
        """
        config = _with_rate(config)
        if split is None:
            return cls(config, config.path)
        if not has_folder(config.path, split):
            found = ", ".join(list_folder(config.path, 5)) or "nothing"
            raise DataError(
                f"{remote.shown(config.path)}: there is no folder {split}/ in it (found: {found}); a data set is a "
                "folder with train/ and test/ inside, or set data.split to the share for training, such as 0.9"
            )
        return cls(config, _inside(config.path, split))

    @property
    def noun(self) -> str:
        """What the files are called."""
        return self._kind.noun

    @property
    def settings(self) -> dict[str, Any]:
        """The configuration's values that decoded rows depend on."""
        return self.config.model_dump(mode="json", include=set(self._kind.settings))

    @property
    def _kind(self) -> Kind:
        return KINDS[self.config.type]

    def items(self, progress: Progress = silent) -> list[Item]:
        """All files that have a suffix of their kind, and, as foreign, those that have another; see ``Source``."""
        listing = self._listing()
        contents = digests(cache_root(), join(self.root, ""), listing.files, progress)
        items = [Item(file.name, file.size, content) for file, content in zip(listing.files, contents, strict=True)]
        items += [Item(name, 0, "unreadable", reason) for name, reason in listing.unreadable.items()]
        items += [Item(name, 0, "foreign", self._foreign(name), foreign=True) for name in listing.others]
        return sorted(items, key=lambda item: item.name)

    @contextmanager
    def first_file(self) -> Iterator[Path]:
        """The first file that can be read, on this machine.

        Raises:
            DataError: There is none.
        """
        listing = self._listing()
        if not listing.files:
            name, reason = next(iter(listing.unreadable.items()))
            raise DataError(f"{join(self.root, name)}: {reason}")
        with local(listing.files[0]) as path:
            yield path

    def _listing(self) -> Listing:
        listing = find_files(self.root, self._kind.suffixes)
        if not listing.files and not listing.unreadable:
            found = f" (found: {', '.join(listing.others[:_EXAMPLES])})" if listing.others else ""
            raise DataError(
                f"{self.place}: there are no {self.noun} in it{found}; these are read: {self._kinds} "
                "(folders may be nested)"
            )
        return listing

    @property
    def _kinds(self) -> str:
        return ", ".join(sorted(suffix.removeprefix(".") for suffix in self._kind.suffixes))

    def _foreign(self, name: str) -> str:
        return f"{suffix(name)} is not read as {self.config.type}; these are: {self._kinds}"

    @contextmanager
    def read(self, item: Item) -> Iterator[Content]:
        """One file; a remote one is fetched for as long as it takes."""
        with local(self._file(item)) as path:
            try:
                yield Content(self._kind.read(path, self.config), self._kind.rate(path))
            except DataError as error:  # a remote file is known by its URI, not by the copy's path
                raise type(error)(str(error).replace(str(path), self.path_of(item))) from error

    def mapped(self, item: Item) -> Rows | None:
        """The rows of an array file that needs no decoding."""
        if not isinstance(self.config, ArrayData) or remote.is_remote(self.root):
            return None
        rows = array.mapped(Path(self.path_of(item)), self.config)
        # Where the samples' axis is not the slowest, a sample is spread over the whole file: better copied once.
        return rows if rows is None or abs(rows.strides[0]) >= rows[0].nbytes else None

    def path_of(self, item: Item) -> str:
        """The file's absolute path, or its URI without a password."""
        return remote.shown(join(self.root, item.name))

    def _file(self, item: Item) -> SourceFile:
        return SourceFile(item.name, join(self.root, item.name), item.size, 0)


def _inside(path: str, split: str) -> str:
    """A split's folder as the person would write it, for messages."""
    return remote.join(path, split) if "://" in path else str(Path(path) / split)


def _with_rate(config: DataConfig) -> DataConfig:
    """The configuration with a sample rate: without one, all sounds get that of the first."""
    if not isinstance(config, SignalData) or config.sample_rate is not None:
        return config
    for file in find_files(config.path, sound.SUFFIXES).files:
        with local(file) as path:
            rate = sound.sample_rate_of(path)
        if rate is not None:
            return config.model_copy(update={"sample_rate": rate})
    return config
