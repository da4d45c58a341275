"""A folder of tokens: shards of codes, each with an index, and a manifest that says what they are.

``tokens.json`` is the manifest. A shard is a folder ``shard-00000`` with ``codes.npy``, the codes of its recordings one
behind another in the smallest type that holds them, and ``index.json``, which says where each recording lies. Shards
appear whole or not at all, so that what was interrupted goes on with the files that no shard has.
"""

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
import numpy.typing as npt

from ndvq_tune.atomic import replacing, whole_folder
from ndvq_tune.config.card import DataCard
from ndvq_tune.errors import DataError, InputError, ResultsError

MANIFEST, INDEX, CODES = "tokens.json", "index.json", "codes.npy"
FORMAT = 1
Codes = npt.NDArray[np.integer[Any]]
_SHARD, _RAW = "shard-", "codes.raw"


@dataclass(frozen=True)
class Manifest:
    """What a folder of tokens holds.

    Attributes:
        model: The checkpoint that made them, as its path was given.
        fingerprint: SHA-256 of its weights.
        n_codes: Codes in a codebook.
        n_codebooks: Codes of a position; where they are several, the last axis of the codes.
        downsample: Elements of data along each dimension that a code stands for.
        type: ``data.type`` of the files.
        shorter_side: Pixels that the shorter side of frames was scaled to, without cropping; None where frames are
            as training samples were.
        dtype: Type of the codes, the smallest that holds them.
        exact: Whether codes are those of the whole recordings; else tiles show in some of them.
        data: The card of what the model was trained on.
    """

    model: str
    fingerprint: str
    n_codes: int
    n_codebooks: int
    downsample: tuple[int, ...]
    type: str
    shorter_side: int | None
    dtype: str
    exact: bool
    data: DataCard


@dataclass(frozen=True)
class Recording:
    """Where the codes of a file lie, and what to make of them.

    Attributes:
        name: Its path below the folder of the files.
        shape: Of its codes, ``(*L)``, or ``(*L, Q)``; of an array ``(N, *L)``.
        start: Its first code in the shard.
        size: ``S`` of the recording; of an array, of each sample.
        rate: Frames or steps a second; None where none is known.
    """

    name: str
    shape: tuple[int, ...]
    start: int
    size: tuple[int, ...]
    rate: float | None


@dataclass(frozen=True)
class Shard:
    """A shard of a folder of tokens.

    Attributes:
        folder: Where it is.
        recordings: What it holds, in order.
        skipped: Files that could not be used, with the reason.
    """

    folder: Path
    recordings: tuple[Recording, ...]
    skipped: dict[str, str] = field(default_factory=dict)

    def codes(self, recording: Recording) -> Codes:
        """The codes of a recording, mapped from disk."""
        codes: Codes = np.load(self.folder / CODES, mmap_mode="r")
        return codes[recording.start : recording.start + math.prod(recording.shape)].reshape(recording.shape)


def smallest_type(n_codes: int) -> str:
    """The smallest unsigned type that holds all codes.

    Example:
        >>> smallest_type(256), smallest_type(257)
        ('uint8', 'uint16')
    """
    return str(np.min_scalar_type(n_codes - 1))


def begin(folder: Path, manifest: Manifest) -> None:
    """Write the manifest of a new folder, or make sure that the one that is there says the same.

    Raises:
        ResultsError: The folder has tokens of another model or of another size, or is not empty and has none.
    """
    if not (folder / MANIFEST).exists():
        if folder.exists() and any(folder.iterdir()):
            raise ResultsError(f"{folder}: is not empty and holds no tokens; give another --output")
        with replacing(folder / MANIFEST) as draft:
            content = {"format": FORMAT} | asdict(manifest) | {"data": manifest.data.model_dump(mode="json")}
            draft.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        return
    before = manifest_of(folder)
    for name, what in (("fingerprint", "model"), ("shorter_side", "size")):
        if getattr(before, name) != getattr(manifest, name):
            raise ResultsError(f"{folder}: holds tokens of another {what}; give another --output")


def manifest_of(folder: Path) -> Manifest:
    """The manifest of a folder of tokens.

    Raises:
        ResultsError: It holds none, or a damaged one, or one of a later release.
    """
    try:
        content = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except OSError:
        raise ResultsError(f"{folder}: holds no tokens ({MANIFEST} is missing); make some with tokenize") from None
    except ValueError:
        raise ResultsError(f"{folder / MANIFEST}: is damaged; make the tokens again") from None
    if content.pop("format", None) != FORMAT:
        raise ResultsError(f"{folder / MANIFEST}: is of a later release; this one reads format {FORMAT}")
    card = DataCard.model_validate(content.pop("data"))
    return Manifest(**content | {"downsample": tuple(content["downsample"]), "data": card})


def shards_of(folder: Path) -> list[Shard]:
    """The shards that are there, in order."""
    return [_read(path) for path in sorted(folder.glob(f"{_SHARD}*")) if (path / INDEX).exists()]


def next_shards(folder: Path) -> Iterator[Path]:
    """Folders for further shards, without end."""
    last = max((int(shard.folder.name.removeprefix(_SHARD)) for shard in shards_of(folder)), default=-1)
    while True:
        last += 1
        yield folder / f"{_SHARD}{last:05}"


class Coded(Protocol):
    """A file that becomes codes when it is asked for them; its size and its rate are known then."""

    name: str
    size: tuple[int, ...]
    rate: float | None

    def codes(self) -> Iterator[Codes]:
        """Its codes in order, along the first axis.

        Raises:
            DataError: It cannot be read.
            InputError: The model cannot mean its values.
        """
        ...


def write_shard(folder: Path, dtype: str, files: Iterable[Coded]) -> int:
    """Write a shard; a file that cannot be used is left out and named in the index.

    Args:
        folder: The shard, which is not there yet.
        dtype: Type of the codes.
        files: What goes into it.

    Returns:
        How many files were done with.
    """
    recordings: list[Recording] = []
    skipped: dict[str, str] = {}
    kind = np.dtype(dtype)
    with whole_folder(folder) as draft:
        with (draft / _RAW).open("wb") as raw:
            for file in files:
                start = raw.tell()
                try:
                    shape = _appended(raw, kind, file.codes())
                except (DataError, InputError) as error:
                    skipped[file.name] = str(error)
                    raw.seek(start)
                    raw.truncate()
                    continue
                recordings.append(Recording(file.name, shape, start // kind.itemsize, file.size, file.rate))
        _as_npy(draft, kind)
        index = {"recordings": [asdict(recording) for recording in recordings], "skipped": skipped}
        (draft / INDEX).write_text(json.dumps(index, separators=(",", ":")), encoding="utf-8")
    return len(recordings) + len(skipped)


def _appended(raw: BinaryIO, kind: np.dtype[Any], blocks: Iterable[Codes]) -> tuple[int, ...]:
    """The shape of all blocks together."""
    length, row = 0, ()
    for block in blocks:
        raw.write(np.ascontiguousarray(block, kind).tobytes())
        length, row = length + len(block), block.shape[1:]
    return (length, *row)


def _as_npy(draft: Path, kind: np.dtype[Any]) -> None:
    """What was written one by one as an npy file, without all of it in memory."""
    raw = draft / _RAW
    codes = np.memmap(raw, kind, "r") if raw.stat().st_size else np.empty(0, kind)
    np.save(draft / CODES, codes, allow_pickle=False)
    del codes
    raw.unlink()


def _read(folder: Path) -> Shard:
    content = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    recordings = tuple(
        Recording(**found | {"shape": tuple(found["shape"]), "size": tuple(found["size"])})
        for found in content["recordings"]
    )
    return Shard(folder, recordings, content["skipped"])
