"""How good a model is on whole files, by one protocol for all models."""

import lzma
import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from ndvq_tune.data.cache.source import Item, Progress, silent
from ndvq_tune.data.folder.files import find_files
from ndvq_tune.data.folder.source import KINDS, FolderSource
from ndvq_tune.errors import DataError, InputError
from ndvq_tune.metrics import misfit, psnr
from ndvq_tune.model import NDimVQVAE
from ndvq_tune.model.tiles import tiling
from ndvq_tune.tokens.store import Manifest, smallest_type
from ndvq_tune.tokens.streams import Codes, Rows, Stream
from ndvq_tune.tokens.tokenize import File, as_trained, manifest_for
from ndvq_tune.training.checkpoint import load_config, load_model
from ndvq_tune.training.evaluation import over_variance
from ndvq_tune.training.image_quality import frame_similarities

PROTOCOL = (
    "whole files, read as the training data was, encoded, decoded and rounded as they would be written; errors over "
    "all elements of all files, recon_loss over the variance of the model's training data; SSIM and MS-SSIM are means "
    "over frames, SI-SDR over sounds; coded bits are those of LZMA, file by file; speed is of this machine, and of "
    "encoding with reading"
)
_FRAMES = ("ssim", "ms_ssim")


@dataclass(frozen=True)
class Evaluation:
    """What was measured of a model.

    Attributes:
        metrics: By name; ``coded_bits_per_element``, ``si_sdr`` (dB, of sounds), ``encoded_per_second`` and
            ``decoded_per_second`` (elements) beside those of ``ndvq_tune.metrics``.
        files: How many files that is of.
        skipped: Files that could not be used, with the reason.
    """

    metrics: dict[str, float]
    files: int
    skipped: dict[str, str] = field(default_factory=dict)


def evaluate(model: Path, data: str, shorter_side: int | None = None, progress: Progress = silent) -> Evaluation:
    """Measure a model on all files of a folder.

    Args:
        model: The checkpoint.
        data: The folder, or a URI; files are found in the folders in it, too.
        shorter_side: Pixels that the shorter side of frames is scaled to, and nothing is cropped; if not given, frames
            are scaled and cropped as training samples were.
        progress: Told how many files are done.

    Raises:
        CheckpointError: The model does not say what it was trained on.
        DataError: There is no file that can be used.
    """
    manifest = manifest_for(model, shorter_side)
    source = FolderSource(as_trained(load_config(model).data, manifest.data, data, shorter_side), data)
    files = find_files(data, KINDS[source.config.type].suffixes).files
    loaded = load_model(model, "cuda" if torch.cuda.is_available() else "cpu")
    sums, skipped = _Sums(loaded, manifest), {}
    for number, file in enumerate(files, start=1):
        try:
            sums.add(source, Item(file.name, file.size, ""))
        except (DataError, InputError) as error:
            skipped[file.name] = str(error)
        progress(f"evaluating on {source.noun}", number, len(files))
    if not sums.files:
        reason = f", for example {next(iter(skipped.values()))}" if skipped else ""
        raise DataError(f"{source.place}: there are no {source.noun} in it that can be used{reason}")
    return Evaluation(sums.metrics(), sums.files, skipped)


class _Sums:
    """Sums over files, of which the metrics are made."""

    def __init__(self, model: NDimVQVAE, manifest: Manifest) -> None:
        self._model, self._manifest, self._card = model, manifest, manifest.data
        self._stream = Stream(model, manifest.data, tiling(model))
        self._squared: npt.NDArray[np.float64] = np.zeros(manifest.data.channels)
        self._counts = np.zeros((manifest.n_codebooks, manifest.n_codes))
        self._similar = dict.fromkeys(_FRAMES, 0.0)
        self._noise: list[float] = []  # SI-SDR of each sound
        self._positions = self._frames = self._coded = self._codes = 0
        self._encoding = self._decoding = 0.0
        self._misfits: set[str] = set()
        self.files = 0

    def add(self, source: FolderSource, item: Item) -> None:
        """Measure a file; nothing is added if it cannot be used."""
        file = File(self._stream, self._card, source, item)
        began = time.perf_counter()
        codes = np.concatenate(list(file.codes()))
        self._encoding += time.perf_counter() - began
        samples = self._manifest.type == "array"
        decode = self._stream.decode_samples if samples else self._stream.decode
        self._compare(file.rows(), self._timed(decode(codes, file.size)))
        self._positions += math.prod(file.size) * (len(codes) if samples else 1)
        self._count(codes)
        self.files += 1

    def metrics(self) -> dict[str, float]:
        """Of all files."""
        mse = torch.from_numpy(self._squared / self._positions)
        loss = over_variance(mse, self._model.data_variance.cpu()).mean().item()
        shares = self._counts / self._counts.sum(1, keepdims=True)
        entropy = -(shares * np.log(shares, out=np.zeros_like(shares), where=shares > 0)).sum(1)
        bits = math.log2(self._manifest.n_codes) * self._codes
        similar = {
            name: total / self._frames
            for name, total in self._similar.items()
            if self._frames and name not in self._misfits
        }
        return {
            "recon_loss": loss,
            "psnr": psnr(mse.mean().item()),
            **similar,
            **({"si_sdr": float(np.mean(self._noise))} if self._noise else {}),
            "bits_per_element": bits / self._positions,
            "entropy_bits_per_element": float(entropy.mean()) / math.log(2) * self._codes / self._positions,
            "coded_bits_per_element": 8 * self._coded / self._positions,
            "perplexity": float(np.exp(entropy.mean())),
            "codebook_usage": float((self._counts > 0).mean()),
            "encoded_per_second": self._positions / self._encoding,
            "decoded_per_second": self._positions / self._decoding,
        }

    def _count(self, codes: Codes) -> None:
        several = self._manifest.n_codebooks > 1
        for book, count in enumerate(self._counts):
            of_book = codes[..., book] if several else codes
            count += np.bincount(of_book.ravel(), minlength=len(count))
        self._coded += len(lzma.compress(codes.astype(smallest_type(self._manifest.n_codes)).tobytes()))
        self._codes += codes.size

    def _compare(self, given: Iterable[Rows], made: Iterable[Rows]) -> None:
        products = np.zeros(3)  # of sounds about silence: given with given, given with made, made with made
        image = self._manifest.type == "image"
        for x_rows, recon_rows in _whole(given, made) if image else paired(given, made):
            x, recon = (self._card.to_unit(rows.astype(np.float64)) for rows in (x_rows, recon_rows))
            self._squared += ((recon - x) ** 2).reshape(-1, x.shape[-1]).sum(0)
            if self._card.sample_rate is not None:
                a, b = (x - 0.5).ravel(), (recon - 0.5).ravel()
                products += (a @ a, a @ b, b @ b)
            elif self._manifest.type in ("image", "video"):
                self._compare_frames(x[None] if image else x, recon[None] if image else recon)
        if self._card.sample_rate is not None:
            self._noise.append(si_sdr(*products))

    def _compare_frames(self, x: npt.NDArray[np.float64], recon: npt.NDArray[np.float64]) -> None:
        frames, made = (torch.from_numpy(rows).float().movedim(-1, 1) for rows in (x, recon))
        self._misfits |= {name for name in _FRAMES if misfit(name, frames.shape[1:])}
        for name in set(_FRAMES) - self._misfits:
            self._similar[name] += frame_similarities(name, made, frames).double().sum().item()
        self._frames += len(frames)

    def _timed(self, blocks: Iterator[Rows]) -> Iterator[Rows]:
        while True:
            began = time.perf_counter()
            block = next(blocks, None)
            self._decoding += time.perf_counter() - began
            if block is None:
                return
            yield block


def si_sdr(given: float, both: float, made: float) -> float:
    """Scale-invariant signal-to-distortion ratio in dB (Le Roux et al., 2019, eq. 2 and 3; arxiv.org/abs/1811.02508).

    Args:
        given: The sum of squares of the signal.
        both: The sum of its products with the reconstruction.
        made: The sum of squares of the reconstruction.

    Example:
        >>> round(si_sdr(1.0, 2.0, 4.4), 1)  # twice as loud, and a tenth of noise in power
        10.0
    """
    target = both**2 / given if given > 0 else 0.0
    noise = max(made - target, 1e-12)
    return 10 * math.log10(max(target, 1e-12) / noise)


def paired(first: Iterable[Rows], second: Iterable[Rows]) -> Iterator[tuple[Rows, Rows]]:
    """The rows of two streams of the same length side by side, whatever blocks they come in."""
    lefts, rights = iter(first), iter(second)
    left, right = next(lefts, None), next(rights, None)
    while left is not None and right is not None:
        length = min(len(left), len(right))
        if length:
            yield left[:length], right[:length]
        left = left[length:] if len(left) > length else next(lefts, None)
        right = right[length:] if len(right) > length else next(rights, None)


def _whole(given: Iterable[Rows], made: Iterable[Rows]) -> Iterator[tuple[Rows, Rows]]:
    yield np.concatenate(list(given)), np.concatenate(list(made))
