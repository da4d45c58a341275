"""Laying out pictures: captions, rows, columns and grids, on white."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from ndvq_tune.atomic import replacing

GAP = 4
BACKGROUND, INK = (255, 255, 255), (90, 90, 90)
TEXT = 12
_MARGIN = 8


def font(size: int = TEXT) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The font that comes with Pillow."""
    return ImageFont.load_default(size)


def caption(text: str, width: int, size: int = TEXT, ink: tuple[int, int, int] = INK) -> Image.Image:
    """A picture of a text, broken into lines.

    Args:
        text: One word at least.
        width: Pixels that a line may take; a word that is wider stays whole.
        size: Height of the letters in pixels.
        ink: Their colour.
    """
    lines: list[str] = []
    for word in text.split():
        if lines and font(size).getlength(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    needed = max(round(font(size).getlength(line)) + 1 for line in lines)
    picture = Image.new("RGB", (needed, len(lines) * (size + GAP) + GAP), BACKGROUND)
    draw = ImageDraw.Draw(picture)
    for number, line in enumerate(lines):
        draw.text((0, number * (size + GAP)), line, fill=ink, font=font(size))
    return picture


def below(pictures: Sequence[Image.Image], gap: int = GAP) -> Image.Image:
    """Pictures one below another, at the left."""
    height = sum(picture.height + gap for picture in pictures) - gap
    column = Image.new("RGB", (max(picture.width for picture in pictures), height), BACKGROUND)
    top = 0
    for picture in pictures:
        column.paste(picture, (0, top))
        top += picture.height + gap
    return column


def beside(pictures: Sequence[Image.Image], gap: int = GAP) -> Image.Image:
    """Pictures from left to right, at the top."""
    width = sum(picture.width + gap for picture in pictures) - gap
    row = Image.new("RGB", (width, max(picture.height for picture in pictures)), BACKGROUND)
    left = 0
    for picture in pictures:
        row.paste(picture, (left, 0))
        left += picture.width + gap
    return row


def grid(pictures: Sequence[Image.Image], columns: int, gap: int = GAP) -> Image.Image:
    """Pictures in rows from left to right, the rows one below another.

    Args:
        pictures: One at least.
        columns: Pictures in a row.
        gap: Pixels between them.

    Example:
        >>> grid([Image.new("RGB", (10, 8))] * 5, columns=2, gap=2).size
        (22, 28)
    """
    rows = [pictures[start : start + columns] for start in range(0, len(pictures), columns)]
    return below([beside(row, gap) for row in rows], gap)


def framed(picture: Image.Image) -> Image.Image:
    """A picture with a margin."""
    sheet = Image.new("RGB", (picture.width + 2 * _MARGIN, picture.height + 2 * _MARGIN), BACKGROUND)
    sheet.paste(picture, (_MARGIN, _MARGIN))
    return sheet


def save(picture: Image.Image, path: Path) -> None:
    """Writes a picture as PNG, with a margin; it is there whole or not at all."""
    with replacing(path) as draft:
        framed(picture).save(draft, format="PNG", optimize=True)
