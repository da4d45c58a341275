"""All files of a folder to codes, shard by shard; what was interrupted goes on where it stopped."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch

from ndvq_tune.config import ArrayData, DataConfig, ImageData, SignalData, TorchvisionData, VideoData
from ndvq_tune.config.card import DataCard
from ndvq_tune.data.cache.source import Content, Item, Progress, Rows, silent
from ndvq_tune.data.folder.files import find_files
from ndvq_tune.data.folder.source import KINDS, FolderSource
from ndvq_tune.errors import CheckpointError, DataError
from ndvq_tune.model.tiles import tiling
from ndvq_tune.tokens.store import Manifest, begin, next_shards, shards_of, smallest_type, write_shard
from ndvq_tune.tokens.streams import Codes, Stream
from ndvq_tune.training.checkpoint import load_config, load_model
from ndvq_tune.training.files import MODEL

SHARD_BYTES, SHARD_FILES = 256 * 2**20, 1024  # of files that share a shard, at most, but one


@dataclass(frozen=True)
class Job:
    """A shard to write.

    Attributes:
        model: The checkpoint.
        source: Where the files are.
        items: The files.
        dtype: Type of the codes.
        folder: The shard.
    """

    model: Path
    source: FolderSource
    items: tuple[Item, ...]
    dtype: str
    folder: Path


Spread = Callable[[Callable[[Job], int], Sequence[Job]], Iterable[int]]
"""Calls a function with each of some jobs, anywhere and in any order, and yields what it returns: ``map`` is one."""


def tokenize(
    model: Path,
    data: str,
    output: Path,
    *,
    shorter_side: int | None = None,
    spread: Spread = map,
    progress: Progress = silent,
) -> Manifest:
    """Encode all files of a folder that no shard of the output has yet.

    Args:
        model: The checkpoint.
        data: The folder, or a URI; files are found in the folders in it, too.
        output: The folder of tokens.
        shorter_side: Pixels that the shorter side of frames is scaled to, and nothing is cropped; if not given, frames
            are scaled and cropped as training samples were.
        spread: Who encodes; this process, if not given.
        progress: Told how many files are done.

    Raises:
        CheckpointError: The model does not say what it was trained on.
        DataError: There are no files, or they cannot be listed.
        ResultsError: The output holds something else.
    """
    manifest = manifest_for(model, shorter_side)
    source = FolderSource(as_trained(load_config(model).data, manifest.data, data, shorter_side), data)
    listing = find_files(data, KINDS[source.config.type].suffixes)
    if not listing.files:
        raise DataError(f"{source.place}: there are no {source.noun} in it")
    begin(output, manifest)
    shards = shards_of(output)
    done = {name for shard in shards for name in (*shard.skipped, *(found.name for found in shard.recordings))}
    items = [Item(file.name, file.size, "") for file in listing.files if file.name not in done]
    free = next_shards(output)
    jobs = [Job(model, source, group, manifest.dtype, next(free)) for group in _shared_out(items)]
    total, ready = len(listing.files), len(listing.files) - len(items)
    for finished in spread(write, jobs):
        ready += finished
        progress(f"encoding {source.noun}", ready, total)
    return manifest


def write(job: Job) -> int:
    """Encode the files of a shard; how many they are."""
    stream, card = _stream(job.model)
    return write_shard(job.folder, job.dtype, (File(stream, card, job.source, item) for item in job.items))


class File:
    """A file as ``write_shard`` asks for it.

    Args:
        stream: The model.
        card: What it was trained on.
        source: Where the file is.
        item: The file.
    """

    def __init__(self, stream: Stream, card: DataCard, source: FolderSource, item: Item) -> None:
        self.name = item.name
        self.size: tuple[int, ...] = ()
        self.rate: float | None = None
        self._stream, self._card, self._source, self._item, self._length = stream, card, source, item, 0

    def rows(self) -> Iterator[Rows]:
        """Its rows along the first axis of samples: frames, steps, the lines of an image; of an array the samples."""
        config = self._source.config
        with self._source.read(self._item) as content:
            self.rate = _rate(config, self._card, content)
            if isinstance(config, ImageData):
                yield from (block[0] for block in content.blocks)
            else:
                yield from _every(content.blocks, self._card.train_cut.step)

    def codes(self) -> Iterator[Codes]:
        """Its codes, in order."""
        samples = isinstance(self._source.config, ArrayData)
        encode = self._stream.encode_samples if samples else self._stream.encode
        return encode(self._measured(self.rows(), first_is_sample=samples))

    def _measured(self, blocks: Iterable[Rows], *, first_is_sample: bool = False) -> Iterator[Rows]:
        for block in blocks:
            self._length += len(block)
            row = block.shape[1:-1]
            self.size = row if first_is_sample else (self._length, *row)
            yield block


def manifest_for(model: Path, shorter_side: int | None) -> Manifest:
    """What a folder of a model's tokens says.

    Args:
        model: The checkpoint.
        shorter_side: As ``tokenize`` takes it.

    Raises:
        CheckpointError: The model does not say what it was trained on.
    """
    loaded = load_model(model)
    if loaded.data is None:
        raise CheckpointError(
            f"{model}: does not say what it was trained on, as checkpoints of 0.1 do not; train it again"
        )
    return Manifest(
        model=str(model),
        fingerprint=hashlib.sha256((model / MODEL).read_bytes()).hexdigest(),
        n_codes=loaded.quantizer.n_codes,
        n_codebooks=loaded.quantizer.n_codebooks,
        downsample=loaded.downsample,
        type="image" if loaded.data.type == "torchvision" else loaded.data.type,
        shorter_side=shorter_side,
        dtype=smallest_type(loaded.quantizer.n_codes),
        exact=tiling(loaded).exact,
        data=loaded.data,
    )


def as_trained(config: DataConfig, card: DataCard, path: str, shorter_side: int | None) -> DataConfig:
    """How files are read so that they are what the model was trained on.

    Args:
        config: The settings of the training data.
        card: What these turned out to be.
        path: The folder of the files.
        shorter_side: As ``tokenize`` takes it.

    Raises:
        DataError: Files cannot be made so.
    """
    match config:
        case TorchvisionData(clip_length=None):
            config = ImageData(path=path, channels=config.channels, resolution=config.resolution, resize=config.resize)
        case TorchvisionData():
            raise DataError("models of torchvision's data sets of videos take tensors only; see load_model")
        case SignalData() if card.sample_rate is not None:
            config = config.model_copy(update={"sample_rate": round(card.sample_rate)})
    if isinstance(config, VideoData | ImageData):
        scale = {"crop": "centre"} if shorter_side is None else {"crop": "random", "resize": shorter_side}
        config = config.model_copy(update=scale)
    elif shorter_side is not None:
        raise DataError("--shorter-side is for videos and images; this model was trained on others")
    return config.model_copy(update={"path": path})


def _shared_out(items: Iterable[Item]) -> Iterator[tuple[Item, ...]]:
    """Items in groups of one shard."""
    group: list[Item] = []
    for item in items:
        if group and (len(group) >= SHARD_FILES or sum(one.size for one in group) + item.size > SHARD_BYTES):
            yield tuple(group)
            group = []
        group.append(item)
    if group:
        yield tuple(group)


@lru_cache(maxsize=1)
def _stream(model: Path) -> tuple[Stream, DataCard]:
    """Loaded once in a process, not once a shard."""
    loaded = load_model(model, "cuda" if torch.cuda.is_available() else "cpu")
    assert loaded.data is not None
    return Stream(loaded, loaded.data, tiling(loaded)), loaded.data


def _rate(config: DataConfig, card: DataCard, content: Content) -> float | None:
    if isinstance(config, VideoData):
        return content.rate / config.frame_stride if content.rate else card.frame_rate
    return card.sample_rate if isinstance(config, SignalData) else None


def _every(blocks: Iterable[Rows], step: int) -> Iterator[Rows]:
    """Every so many rows, counted over all blocks."""
    seen = 0
    for block in blocks:
        yield block[-seen % step :: step]
        seen += len(block)
