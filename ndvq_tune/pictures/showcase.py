"""What there is to see and to hear of a model: which files, and where they lie."""

from dataclasses import dataclass, replace
from pathlib import Path

SOUNDS = 2


@dataclass(frozen=True)
class Heard:
    """A sound.

    Attributes:
        audio: What can be played, a FLAC file.
        spectrogram: What it looks like, a PNG.
    """

    audio: Path
    spectrogram: Path

    @property
    def files(self) -> tuple[Path, ...]:
        """Both."""
        return self.audio, self.spectrogram


@dataclass(frozen=True)
class Sound:
    """A sound of the test data, and what a model makes of it.

    Attributes:
        original: The input.
        reconstructed: Its reconstruction.
    """

    original: Heard
    reconstructed: Heard

    @property
    def files(self) -> tuple[Path, ...]:
        """All of both."""
        return self.original.files + self.reconstructed.files


@dataclass(frozen=True)
class Showcase:
    """What one trial's model makes of test samples.

    Attributes:
        still: Inputs above reconstructions, or waveforms over each other; a PNG.
        motion: An input beside its reconstruction, an animated WebP; of videos and volumes.
        sounds: Inputs and reconstructions to listen to; of sounds.
    """

    still: Path
    motion: Path | None = None
    sounds: tuple[Sound, ...] = ()

    @classmethod
    def places(cls, folder: Path, name: str) -> "Showcase":
        """Where everything lies that a trial can have, be it there or not.

        Args:
            folder: The folder of pictures.
            name: The trial's.
        """

        def heard(place: str) -> Heard:
            return Heard(folder / f"{place}.flac", folder / f"{place}.png")

        sounds = [f"{name}-sound-{number}" for number in range(1, SOUNDS + 1)]
        return cls(
            folder / f"{name}.png",
            folder / f"{name}.webp",
            tuple(Sound(heard(f"{sound}-input"), heard(f"{sound}-reconstruction")) for sound in sounds),
        )

    @property
    def files(self) -> tuple[Path, ...]:
        """All of its files."""
        motion = () if self.motion is None else (self.motion,)
        return (self.still, *motion, *(path for sound in self.sounds for path in sound.files))

    def kept(self) -> "Showcase":
        """What is there of it, beside the still picture."""
        motion = self.motion if self.motion and self.motion.is_file() else None
        sounds = tuple(sound for sound in self.sounds if all(path.is_file() for path in sound.files))
        return replace(self, motion=motion, sounds=sounds)
