"""Notices videos that were cut off, by what their files tell of their own length.

FFmpeg reads a cut-off Matroska, WebM, AVI or GIF file to its end without a complaint.
"""

from pathlib import Path

_ENOUGH = 1024
_EBML = b"\x1a\x45\xdf\xa3"
_SEGMENT = b"\x18\x53\x80\x67"


def is_cut_off(path: Path) -> bool:
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
