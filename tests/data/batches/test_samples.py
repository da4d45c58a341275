import mmap
import os
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ndvq_tune.data.batches.samples import SampleSet, Scale, Window

BYTES = Scale(0, 255)
CPU = torch.device("cpu")
lengths_of_recordings = st.lists(st.integers(1, 40), min_size=1, max_size=5)


def numbered(lengths: list[int]) -> list[np.ndarray]:
    """Frames of 1x2 pixels, in which every value tells the frame's number."""
    frames = np.arange(sum(lengths), dtype=np.uint8)[:, None, None, None].repeat(2, 2).repeat(3, 3)
    return np.split(frames, np.cumsum(lengths)[:-1])


def row_numbers(samples: SampleSet) -> list[list[int]]:
    return samples[:][:, 0, :, 0, 0].tolist()


def test_windows_start_every_stride_within_each_recording() -> None:
    samples = SampleSet(numbered([7, 5, 4]), Window(4, stride=2), BYTES)
    assert row_numbers(samples) == [[0, 1, 2, 3], [2, 3, 4, 5], [7, 8, 9, 10], [12, 13, 14, 15]]
    assert len(samples) == 4
    assert samples.by_recording == [range(2), range(2, 3), range(3, 4)]


@given(lengths_of_recordings, st.integers(1, 12), st.integers(1, 12), st.integers(1, 3))
def test_windows_stay_within_one_recording(lengths: list[int], length: int, stride: int, step: int) -> None:
    recordings = numbered(lengths)
    owner = {int(row.max()): number for number, rows in enumerate(recordings) for row in rows}
    samples = SampleSet(recordings, Window(length, stride, step), BYTES)
    for numbers in row_numbers(samples):
        assert numbers == list(range(numbers[0], numbers[0] + length * step, step))
        assert len({owner[number] for number in numbers}) == 1
    span = (length - 1) * step + 1
    assert len(samples) == sum(max(0, (n - span) // stride + 1) for n in lengths)


@given(lengths_of_recordings, st.integers(1, 12), st.integers(1, 3))
def test_no_row_is_in_two_windows_when_the_stride_is_the_span(lengths: list[int], length: int, step: int) -> None:
    window = Window(length, Window(length, step=step).span, step)
    numbers = list(chain.from_iterable(row_numbers(SampleSet(numbered(lengths), window, BYTES))))
    assert len(numbers) == len(set(numbers))


@pytest.mark.parametrize(("row", "window"), [((5,), 3), ((4, 6, 2), 3), ((4, 6, 2), None), ((3, 4, 6, 1), None)])
@pytest.mark.parametrize("dtype", ["u1", "u2", "i4", "f2", "f4", "f8", "?"])
def test_samples_hold_the_stored_values_channels_first(row: tuple[int, ...], window: int | None, dtype: str) -> None:
    values = np.random.default_rng(0).integers(0, 200, (9, *row)).astype(dtype)
    samples = SampleSet([values[:4], values[4:]], Window(window, window or 1), BYTES)
    batch = samples[np.array([1, 0])]
    expected = [values[4:7] if window else values[1], values[:3] if window else values[0]]
    assert samples.shape == tuple(batch.shape[1:]) == np.moveaxis(expected[0], -1, 0).shape
    assert np.array_equal(batch.numpy(), np.stack([np.moveaxis(sample, -1, 0) for sample in expected]))
    assert torch.equal(samples[[1, 0]], batch)


def test_batches_own_their_memory_and_are_channels_last() -> None:
    frames = np.zeros((4, 8, 8, 3), np.uint8)
    frames.flags.writeable = False
    batch = SampleSet([frames], Window(2, 2), BYTES)[:]
    batch.fill_(1)
    assert frames.max() == 0
    assert batch.is_contiguous(memory_format=torch.channels_last_3d)


def test_frames_of_any_size_are_cut_at_the_centre_or_where_told() -> None:
    wide, tall = (np.random.default_rng(0).integers(0, 256, (2, *size, 3), dtype=np.uint8) for size in ((4, 9), (7, 4)))
    samples = SampleSet([wide, tall], Window(2, 2, crop=4), BYTES)
    assert samples.shape == (3, 2, 4, 4)
    assert np.array_equal(samples[[0]][0].numpy(), wide[:, :, 2:6].transpose(3, 0, 1, 2))
    assert np.array_equal(samples[[1]][0].numpy(), tall[:, 1:5].transpose(3, 0, 1, 2))
    cut = samples.read(np.array([0, 1]), np.array([[0.0, 0.999], [0.5, 0.5]])).numpy()
    assert np.array_equal(cut[0], wide[:, :, 5:9].transpose(3, 0, 1, 2))
    assert np.array_equal(cut[1], tall[:, 2:6].transpose(3, 0, 1, 2))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's account of memory")
def test_reading_does_not_make_the_process_grow_with_the_file(tmp_path: Path) -> None:
    def resident() -> int:
        status = Path("/proc/self/status").read_text()
        return 1024 * int(status.partition("RssFile:")[2].split()[0])

    path = tmp_path / "holes"
    path.touch()
    os.truncate(path, 2**28)
    with path.open("rb") as file:
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    rows = np.ndarray((2**16, 64, 64, 1), np.uint8, content)
    samples = SampleSet([rows], Window(), BYTES, [content])
    before = resident()
    for start in range(0, len(samples), 512):
        samples.read(np.arange(start, start + 512))
    assert resident() - before < 2**25


def test_all_places_of_a_crop_are_equally_likely() -> None:
    ramp = np.broadcast_to(np.arange(6, dtype=np.uint8)[:, None], (1, 4, 6, 1))
    samples = SampleSet([ramp], Window(crop=4), BYTES)
    crops = np.random.default_rng(0).random((3000, 2))
    lefts = samples.read(np.zeros(3000, np.int64), crops)[:, 0, 0, 0].numpy()
    assert np.bincount(lefts) == pytest.approx([1000, 1000, 1000], rel=0.1)


def test_bytes_are_divided_by_255_whatever_values_occur() -> None:
    assert Scale.of(np.dtype(np.uint8), 3, 99) == Scale(0, 255)
    values = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(Scale(0, 255).to_unit(values, CPU), values.float() / 255)


@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.uint32, np.int64, np.float16, np.float32, np.float64])
def test_other_types_span_the_training_datas_range(dtype: type[np.generic]) -> None:
    values = np.array([10, 12, 30, 50]).astype(dtype)
    scale = Scale.of(np.dtype(dtype), values.min(), values.max())
    found = scale.to_unit(torch.from_numpy(values), CPU)
    assert found.dtype == torch.float32
    assert found.numpy() == pytest.approx([0, 0.05, 0.5, 1])


def test_zero_is_in_the_middle_of_a_range_about_it() -> None:
    assert Scale(-0.5, 0.2).about_zero() == Scale(-0.5, 0.5)
    assert Scale(-1, 3).about_zero() == Scale(-3, 3)
    assert Scale(2, 3).about_zero() == Scale(2, 3)


def test_small_differences_between_large_doubles_are_kept() -> None:
    values = torch.tensor([1e9, 1e9 + 0.25, 1e9 + 1], dtype=torch.float64)
    assert Scale(1e9, 1e9 + 1).to_unit(values, CPU).tolist() == [0, 0.25, 1]
    assert values.tolist() == [1e9, 1e9 + 0.25, 1e9 + 1]


def test_memory_format_stays() -> None:
    batch = torch.zeros(2, 4, 4, 3, dtype=torch.uint8).movedim(-1, 1)
    assert Scale(0, 255).to_unit(batch, CPU).is_contiguous(memory_format=torch.channels_last)
