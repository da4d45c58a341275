import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import ExifTags, Image

from ndvq_tune.config.data import ImageData
from ndvq_tune.data.readers.image import SETTINGS, SUFFIXES, fit, read_image
from ndvq_tune.errors import DataError

LOSSLESS = {".png": {}, ".tif": {}, ".tiff": {"compression": "tiff_lzw"}, ".bmp": {}, ".webp": {"lossless": True}}


def noise(*shape: int, dtype: type = np.uint8, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max + 1, shape, dtype=dtype)


def read(path: Path, **settings: Any) -> np.ndarray:
    (block,) = read_image(path, ImageData(**settings))
    assert block.shape[0] == 1
    assert block.flags.c_contiguous
    return block[0]


def write_png16(path: Path, pixels: np.ndarray, *chunks: bytes) -> Path:
    """A 16 bit PNG by the letter of its specification: Pillow writes none with colours."""
    height, width, channels = pixels.shape
    header = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    body = [chunk(b"IHDR", header), *chunks, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(body))
    return path


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def write_tiff16(path: Path, pixels: np.ndarray, compression: str = "deflate") -> Path:
    with av.open(str(path), "w", format="image2", options={"update": "1"}) as container:
        stream = container.add_stream("tiff", rate=1, options={"compression_algo": compression})
        stream.height, stream.width, channels = pixels.shape
        stream.pix_fmt = {3: "rgb48le", 4: "rgba64le"}[channels]
        container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, stream.pix_fmt)))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize("suffix", LOSSLESS)
def test_lossless_image_comes_back_exactly(tmp_path: Path, suffix: str) -> None:
    pixels = noise(16, 16, 3)
    Image.fromarray(pixels).save(tmp_path / f"a{suffix}", **LOSSLESS[suffix])
    decoded = read(tmp_path / f"a{suffix}", resolution=16)
    assert decoded.dtype == np.uint8
    assert np.array_equal(decoded, pixels)


@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
def test_every_suffix_is_read(tmp_path: Path, suffix: str) -> None:
    Image.new("RGB", (20, 20), (200, 100, 50)).save(tmp_path / f"photo été{suffix}")
    assert np.abs(read(tmp_path / f"photo été{suffix}", resolution=16) - np.array([200.0, 100, 50])).max() <= 3


def test_settings_are_fields_of_the_configuration() -> None:
    assert set(SETTINGS) <= set(ImageData.model_fields)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("width", "height"), [(97, 51), (51, 97), (16, 16), (7, 9), (300, 17)])
def test_scaling_is_pillows_bicubic_then_the_centre(tmp_path: Path, width: int, height: int, channels: int) -> None:
    image = Image.fromarray(noise(height, width, 3)).convert({1: "L", 3: "RGB"}[channels])
    image.save(tmp_path / "a.png")
    scale = 24 / min(width, height)
    size = round(width * scale), round(height * scale)
    scaled = np.asarray(image.resize(size, Image.Resampling.BICUBIC)).reshape(size[1], size[0], channels)
    top, left = (size[1] - 16) // 2, (size[0] - 16) // 2
    decoded = read(tmp_path / "a.png", resolution=16, resize=24, channels=channels)
    assert np.array_equal(decoded, scaled[top : top + 16, left : left + 16])


def test_random_crop_leaves_the_scaled_image_whole(tmp_path: Path) -> None:
    image = Image.fromarray(noise(40, 60, 3))
    image.save(tmp_path / "a.png")
    decoded = read(tmp_path / "a.png", resolution=16, resize=20, crop="random")
    assert np.array_equal(decoded, np.asarray(image.resize((30, 20), Image.Resampling.BICUBIC)))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_16_bits_are_scaled_like_8(channels: int) -> None:
    pixels = noise(40, 56, channels)
    config = ImageData(resolution=16, channels=4)
    wide = fit(pixels.astype(np.uint16) * 257, config, 16)
    assert wide.dtype == np.uint16
    alpha = wide[..., 3:] / 65535
    # Pillow keeps 8 bits of colours multiplied by alpha, so that is where the two can be compared.
    difference = wide / 257 - fit(pixels, config, 8)
    assert np.abs(difference[..., :3] * alpha).max() <= 2
    assert np.abs(difference[..., 3]).max() <= 1


def test_16_bits_keep_what_8_cannot_tell_apart(tmp_path: Path) -> None:
    ramp = np.broadcast_to(np.arange(30000, 30256, 4, dtype=np.uint16)[:, None, None], (64, 64, 3))
    decoded = read(write_png16(tmp_path / "a.png", ramp), resolution=16, bits=16)
    block_means = ramp.reshape(16, 4, 16, 4, 3).mean(axis=(1, 3))
    assert np.abs(decoded[1:-1] - block_means[1:-1]).max() <= 1


@pytest.mark.parametrize("compression", ["raw", "lzw", "deflate", "packbits"])
@pytest.mark.parametrize("channels", [3, 4])
def test_16_bit_tiff_comes_back_exactly(tmp_path: Path, channels: int, compression: str) -> None:
    pixels = noise(16, 16, channels, dtype=np.uint16)
    path = write_tiff16(tmp_path / "a.tiff", pixels, compression)
    assert np.array_equal(np.asarray(Image.open(path))[..., :3], pixels[..., :3] >> 8)
    assert np.array_equal(read(path, resolution=16, channels=channels, bits=16), pixels)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_16_bit_png_comes_back_exactly(tmp_path: Path, channels: int) -> None:
    pixels = noise(16, 16, channels, dtype=np.uint16)
    path = write_png16(tmp_path / "100% a:b [1] %03d.png", pixels)
    assert np.array_equal(read(path, resolution=16, channels=channels, bits=16), pixels)
    rounded = np.rint(pixels / 257).astype(np.uint8)
    assert np.array_equal(read(path, resolution=16, channels=channels, bits=8), rounded)


def test_16_bit_grey_with_alpha_comes_back_exactly(tmp_path: Path) -> None:
    pixels = noise(16, 16, 2, dtype=np.uint16)
    decoded = read(write_png16(tmp_path / "a.png", pixels), resolution=16, channels=4, bits=16)
    assert np.array_equal(decoded, pixels[..., [0, 0, 0, 1]])


def test_16_bit_colour_that_stands_for_transparent(tmp_path: Path) -> None:
    pixels = noise(16, 16, 3, dtype=np.uint16)
    key = chunk(b"tRNS", pixels[3, 5].astype(">u2").tobytes())
    decoded = read(write_png16(tmp_path / "a.png", pixels, key), resolution=16, channels=4, bits=16)
    assert np.array_equal(decoded[..., :3], pixels)
    assert decoded[3, 5, 3] == 0
    assert decoded[..., 3].sum(dtype=int) == 65535 * 255


@pytest.mark.parametrize("mode", ["I;16", "I;16B"])
def test_16_bit_grey_tiff_in_either_byte_order(tmp_path: Path, mode: str) -> None:
    pixels = noise(16, 16, dtype=np.uint16)
    image = Image.frombytes(mode, (16, 16), pixels.astype("<u2" if mode == "I;16" else ">u2").tobytes())
    image.save(tmp_path / "a.tif")
    assert (tmp_path / "a.tif").read_bytes()[:2] == (b"II" if mode == "I;16" else b"MM")
    assert np.array_equal(read(tmp_path / "a.tif", resolution=16, channels=1, bits=16)[..., 0], pixels)


def test_8_bits_become_16_times_257(tmp_path: Path) -> None:
    pixels = noise(16, 16, 3)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    decoded = read(tmp_path / "a.png", resolution=16, bits=16)
    assert decoded.dtype == np.uint16
    assert np.array_equal(decoded, pixels.astype(int) * 257)


PALETTE = [255, 0, 0, 0, 255, 0, 0, 0, 255]


def palette(**info: Any) -> tuple[Image.Image, dict[str, Any]]:
    image = Image.new("P", (16, 16), 1)
    image.putpalette(PALETTE)
    return image, info


@pytest.mark.parametrize(
    ("image", "options", "suffix", "rgba", "grey"),
    [
        (Image.new("L", (16, 16), 90), {}, ".png", (90, 90, 90, 255), 90),
        (Image.new("LA", (16, 16), (90, 51)), {}, ".png", (90, 90, 90, 51), 18),
        (Image.new("1", (16, 16), 1), {}, ".png", (255, 255, 255, 255), 255),
        (Image.new("1", (16, 16), 1), {}, ".tif", (255, 255, 255, 255), 255),
        (Image.new("RGB", (16, 16), (10, 200, 30)), {}, ".bmp", (10, 200, 30, 255), 124),
        (Image.new("RGBA", (16, 16), (250, 0, 5, 102)), {}, ".png", (250, 0, 5, 102), 30),
        (Image.new("RGBA", (16, 16), (250, 0, 5, 102)), {"lossless": True}, ".webp", (250, 0, 5, 102), 30),
        (*palette(), ".png", (0, 255, 0, 255), 150),
        (*palette(), ".bmp", (0, 255, 0, 255), 150),
        (*palette(transparency=bytes([255, 51])), ".png", (0, 255, 0, 51), 30),
        (*palette(transparency=1), ".png", (0, 255, 0, 0), 0),
        (Image.new("L", (16, 16), 90), {"transparency": 90}, ".png", (90, 90, 90, 0), 0),
        (Image.new("CMYK", (16, 16), (0, 255, 255, 0)), {}, ".tif", (255, 0, 0, 255), 76),
        (Image.new("CMYK", (16, 16), (255, 255, 255, 255)), {"quality": 100}, ".jpg", (0, 0, 0, 255), 0),
        (Image.new("YCbCr", (16, 16), (90, 128, 128)), {"quality": 100}, ".jpg", (90, 90, 90, 255), 90),
    ],
)
def test_every_kind_of_colour(
    tmp_path: Path, image: Image.Image, options: dict[str, Any], suffix: str, rgba: tuple[int, ...], grey: int
) -> None:
    path = tmp_path / f"a{suffix}"
    image.save(path, **options)
    over_black = np.rint(np.array(rgba[:3]) * rgba[3] / 255)
    for bits, white in ((8, 1), (16, 257)):
        decoded = {channels: read(path, resolution=16, channels=channels, bits=bits) for channels in (1, 3, 4)}
        assert np.abs(decoded[4].astype(int) - np.array(rgba) * white).max() <= white - 1
        assert np.abs(decoded[3].astype(int) - over_black * white).max() <= white - 1
        assert np.abs(decoded[1].astype(int) - grey * white).max() <= white - 1


def test_grey_is_pillows(tmp_path: Path) -> None:
    image = Image.fromarray(noise(16, 16, 3))
    image.save(tmp_path / "a.png")
    assert np.array_equal(read(tmp_path / "a.png", resolution=16, channels=1)[..., 0], np.asarray(image.convert("L")))


@pytest.mark.parametrize(("bits", "dtype", "white"), [(8, np.uint8, 255), (16, np.uint16, 65535)])
def test_transparent_colours_are_laid_over_black(bits: int, dtype: type, white: int) -> None:
    pixels = noise(16, 16, 4, dtype=dtype)
    over_black = np.rint(pixels[..., :3].astype(float) * pixels[..., 3:] / white)
    assert np.array_equal(fit(pixels, ImageData(resolution=16, channels=3), bits), over_black)


@pytest.mark.parametrize("bits", [8, 16])
def test_what_is_transparent_does_not_colour_its_neighbours(tmp_path: Path, bits: int) -> None:
    pixels = np.full((32, 32, 4), np.iinfo(np.uint16).max, np.uint16)
    pixels[:, 16:] = (0, 65535, 0, 0)
    decoded = read(write_png16(tmp_path / "a.png", pixels), resolution=15, bits=bits, channels=3)
    assert np.ptp(decoded.astype(int), axis=2).max() <= 2
    assert decoded[0, 0].min() == np.iinfo(decoded.dtype).max
    assert decoded[0, -1].max() == 0


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", [".jpg", ".png", ".tif", ".tiff", ".webp", "16 bit png"])
def test_rotated_photographs_are_set_upright(tmp_path: Path, kind: str, orientation: int) -> None:
    upright = np.zeros((16, 24), np.uint8)
    upright[:8, :12] = 250
    upright[:8, 12:] = 120
    # The inverse of what EXIF tells a viewer to do.
    stored = {
        1: upright,
        2: np.fliplr(upright),
        3: np.rot90(upright, 2),
        4: np.flipud(upright),
        5: upright.T,
        6: np.rot90(upright),
        7: np.rot90(upright, 2).T,
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    if kind == "16 bit png":
        colours = np.repeat(stored[..., None].astype(np.uint16) * 257, 3, axis=2)
        path = write_png16(tmp_path / "a.png", colours, chunk(b"eXIf", exif.tobytes()[6:]))
    else:
        path = tmp_path / f"a{kind}"
        Image.fromarray(np.ascontiguousarray(stored)).save(path, exif=exif, **LOSSLESS.get(kind, {"quality": 95}))
    decoded = read(path, resolution=16, resize=16, crop="random", channels=1)[..., 0]
    assert decoded.shape == upright.shape
    assert np.abs(decoded.astype(int) - upright).max() <= 8


@pytest.mark.parametrize("suffix", [".tif", ".webp", ".png"])
def test_of_several_images_the_first_is_read(tmp_path: Path, suffix: str) -> None:
    first, second = (Image.new("RGB", (16, 16), (shade, shade, shade)) for shade in (40, 200))
    first.save(tmp_path / f"a{suffix}", save_all=True, append_images=[second])
    assert np.abs(read(tmp_path / f"a{suffix}", resolution=16).astype(int) - 40).max() <= 2


def image_file(suffix: str) -> bytes:
    content = io.BytesIO()
    options = {".jpg": "JPEG", ".png": "PNG", ".tif": "TIFF", ".webp": "WEBP", ".bmp": "BMP"}
    Image.fromarray(noise(64, 64, 3)).save(content, options[suffix])
    return content.getvalue()


def cut_off(suffix: str) -> bytes:
    content = image_file(suffix)
    return content[: len(content) * 6 // 10]


def saved(image: Image.Image) -> Callable[[str], bytes]:
    def content(suffix: str) -> bytes:
        file = io.BytesIO()
        image.save(file, "TIFF")
        return file.getvalue()

    return content


def huge(suffix: str) -> bytes:
    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "suffix", "reason"),
    [
        (lambda suffix: b"", ".png", "the file is empty"),
        (lambda suffix: b"this is not an image\n" * 100, ".png", "not an image"),
        (lambda suffix: b"this is not an image\n" * 100, ".jpg", "not an image"),
        (cut_off, ".jpg", "truncated"),
        (cut_off, ".png", "truncated"),
        (cut_off, ".tif", "truncated"),
        (cut_off, ".bmp", "truncated"),
        (cut_off, ".webp", "not a readable image"),
        (lambda suffix: image_file(suffix)[:20], ".jpg", "not a"),
        (huge, ".png", "pixels; make it smaller"),
        (saved(Image.new("F", (16, 16))), ".tif", "neither 8 nor 16 bits"),
        (saved(Image.new("I", (16, 16))), ".tif", "neither 8 nor 16 bits"),
    ],
)
def test_bad_files_are_named_with_a_reason(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], content: Callable[[str], bytes], suffix: str, reason: str
) -> None:
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(content(suffix))
    with pytest.raises(DataError) as caught:
        read(path, resolution=16)
    assert str(caught.value).startswith(f"{path}: ")
    assert reason in str(caught.value)
    assert str(caught.value).count(str(path)) == 1
    assert capfd.readouterr() == ("", "")


def test_an_error_of_pillow_without_a_text_is_told_by_its_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise EOFError

    Image.new("L", (16, 16)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "open", fail)
    with pytest.raises(DataError, match=r"a\.png: not a readable image \(EOFError\)"):
        read(tmp_path / "a.png", resolution=16)


def test_a_large_image_that_pillow_only_warns_of_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("L", (40, 40)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(DataError, match=r"a\.png: the image has more than 1000 pixels"):
        read(tmp_path / "a.png", resolution=16)


@pytest.mark.parametrize(("suffix", "write"), [(".png", write_png16), (".tif", write_tiff16)])
def test_cut_off_16_bit_colour_is_noticed(tmp_path: Path, suffix: str, write: Callable[..., Path]) -> None:
    path = write(tmp_path / f"a{suffix}", noise(64, 64, 3, dtype=np.uint16))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with pytest.raises(DataError, match=r"not a"):
        read(path, resolution=16, bits=16)


def test_16_bit_tiff_that_pillow_misreads_is_refused(tmp_path: Path) -> None:
    # Pillow 13 takes the bytes of such planes for 8 bit pixels.
    planes = noise(3, 16, 16, dtype=np.uint16)
    size, data = planes[0].nbytes, 8 + 2 + 10 * 12 + 4
    bits, strips, sizes = data + 3 * size, data + 3 * size + 6, data + 3 * size + 18
    tags = [(256, 3, 1, 16), (257, 3, 1, 16), (258, 3, 3, bits), (259, 3, 1, 1), (262, 3, 1, 2)]
    tags += [(273, 4, 3, strips), (277, 3, 1, 3), (278, 3, 1, 16), (279, 4, 3, sizes), (284, 3, 1, 2)]
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4)
    lists = struct.pack("<3H3I3I", 16, 16, 16, data, data + size, data + 2 * size, size, size, size)
    (tmp_path / "a.tif").write_bytes(b"II*\0" + struct.pack("<I", 8) + directory + planes.tobytes() + lists)
    with pytest.raises(DataError, match="16 bit colours stored in an unusual way"):
        read(tmp_path / "a.tif", resolution=16, bits=16)


def test_16_bit_colour_that_ffmpeg_reads_otherwise_than_pillow_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_png16(tmp_path / "a.png", noise(16, 16, 3, dtype=np.uint16))
    monkeypatch.setattr(av.VideoFrame, "to_ndarray", lambda frame, **layout: noise(16, 16, 3, dtype=np.uint16, seed=1))
    with pytest.raises(DataError, match="stored in an unusual way; save it as PNG"):
        read(path, resolution=16, bits=16)


def test_a_file_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("L", (16, 16)).save(tmp_path / "a.png")

    def refuse(*args: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied")

    # Simulated, as tests may run as root, who may read everything.
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError, match=r"a\.png: not a readable image \(Permission denied\)"):
        read(tmp_path / "a.png", resolution=16)


def test_odd_metadata_is_no_reason_to_warn(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    animation_without_frames = chunk(b"acTL", struct.pack(">II", 0, 0))
    path = write_png16(tmp_path / "a.png", noise(16, 16, 1, dtype=np.uint16), animation_without_frames)
    assert read(path, resolution=16).shape == (16, 16, 3)
    assert not recwarn.list
