"""A data card in words, for the page and the terminal."""

from collections.abc import Sequence

from ndvq_tune.config.card import Cut, DataCard
from ndvq_tune.quantities import count_text
from ndvq_tune.report.wording import listed


def facts(card: DataCard, shape: Sequence[int]) -> dict[str, str]:
    """A data card as its reader reads it, a line each.

    Args:
        card: The card.
        shape: Shape ``(C, *S)`` of a sample.
    """
    names = f" ({listed(card.channel_names)})" if card.channel_names else ""
    test = f"; test files {card.test_fingerprint}" if card.test_fingerprint != card.fingerprint else ""
    return {
        "data": f"{card.type}, from {'a folder' if card.source == 'folder' else card.source}",
        "files": f"{card.files:,}",
        "samples": f"{card.train_samples:,} for training, {card.test_samples:,} for testing",
        "shape": f"{' x '.join(map(str, shape))}, channels first{names}",
        **cut_facts(card.train_cut),
        **_rate(card),
        "range": f"{card.low:g} to {card.high:g}, which a model sees as 0 to 1",
        "values": f"{card.dtype}, for training from {card.minimum:g} to {card.maximum:g}",
        "fingerprint": f"{card.fingerprint}{test}",
    }


def cut_facts(cut: Cut) -> dict[str, str]:
    """How samples were cut from files, where they are no whole images or arrays."""
    rows = f"{count_text(cut.length, 'row')}, {cut.step} apart, a sample every {cut.stride}" if cut.length else ""
    crop = f"{cut.crop} x {cut.crop} from larger frames" if cut.crop else ""
    return {"cut": "; ".join(filter(None, (rows, crop)))} if rows or crop else {}


def _rate(card: DataCard) -> dict[str, str]:
    """Steps or frames a second of a sample, where it has a rate, and which files have another one."""
    if card.sample_rate:
        resampled = f"; {count_text(sum(card.resampled.values()), 'file')} resampled" if card.resampled else ""
        return {"sample rate": f"{card.sample_rate:,g} Hz{resampled}"}
    others = listed([f"{count:,} of {rate:.4g}" for rate, count in card.file_rates.items()])
    return {"frame rate": f"{card.frame_rate:.4g} a second; files: {others}"} if card.frame_rate else {}
