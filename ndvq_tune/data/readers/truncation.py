"""Notices files that were cut off, by what they state of their own length.

FFmpeg reads a cut-off Matroska, WebM, AVI or GIF file to its end without a complaint, and takes the end of a wav or ogg
file for that of the sound.
"""

from pathlib import Path
from typing import BinaryIO

_ENOUGH = 1024
_EBML = b"\x1a\x45\xdf\xa3"
_SEGMENT = b"\x18\x53\x80\x67"
_UNKNOWN_SIZE = 0x7FFF_F000  # and above: what programs write to a pipe, where they cannot know; others write 0
_MAX_PAGE = 27 + 255 + 255 * 255  # bytes of the largest ogg page


def video_is_cut_off(path: Path) -> bool:
    """Whether the end of a Matroska, WebM, AVI or GIF file is missing; false for any other file."""
    length = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(_ENOUGH)
        file.seek(max(0, length - _ENOUGH))
        tail = file.read()
    if head.startswith(b"GIF8"):
        # The last picture ends with a zero, the file with a semicolon. Some programs pad the file with zeros.
        return not tail.rstrip(b"\0").endswith(b"\0;")
    if head.startswith(b"RIFF"):
        return length < _riff_length(head)
    return head.startswith(_EBML) and length < _matroska_length(head)


def sound_is_cut_off(path: Path) -> bool:
    """Whether the end of a wav or ogg file is missing; false for any other file."""
    with path.open("rb") as file:
        start = file.read(12)
        if start[:4] == b"RIFF" and start[8:] == b"WAVE":
            return _wav_is_cut_off(file, path.stat().st_size)
        return start[:4] == b"OggS" and _ogg_is_cut_off(file, path.stat().st_size)


def _riff_length(head: bytes) -> int:
    size = int.from_bytes(head[4:8], "little")
    return 0 if size == 2**32 - 1 else size


def _matroska_length(head: bytes) -> int:
    """Bytes of a file whose first element describes it, and whose second, the segment, is all the rest."""
    size, start = _size(head, len(_EBML))
    segment = start + size
    if head[segment : segment + len(_SEGMENT)] != _SEGMENT:
        return 0
    size, start = _size(head, segment + len(_SEGMENT))
    return start + size


def _size(head: bytes, position: int) -> tuple[int, int]:
    """The size written at a position, and the position behind it. A size that was left open counts as zero."""
    width = 9 - int.from_bytes(head[position : position + 1]).bit_length()
    value = int.from_bytes(head[position : position + width]) & (1 << 7 * width) - 1
    return 0 if value == (1 << 7 * width) - 1 else value, position + width


def _wav_is_cut_off(file: BinaryIO, size: int) -> bool:
    while len(header := file.read(8)) == 8:
        length = int.from_bytes(header[4:], "little")
        if header[:4] == b"data":
            return length < _UNKNOWN_SIZE and file.tell() + length > size
        file.seek(length + length % 2, 1)
    return False  # FFmpeg may find the sound where this did not


def _ogg_is_cut_off(file: BinaryIO, size: int) -> bool:
    file.seek(max(0, size - _MAX_PAGE))
    end = file.read()
    page = end[end.rfind(b"OggS") :]
    if len(page) < 27 or len(page) < 27 + page[26]:  # byte 26 is how many lengths of segments follow
        return True
    segments = page[27 : 27 + page[26]]
    return len(page) < 27 + len(segments) + sum(segments)
