import struct
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pandas as pd
import pytest
from scipy.io import wavfile

from ndvq_tune.config.data import SignalData
from ndvq_tune.data.readers import signal
from ndvq_tune.data.readers.signal import SUFFIXES, read_signal
from ndvq_tune.data.readers.sound import sample_rate_of
from ndvq_tune.errors import DataError

CODECS = {".wav": "pcm_s16le", ".flac": "flac", ".ogg": "libopus", ".mp3": "libmp3lame"}
RATE = 48000


def read(path: Path, **config: Any) -> np.ndarray:
    return np.concatenate(list(read_signal(path, SignalData(**config))))


def sine(seconds: float, rate: float = RATE, hertz: tuple[float, ...] = (440,)) -> np.ndarray:
    times = np.arange(round(seconds * rate)) / rate
    return np.stack([0.5 * np.sin(2 * np.pi * one * times) for one in hertz], axis=1)


def noise(steps: int, channels: int = 1, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, (steps, channels))


def write_sound(path: Path, steps: np.ndarray, rate: int = RATE, layout: str = "", **options: str) -> Path:
    layout = layout or {1: "mono", 2: "stereo", 6: "5.1"}[steps.shape[1]]
    whole = av.AudioFrame.from_ndarray(steps.astype(np.float32).reshape(1, -1), "flt", layout)
    whole.sample_rate = rate
    with av.open(str(path), "w", options=options) as container:
        codec = container.add_stream(CODECS[path.suffix], rate=rate, layout=layout)
        format_, size = codec.codec_context.format, codec.codec_context.frame_size or 4096
        resampler = av.AudioResampler(format=format_, layout=layout, rate=rate, frame_size=size)
        for frame in [*resampler.resample(whole), *resampler.resample(None)]:
            container.mux(codec.encode(frame))
        container.mux(codec.encode())
    return path


def write_wave(path: Path, samples: bytes, channels: int, width: int, rate: int = RATE) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(samples)
    return path


def fails(path: Path, **config: Any) -> str:
    with pytest.raises(DataError) as caught:
        read(path, **config)
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value).removeprefix(f"{path}: ")


@pytest.mark.parametrize(
    ("dtype", "offset", "scale"),
    [("uint8", 128, 128), ("int16", 0, 2**15), ("int32", 0, 2**31), ("float32", 0, 1), ("float64", 0, 1)],
)
def test_every_kind_of_wav_lies_between_minus_one_and_one(
    tmp_path: Path, dtype: str, offset: int, scale: int
) -> None:  # fmt: skip
    stored = (noise(5000, 2) * scale + offset).astype(dtype)
    wavfile.write(tmp_path / "a.wav", RATE, stored)
    decoded = read(tmp_path / "a.wav", channels=2)
    assert decoded.dtype == np.float32
    assert np.array_equal(decoded, ((stored.astype(np.float64) - offset) / scale).astype(np.float32))


def test_24_bit_wav_keeps_its_precision(tmp_path: Path) -> None:
    stored = np.array([0, 1, -1, 2**23 - 1, -(2**23), 12345], dtype="<i4")
    path = write_wave(tmp_path / "a.wav", b"".join(one.tobytes()[:3] for one in stored), 1, 3)
    assert np.array_equal(read(path)[:, 0], (stored / 2**23).astype(np.float32))


def test_float_wav_beyond_one_is_not_clipped(tmp_path: Path) -> None:
    wavfile.write(tmp_path / "a.wav", RATE, np.array([0, 1.5, -3], dtype=np.float32))
    assert read(tmp_path / "a.wav")[:, 0].tolist() == [0, 1.5, -3]


def test_flac_is_lossless(tmp_path: Path) -> None:
    steps = np.round(noise(10000, 2) * 2**15) / 2**15
    assert np.array_equal(read(write_sound(tmp_path / "é 1.flac", steps), channels=2), steps.astype(np.float32))


@pytest.mark.parametrize("suffix", [".mp3", ".ogg"])
def test_lossy_sounds_start_and_end_where_they_did(tmp_path: Path, suffix: str) -> None:
    steps = sine(1, hertz=(440, 1000))
    decoded = read(write_sound(tmp_path / f"a{suffix}", steps), channels=2)
    assert decoded.shape == steps.shape
    assert np.sqrt(np.mean((decoded - steps) ** 2)) < 0.03  # one step off would be 0.05


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100, 48000, 96000])
def test_resampling_keeps_a_sine_and_its_duration(tmp_path: Path, rate: int) -> None:
    wavfile.write(tmp_path / "a.wav", RATE, sine(0.5, hertz=(440, 1000)).astype(np.float32))
    expected = sine(0.5, rate, hertz=(440, 1000))
    decoded = read(tmp_path / "a.wav", channels=2, sample_rate=rate)
    assert abs(len(decoded) - len(expected)) <= 1
    middle = slice(200, len(expected) - 200)
    assert np.abs(decoded[middle] - expected[middle]).max() < 1e-4


def test_resampling_removes_what_the_new_rate_cannot_hold(tmp_path: Path) -> None:
    wavfile.write(tmp_path / "a.wav", RATE, sine(0.5, hertz=(10000,)).astype(np.float32))
    assert np.abs(read(tmp_path / "a.wav", sample_rate=8000)[200:-200]).max() < 1e-3


def test_without_a_sample_rate_the_file_keeps_its_own(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", noise(1000), rate=11025)
    assert read(path).shape == (1000, 1)
    assert sample_rate_of(path) == 11025


def test_a_name_with_a_colon_is_no_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_wave(tmp_path / "take:1.wav", bytes(200), 1, 2)
    monkeypatch.chdir(tmp_path)
    assert read(Path("take:1.wav")).shape == (100, 1)


def test_what_is_no_sound_has_no_sample_rate(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1\n2\n")
    (tmp_path / "a.wav").write_text("no sound\n" * 100)
    assert [sample_rate_of(tmp_path / name) for name in ("a.csv", "a.wav", "none.wav")] == [None, None, None]


@pytest.mark.parametrize(("channels", "layout"), [(2, "stereo"), (6, "5.1")])
def test_one_channel_is_the_mean_of_all(tmp_path: Path, channels: int, layout: str) -> None:
    steps = np.round(noise(3000, channels) * 2**15) / 2**15
    path = write_sound(tmp_path / "a.flac", steps, layout=layout)
    assert np.allclose(read(path), steps.mean(axis=1, keepdims=True), rtol=0, atol=1e-7)


@pytest.mark.parametrize("channels", [3, 8, 9, 32])
def test_recordings_of_many_channels_keep_their_order(tmp_path: Path, channels: int) -> None:
    stored = np.tile(np.arange(channels, dtype="<i2") * 100, (500, 1))
    path = write_wave(tmp_path / "a.wav", stored.tobytes(), channels, 2)
    assert np.array_equal(read(path, channels=channels) * 2**15, stored)


@pytest.mark.parametrize(
    ("found", "wanted", "reason"),
    [
        (2, 4, "has 2 channels, but data.channels is 4; allowed: 1 (the mean of all) or 2"),
        (1, 2, "has 1 channel, but data.channels is 2; allowed: 1 (the mean of all)"),
    ],
)
def test_other_channels_are_refused(tmp_path: Path, found: int, wanted: int, reason: str) -> None:
    assert fails(write_sound(tmp_path / "a.flac", noise(100, found)), channels=wanted) == reason


def test_long_sounds_come_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signal, "BLOCK_VALUES", 10000)
    steps = np.round(noise(33333, 2) * 2**15) / 2**15
    blocks = list(read_signal(write_sound(tmp_path / "a.wav", steps), SignalData(channels=2)))
    assert all(block.flags.c_contiguous and 0 < block.size <= 10000 for block in blocks)
    assert len(blocks) < 10
    assert np.array_equal(np.concatenate(blocks), steps)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def text(path: Path) -> None:
    path.write_text("this is not a sound\n" * 100)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])


def truncate_between_packets(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.read_bytes().index(b"data") + 8 + 4096 * 5])


def scramble(path: Path) -> None:
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 500] = np.random.default_rng(1).bytes(500)
    path.write_bytes(content)


def cut_in_header(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:30])


def unknown_codec(path: Path) -> None:
    patch(path, b"fmt ", 8, struct.pack("<H", 0x1234))


def patch(path: Path, after: bytes, offset: int, value: bytes) -> None:
    content = bytearray(path.read_bytes())
    start = content.index(after) + offset
    content[start : start + len(value)] = value
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "suffix", "reason"),
    [
        *((empty, suffix, "the file is empty") for suffix in sorted(SUFFIXES)),
        (text, ".wav", "not a readable sound"),
        (text, ".flac", "there are no samples in it"),
        (text, ".ogg", "not a readable sound"),
        (text, ".mp3", "not a readable sound"),
        (text, ".csv", "line 2, column 'this is not a sound': 'this is not a sound' is not a number"),
        (text, ".npy", "not a readable npy file"),
        (truncate, ".wav", "the sound is cut off"),
        (truncate_between_packets, ".wav", "the sound is cut off"),
        (truncate, ".flac", "not a readable sound"),
        (truncate, ".ogg", "the sound is cut off"),
        (truncate, ".mp3", "the sound is damaged or cut off: it ends after 1.2 of 2.0 seconds"),
        (truncate, ".npy", "not a readable npy file, or cut off"),
        (scramble, ".flac", "the sound is damaged"),
        (scramble, ".ogg", "the sound is damaged"),
        (scramble, ".mp3", "not a readable sound"),
        (cut_in_header, ".wav", "not a readable sound"),
        (cut_in_header, ".npy", "not a readable npy file"),
        (unknown_codec, ".wav", "not a readable sound (unknown codec)"),
    ],
)
def test_damaged_files_are_named_with_a_reason(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], damage: Callable[[Path], None], suffix: str, reason: str
) -> None:
    path = tmp_path / f"bad{suffix}"
    if suffix in CODECS:
        write_sound(path, noise(2 * RATE))
    elif suffix == ".npy":
        np.save(path, noise(1000))
    damage(path)
    assert fails(path).startswith(reason)
    assert capfd.readouterr() == ("", "")


def test_wav_whose_header_states_more_than_there_is_is_refused(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", noise(1000))
    patch(path, b"data", 4, struct.pack("<I", 2002))
    assert fails(path) == "the sound is cut off: its header states more than there is"


@pytest.mark.parametrize("size", [0, 0x7FFF_F000, 0xFFFF_FFFF])
def test_wav_that_was_written_to_a_pipe_states_no_length_and_is_read_whole(tmp_path: Path, size: int) -> None:
    path = write_sound(tmp_path / "a.wav", noise(5000))
    patch(path, b"data", 4, struct.pack("<I", size))
    assert read(path).shape == (5000, 1)


def test_files_that_cannot_be_opened_are_named(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    assert fails(tmp_path / "folder.csv") == "cannot be read (Is a directory)"
    assert fails(tmp_path / "none.wav") == "cannot be read (No such file or directory)"


def test_video_without_sound_is_refused(tmp_path: Path, write_video) -> None:
    video = write_video(tmp_path / "a.mp4", np.zeros((5, 16, 16, 3), np.uint8))
    assert fails(video.rename(tmp_path / "a.wav")) == "there is no sound in it"


def test_sounds_without_samples_are_refused(tmp_path: Path) -> None:
    assert fails(write_wave(tmp_path / "a.wav", b"", 1, 2)) == "there are no samples in it"


def test_a_change_of_channels_on_the_way_is_refused(tmp_path: Path) -> None:
    options = {"write_xing": "0", "id3v2_version": "0"}
    stereo = write_sound(tmp_path / "a.mp3", noise(RATE, 2), **options)
    mono = write_sound(tmp_path / "b.mp3", noise(RATE, 1), **options)
    stereo.write_bytes(stereo.read_bytes() + mono.read_bytes())
    assert fails(stereo, channels=2) == "its sample rate or its channels change on the way"


def test_tags_that_are_not_utf_8_do_not_matter(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", noise(1000))
    patch(path, b"Lavf", 0, "Bär".encode("latin-1"))
    assert read(path).shape == (1000, 1)
    assert sample_rate_of(path) == RATE


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_sounds_that_are_not_finite_are_refused(tmp_path: Path, value: float) -> None:
    steps = noise(9000, 2).astype(np.float32)
    steps[7000, 1] = value
    wavfile.write(tmp_path / "a.wav", RATE, steps)
    assert fails(tmp_path / "a.wav", channels=2) == f"step 7000 of channel 1 (from 0) is {value}"


def test_named_columns_come_in_the_order_asked_for(tmp_path: Path) -> None:
    steps = noise(500, 3)
    table = pd.DataFrame(steps, columns=["größe m", "y", "x"])
    table.insert(0, "when", "12:30, Monday")
    table.to_csv(tmp_path / "a.csv", index=False)
    assert np.array_equal(read(tmp_path / "a.csv", columns=("x", "größe m")), steps[:, [2, 0]].astype(np.float32))


def test_without_names_all_columns_are_read(tmp_path: Path) -> None:
    steps = noise(500, 3)
    np.savetxt(tmp_path / "a.csv", steps, delimiter=",", fmt="%.17g")
    assert np.array_equal(read(tmp_path / "a.csv", channels=3), steps.astype(np.float32))


def test_long_tables_come_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signal, "BLOCK_VALUES", 1000)
    monkeypatch.setattr("ndvq_tune.data.readers.table.CHUNK_CELLS", 900)
    (tmp_path / "a.csv").write_text("x\n" + "\n".join(map(str, range(5000))))
    blocks = list(read_signal(tmp_path / "a.csv", SignalData()))
    assert max(map(len, blocks)) <= 1000
    assert np.concatenate(blocks)[:, 0].tolist() == list(range(5000))


@pytest.mark.parametrize(
    "content",
    [
        "a,b\n1,2\n3,4\n",
        "1,2\n3,4",
        "a;b\n1;2\n3;4\n",
        "a\tb\n1\t2\n3\t4\n",
        "\ufeffa,b\r\n1,2\r\n3,4\r\n",
        "\ufeff1,2\r\n3,4\r\n",
        'a,"b, in\nmetres"\n 1 , "2"\n3, 4\n',
        "\n\na,b\n\n1,2\n\n3,4\n\n",
        "a,b\n1e0,+2\n.3e1,4.0\n",
    ],
)
def test_tables_of_all_kinds_are_read(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.csv").write_text(content, newline="")
    assert read(tmp_path / "a.csv", channels=2).tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("a,b\n1,2\n3,x\n", "line 3, column 'b': 'x' is not a number"),
        ("1,2\n\n3,NA\n", "line 3, column '2': 'NA' is not a number"),
        ("a;b\n1;2,5\n", "line 2, column 'b': '2,5' is not a number (decimals need a point)"),
        ("a,b\n1,2\n3,\n", "line 3, column 'b': the cell is empty"),
        ("a,b\n1,2\n,,\n", "line 3 has 3 cells instead of 2"),
        ("a,b\n1,2\n,\n", "line 3, column 'a': the cell is empty"),
        ("a,b\n1,2\n3,nan\n", "line 3, column 'b': 'nan' is not finite in float32"),
        ("a,b\n1,2\n-inf,4\n", "line 3, column 'a': '-inf' is not finite in float32"),
        ("a,b\n1,2\n3,1e39\n", "line 3, column 'b': '1e39' is not finite in float32"),
        ("a,b\n1,2\n3,4,5\n", "line 3 has 3 cells instead of 2"),
        ("a,b\n1,2\n3\n", "line 3 has 1 cells instead of 2"),
        ("a,b\n1,2,3\n", "the header has 2 cells, but the row after it 3"),
        ('"a\nb",c\n1,2\n3,x\n', "line 4, column 'c': 'x' is not a number"),
        ("a,b\n", "there are no samples in it"),
        ("\n\n", "there are no samples in it"),
        ("1,2,3\n", "has 3 columns ('1', '2', '3'), but data.channels is 2;"
                    " set data.channels: 3, or name some in data.columns, which needs a header"),
        ("1,2\n" + "1" * 200_000, "not a readable csv file (field larger than field limit (131072))"),
        ('1,2\n3,"4\n', "Error tokenizing data. C error: EOF inside string starting at row 1"),
    ],
)  # fmt: skip
def test_the_line_that_is_wrong_is_named(tmp_path: Path, content: str, reason: str) -> None:
    (tmp_path / "a.csv").write_text(content)
    assert fails(tmp_path / "a.csv", channels=2) == reason


def test_rows_that_are_too_long_are_noticed_beside_named_columns(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("t,x,y\na,1,2\nb,1,5,2\n")
    assert fails(tmp_path / "a.csv", columns=("x",)) == "line 3 has 4 cells instead of 3"


def test_an_empty_line_is_an_empty_cell_where_there_is_one_column(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1\n\n3\n")
    assert fails(tmp_path / "a.csv") == "line 2, column '1': the cell is empty"


def test_only_cells_of_named_columns_need_to_be_numbers(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("t,x,note\n10:00,1,\n10:01,2,fine\n,3\n")
    assert read(tmp_path / "a.csv", columns=("x",))[:, 0].tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("Lat,lng", "has no column 'lat', only 'Lat', 'lng'; did you mean 'Lat'?"),
        ("q,w", "has no column 'lat', only 'q', 'w'"),
        ("lat,lat", "2 columns are called 'lat'"),
        (",".join(map(str, range(30))), f"has no column 'lat', only {str([*map(str, range(20))])[1:-1]}, ..."),
    ],
)
def test_columns_that_are_not_there_are_named(tmp_path: Path, header: str, reason: str) -> None:
    (tmp_path / "a.csv").write_text(f"{header}\n1,2\n")
    assert fails(tmp_path / "a.csv", columns=("lat",)) == reason


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_tables_must_be_utf_8(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.csv").write_text("größe\n1\n", encoding=encoding)
    assert fails(tmp_path / "a.csv").startswith("not UTF-8 text (invalid start byte at byte ")


def test_other_encodings_far_into_a_table_are_noticed(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"x,note\n" + b"1,a\n" * 10_000 + "2,é\n".encode("latin-1"))
    assert fails(tmp_path / "a.csv", columns=("x",)).startswith("not UTF-8 text")


@pytest.mark.parametrize("dtype", ["?", "i1", "u2", ">i4", "i8", "f2", "f4", ">f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_every_real_type_become_float32(tmp_path: Path, dtype: str, order: str) -> None:
    array = np.asarray(np.arange(300).reshape(100, 3) % 100, dtype=dtype, order=order)
    np.save(tmp_path / "a.npy", array)
    (block,) = read_signal(tmp_path / "a.npy", SignalData(channels=3))
    assert block.dtype == np.float32
    assert block.flags.c_contiguous
    assert np.array_equal(block, array.astype(np.float32))


def test_an_array_of_one_axis_has_one_channel(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(10.0))
    assert np.array_equal(read(tmp_path / "a.npy"), np.arange(10.0)[:, None])


def test_arrays_are_not_read_whole(tmp_path: Path) -> None:
    array = np.lib.format.open_memmap(tmp_path / "a.npy", "w+", np.float32, (1 << 31, 2))  # 16 GiB, all a hole
    array[100_000] = [5, 6]
    del array
    blocks = read_signal(tmp_path / "a.npy", SignalData(channels=2))
    first = next(blocks)
    assert first.size <= 1 << 20
    assert first[100_000].tolist() == [5, 6]


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros((5, 3)), "has shape (5, 3), but data.channels is 2; allowed: (L, 2)"),
        (np.zeros((2, 9)), "has shape (2, 9), but data.channels is 2; allowed: (L, 2);"
                           " transpose it, channels come last"),
        (np.zeros(9), "has shape (9,), but data.channels is 2; allowed: (L, 2)"),
        (np.zeros((3, 4, 2)), "has shape (3, 4, 2); allowed: (L,) or (L, C), channels last"),
        (np.zeros(()), "has shape (); allowed: (L,) or (L, C), channels last"),
        (np.zeros((0, 2)), "there are no samples in it"),
        (np.zeros((4, 2), complex), "holds complex128; allowed: real numbers"),
        (np.zeros((4, 2), "M8[s]"), "holds datetime64[s]; allowed: real numbers"),
        (np.array([["a", "b"]]), "holds <U1; allowed: real numbers"),
        (np.array([[1, None]], dtype=object), "not a readable npy file, or cut off"
                                " (Array can't be memory-mapped: Python objects in dtype.)"),
    ],
)  # fmt: skip
def test_other_arrays_are_refused(tmp_path: Path, array: np.ndarray, reason: str) -> None:
    np.save(tmp_path / "a.npy", array)
    assert fails(tmp_path / "a.npy", channels=2) == reason


@pytest.mark.parametrize(
    ("value", "found"), [(np.nan, "nan"), (-np.inf, "-inf"), (1e39, "1e+39, too large for float32")]
)
def test_the_first_place_that_is_not_finite_is_named(tmp_path: Path, value: float, found: str) -> None:
    array = np.zeros((400_000, 2))
    array[300_000, 1] = array[300_001, 0] = value
    np.save(tmp_path / "a.npy", array)
    assert fails(tmp_path / "a.npy", channels=2) == f"step 300000 of channel 1 (from 0) is {found}"


def test_a_header_that_python_cannot_parse_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((4, 2)))
    patch(tmp_path / "a.npy", b"}", 0, b"(")
    assert fails(tmp_path / "a.npy", channels=2).startswith("not a readable npy file")
