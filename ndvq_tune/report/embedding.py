"""Pictures, clips and sounds as parts of the page itself, which is one file; no more than such a page may hold."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from ndvq_tune.pictures.showcase import Showcase, Sound
from ndvq_tune.pictures.webp import webp

# In bytes; base64 makes a third more of them, and the page is to stay under 3 MB with 2 MB of script and charts.
ALL, STILLS, SPECTROGRAM = 600_000, 360_000, 20_000


@dataclass(frozen=True)
class EmbeddedSound:
    """A sound, as addresses that hold it.

    Attributes:
        label: Which it is.
        audio: To be played.
        spectrogram: To be looked at.
    """

    label: str
    audio: str
    spectrogram: str


@dataclass
class Embedded:
    """What there is of a trial, as addresses that hold it.

    Attributes:
        name: The trial's.
        still: Inputs and reconstructions.
        motion: An input beside its reconstruction; empty if there is none.
        sounds: Each an input and its reconstruction.
        left_out: Names of files that the page has no room for.
    """

    name: str
    still: str
    motion: str = ""
    sounds: list[tuple[EmbeddedSound, EmbeddedSound]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def embedded(pictures: Mapping[str, Showcase]) -> list[Embedded]:
    """All still pictures, and as many clips and sounds as there is room for.

    Args:
        pictures: By the name of their trial; clips and sounds of the first go before those of the others.
    """
    share = STILLS // max(1, len(pictures))
    shown = [Embedded(name, _picture(showcase.still, share)) for name, showcase in pictures.items()]
    room = ALL * 4 // 3 - sum(len(found.still) for found in shown)
    for found, showcase in zip(shown, pictures.values(), strict=True):
        motion = _address(showcase.motion.read_bytes(), "image/webp") if showcase.motion else ""
        if len(motion) <= room:
            found.motion, room = motion, room - len(motion)
        elif showcase.motion:
            found.left_out.append(showcase.motion.name)
        for sound in showcase.sounds:
            pair = _sound(sound)
            size = sum(len(part.audio) + len(part.spectrogram) for part in pair)
            if size <= room:
                found.sounds.append(pair)
                room -= size
            else:
                found.left_out += [heard.audio.name for heard in (sound.original, sound.reconstructed)]
    return shown


def _sound(sound: Sound) -> tuple[EmbeddedSound, EmbeddedSound]:
    input_, reconstruction = (
        EmbeddedSound(label, _address(heard.audio.read_bytes(), "audio/flac"), _picture(heard.spectrogram, SPECTROGRAM))
        for label, heard in (("input", sound.original), ("reconstruction", sound.reconstructed))
    )
    return input_, reconstruction


def _picture(path: Path, most: int) -> str:
    with Image.open(path) as picture:
        return _address(webp(picture, most), "image/webp")


def _address(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
