"""Whether a wav or ogg file is as long as its own headers state: FFmpeg takes the file's end for the sound's."""

from pathlib import Path
from typing import BinaryIO

UNKNOWN_SIZE = 0x7FFF_F000  # and above: what programs write to a pipe, where they cannot know; others write 0
MAX_PAGE = 27 + 255 + 255 * 255  # bytes of the largest ogg page


def is_cut_off(path: Path) -> bool:
    """Whether a file ends before its headers say.

    Args:
        path: Any file; False if it is neither wav nor ogg.
    """
    with path.open("rb") as file:
        start = file.read(12)
        if start[:4] == b"RIFF" and start[8:] == b"WAVE":
            return _wav_is_cut_off(file, path.stat().st_size)
        return start[:4] == b"OggS" and _ogg_is_cut_off(file, path.stat().st_size)


def _wav_is_cut_off(file: BinaryIO, size: int) -> bool:
    while len(header := file.read(8)) == 8:
        length = int.from_bytes(header[4:], "little")
        if header[:4] == b"data":
            return length < UNKNOWN_SIZE and file.tell() + length > size
        file.seek(length + length % 2, 1)
    return False  # FFmpeg may find the sound where this did not


def _ogg_is_cut_off(file: BinaryIO, size: int) -> bool:
    file.seek(max(0, size - MAX_PAGE))
    end = file.read()
    page = end[end.rfind(b"OggS") :]
    if len(page) < 27 or len(page) < 27 + page[26]:  # byte 26 is how many lengths of segments follow
        return True
    segments = page[27 : 27 + page[26]]
    return len(page) < 27 + len(segments) + sum(segments)
