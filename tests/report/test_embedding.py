import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ndvq_tune.pictures.showcase import Showcase
from ndvq_tune.report import embedding
from ndvq_tune.report.embedding import embedded


def content(address: str, kind: str) -> bytes:
    head, _, data = address.partition(",")
    assert head == f"data:{kind};base64"
    return base64.b64decode(data)


@pytest.fixture
def noisy(tmp_path: Path) -> dict[str, Showcase]:
    """Four trials with pictures and clips that hardly become smaller."""
    rng = np.random.default_rng(0)
    found = {f"trial-{number:04}": Showcase.places(tmp_path, f"trial-{number:04}") for number in range(4)}
    for showcase in found.values():
        Image.fromarray(rng.integers(0, 256, (200, 320, 3), np.uint8)).save(showcase.still)
        showcase.motion.write_bytes(rng.bytes(64_000))
        for path in showcase.sounds[0].files:
            if path.suffix == ".png":
                Image.fromarray(rng.integers(0, 256, (100, 200, 3), np.uint8)).save(path)
            else:
                path.write_bytes(rng.bytes(50_000))
    return {name: showcase.kept() for name, showcase in found.items()}


def test_whatever_there_is_takes_no_more_than_its_share_of_the_page(noisy: dict[str, Showcase]) -> None:
    shown = embedded(noisy)
    addresses = [part for found in shown for part in (found.still, found.motion)]
    addresses += [part for found in shown for pair in found.sounds for sound in pair for part in vars(sound).values()]
    assert sum(map(len, addresses)) <= embedding.ALL * 4 / 3 + 1000
    assert [bool(found.still) for found in shown] == [True] * 4
    for found in shown:
        with Image.open(io.BytesIO(content(found.still, "image/webp"))) as picture:
            assert picture.size == (320, 200)


def test_what_there_is_no_room_for_is_named(noisy: dict[str, Showcase]) -> None:
    first, *_, last = embedded(noisy)
    assert content(first.motion, "image/webp") == noisy["trial-0000"].motion.read_bytes()
    ((original, reconstruction),) = first.sounds
    assert (original.label, reconstruction.label) == ("input", "reconstruction")
    assert content(original.audio, "audio/flac") == noisy["trial-0000"].sounds[0].original.audio.read_bytes()
    assert content(reconstruction.audio, "audio/flac") == noisy["trial-0000"].sounds[0].reconstructed.audio.read_bytes()
    assert first.left_out == []
    assert last.sounds == []
    assert last.left_out[-2:] == ["trial-0003-sound-1-input.flac", "trial-0003-sound-1-reconstruction.flac"]


def test_a_picture_that_is_small_loses_nothing(tmp_path: Path) -> None:
    drawn = Image.new("RGB", (300, 200), (10, 20, 30))
    drawn.paste((200, 0, 0), (10, 10, 50, 50))
    drawn.save(tmp_path / "trial-0001.png")
    (found,) = embedded({"trial-0001": Showcase(tmp_path / "trial-0001.png")})
    with Image.open(io.BytesIO(content(found.still, "image/webp"))) as picture:
        assert np.array_equal(np.asarray(picture), np.asarray(drawn))
    assert (found.motion, found.sounds, found.left_out) == ("", [], [])
