"""The index of an entry: which shards it has, what is in them, and whether they are whole."""

import json
import zlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ndvq_tune.atomic import replacing
from ndvq_tune.data.cache.shards import Shard
from ndvq_tune.data.cache.source import Source

FORMAT = 2
INDEX = "index.json"
_CHUNK = 2**24


def write_index(folder: Path, source: Source, shards: Sequence[Shard]) -> None:
    """Writes into an entry's folder what it was made from and which shards it has.

    Args:
        folder: The entry, with the shards in it.
        source: What was decoded.
        shards: All shards of the entry.
    """
    index = {
        "format": FORMAT,
        "place": source.place,
        "noun": source.noun,
        "settings": source.settings,
        "shards": [asdict(shard) for shard in shards],
        "modified": [(folder / shard.file).stat().st_mtime_ns for shard in shards],
    }
    with replacing(folder / INDEX) as draft:
        draft.write_text(json.dumps(index), encoding="utf-8")


def read_index(entry: Path) -> dict[str, Any] | None:
    """What an entry says of itself: ``place``, ``noun``, ``settings``, ``shards``; None if it is no entry."""
    try:
        index: dict[str, Any] = json.loads((entry / INDEX).read_text(encoding="utf-8"))
        return index if index["format"] == FORMAT else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def whole_shards(entry: Path) -> list[Shard] | None:
    """The shards of an entry; None if it is not there, cut off or damaged.

    Size and time stamp tell of a change. Where the time differs, the check sum decides: a copied cache is whole.
    """
    index = read_index(entry)
    try:
        if index is None:
            return None
        shards = [Shard.from_dict(shard) for shard in index["shards"]]
        for shard, modified in zip(shards, index["modified"], strict=True):
            stat = (entry / shard.file).stat()
            if stat.st_size != shard.size or (stat.st_mtime_ns != modified and crc(entry / shard.file) != shard.crc):
                return None
        return shards
    except (OSError, ValueError, TypeError, KeyError):
        return None


def crc(path: Path) -> int:
    """CRC-32 of a file."""
    found = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            found = zlib.crc32(chunk, found)
    return found
