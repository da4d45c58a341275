"""Tokens back to files."""

from pathlib import Path

import torch

from ndvq_tune.atomic import replacing
from ndvq_tune.data.cache.source import Progress, silent
from ndvq_tune.errors import ResultsError
from ndvq_tune.model.tiles import tiling
from ndvq_tune.tokens.store import Manifest, Recording, Shard, manifest_of, shards_of
from ndvq_tune.tokens.streams import Stream
from ndvq_tune.tokens.tokenize import manifest_for
from ndvq_tune.tokens.writers import Form, form_of
from ndvq_tune.training.checkpoint import load_model


def reconstruct(model: Path, tokens: Path, output: Path, progress: Progress = silent) -> int:
    """Decode all recordings of a folder of tokens; files that are there already are left as they are.

    Args:
        model: The checkpoint that encoded them.
        tokens: The folder of tokens.
        output: Where the files go, under the names that they had, with another suffix where they are of another kind.
        progress: Told how many are done.

    Returns:
        How many files were written.

    Raises:
        CheckpointError: There is no model.
        ResultsError: There are no tokens, or they are of another model.
    """
    manifest = manifest_of(tokens)
    if manifest_for(model, manifest.shorter_side).fingerprint != manifest.fingerprint:
        raise ResultsError(f"{tokens}: was encoded by another model ({manifest.model}); pass that one as --model")
    loaded = load_model(model, "cuda" if torch.cuda.is_available() else "cpu")
    stream, form = Stream(loaded, manifest.data, tiling(loaded)), form_of(manifest.type, manifest.data)
    found = [(shard, recording) for shard in shards_of(tokens) for recording in shard.recordings]
    written = 0
    for number, (shard, recording) in enumerate(found, start=1):
        path = path_of(output, recording.name, form)
        if not path.exists():
            _write(stream, manifest, shard, recording, form, path)
            written += 1
        progress("decoding", number, len(found))
    return written


def path_of(output: Path, name: str, form: Form) -> Path:
    """Where the reconstruction of a file goes.

    Args:
        output: The folder.
        name: The file's path below the folder that it came from.
        form: What it is written as.

    Raises:
        ResultsError: The name leads out of the folder.

    Example:
        >>> path_of(Path("out"), "a/b.avi", Form(".mp4", print)).as_posix()
        'out/a/b.avi.mp4'
    """
    path = output / (name if name.lower().endswith(form.suffix) else name + form.suffix)
    if not path.resolve().is_relative_to(output.resolve()):
        raise ResultsError(f"{name}: leads out of {output}; these tokens were made or changed by somebody else")
    return path


def _write(stream: Stream, manifest: Manifest, shard: Shard, recording: Recording, form: Form, path: Path) -> None:
    codes = shard.codes(recording)
    samples = manifest.type == "array"
    rows = (stream.decode_samples if samples else stream.decode)(codes, recording.size)
    count = recording.shape[:1] if samples else ()
    with replacing(path) as draft:
        form.write(draft, rows, (*count, *recording.size, manifest.data.channels), recording.rate)
