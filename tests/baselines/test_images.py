from collections.abc import Iterator

import numpy as np
import pytest
from PIL import features

from ndvq_tune.baselines.images import image_codecs
from tests.baselines.picture_examples import photographs, saved, shown

JPEG, WEBP = image_codecs()
SCAN, JFIF, QUANTISERS, HUFFMAN = 0xDA, 0xE0, 0xDB, 0xC4


def segments(jpeg: bytes) -> Iterator[tuple[int, int]]:
    """Marker and bytes of all that comes before the scan of a JPEG file (ITU-T T.81, B.1.1)."""
    place = 2
    while jpeg[place + 1] != SCAN:
        size = 2 + int.from_bytes(jpeg[place + 2 : place + 4], "big")
        yield jpeg[place + 1], size
        place += size


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("quality", [1, 30, 95])
def test_the_bits_of_jpeg_are_those_of_the_file_without_header_and_tables(channels, quality):
    pictures = photographs(channels)
    bits, decoded = JPEG.code(pictures, quality)
    files = [saved(picture, "JPEG", quality) for picture in pictures]
    shared = [sum(size for marker, size in segments(file) if marker in (JFIF, QUANTISERS, HUFFMAN)) for file in files]
    assert all(size > 250 for size in shared)
    assert bits == 8 * sum(len(file) - size for file, size in zip(files, shared, strict=True))
    np.testing.assert_allclose(decoded, [shown(file, channels) for file in files], atol=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("quality", [1, 30, 95])
def test_the_bits_of_webp_are_those_of_its_only_chunk(channels, quality):
    pictures = photographs(channels)
    bits, decoded = WEBP.code(pictures, quality)
    files = [saved(picture, "WEBP", quality) for picture in pictures]
    assert all(file[:4] + file[8:16] == b"RIFFWEBPVP8 " for file in files)
    sizes = [int.from_bytes(file[16:20], "little") for file in files]
    assert bits == 8 * sum(size + size % 2 for size in sizes)
    np.testing.assert_allclose(decoded, [shown(file, channels) for file in files], atol=1e-6)


@pytest.mark.parametrize("codec", [JPEG, WEBP], ids=lambda codec: codec.name)
@pytest.mark.parametrize("channels", [1, 3])
def test_more_quality_is_more_bits_and_less_error(codec, channels):
    pictures = photographs(channels)
    coded = [codec.code(pictures, quality) for quality in (5, 50, 95)]
    errors = [np.square(decoded - pictures).mean() for _, decoded in coded]
    assert coded[0][0] < coded[1][0] < coded[2][0]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 1e-3


@pytest.mark.parametrize("codec", [JPEG, WEBP], ids=lambda codec: codec.name)
@pytest.mark.parametrize("colour", [(0.4,), (0.8, 0.2, 0.4)])
def test_a_constant_picture_is_kept_in_few_bits(codec, colour):
    picture = np.broadcast_to(np.array(colour, np.float32)[:, None, None], (len(colour), 64, 64))[None]
    bits, decoded = codec.code(picture, 90)
    np.testing.assert_allclose(decoded, picture, atol=4 / 255)
    assert bits < 0.5 * 64 * 64


def test_a_codec_that_pillow_lacks_is_left_out(monkeypatch):
    monkeypatch.setattr(features, "check", lambda feature: feature != "webp")
    assert [codec.name for codec in image_codecs()] == ["JPEG"]
