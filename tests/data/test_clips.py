from itertools import chain

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from ndvq_tune.data.cache import CachedVideo
from ndvq_tune.data.clips import ClipSet


def numbered(lengths: list[int]) -> tuple[np.ndarray, list[CachedVideo]]:
    """Frames of 1x2 pixels, in which every value tells the frame's number."""
    frames = np.arange(sum(lengths), dtype=np.uint8)[:, None, None, None].repeat(2, 2).repeat(3, 3)
    starts = np.cumsum([0, *lengths[:-1]]).tolist()
    videos = [CachedVideo(str(i), s, n, 0, 0) for i, (s, n) in enumerate(zip(starts, lengths, strict=True))]
    return frames, videos


def frame_numbers(clips: ClipSet) -> list[list[int]]:
    return clips[:][:, 0, :, 0, 0].tolist()


def test_clips_start_every_stride_within_each_video() -> None:
    clips = ClipSet(*numbered([7, 5, 4]), clip_length=4, stride=2)
    assert frame_numbers(clips) == [[0, 1, 2, 3], [2, 3, 4, 5], [7, 8, 9, 10], [12, 13, 14, 15]]
    assert len(clips) == 4


@given(st.lists(st.integers(1, 40), min_size=1, max_size=5), st.integers(1, 12), st.integers(1, 12))
def test_clips_stay_within_one_video(lengths: list[int], clip_length: int, stride: int) -> None:
    frames, videos = numbered(lengths)
    ends = {
        frame: video.start + video.frames
        for video in videos
        for frame in range(video.start, video.start + video.frames)
    }
    clips = ClipSet(frames, videos, clip_length, stride)
    for numbers in frame_numbers(clips):
        assert numbers == list(range(numbers[0], numbers[0] + clip_length))
        assert numbers[-1] < ends[numbers[0]]
    assert len(clips) == sum(max(0, (n - clip_length) // stride + 1) for n in lengths)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=5), st.integers(1, 12))
def test_no_frame_is_in_two_clips_when_the_stride_is_a_clip(lengths: list[int], clip_length: int) -> None:
    clips = ClipSet(*numbered(lengths), clip_length, clip_length)
    numbers = list(chain.from_iterable(frame_numbers(clips)))
    assert len(numbers) == len(set(numbers))


def test_clips_hold_the_frames_pixels() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (9, 4, 5, 3), dtype=np.uint8)
    clips = ClipSet(frames, [CachedVideo("a", 0, 9, 0, 0)], clip_length=3, stride=3)
    assert clips.shape == (3, 3, 4, 5)
    batch = clips[np.array([2, 0])]
    assert batch.shape == (2, 3, 3, 4, 5)
    assert batch.dtype == torch.uint8
    assert np.array_equal(batch[0].numpy(), frames[6:9].transpose(3, 0, 1, 2))
    assert np.array_equal(batch[1].numpy(), frames[0:3].transpose(3, 0, 1, 2))
    assert torch.equal(clips[[2, 0]], batch)


def test_batches_own_their_memory_and_are_channels_last() -> None:
    frames = np.zeros((4, 8, 8, 3), np.uint8)
    frames.flags.writeable = False
    batch = ClipSet(frames, [CachedVideo("a", 0, 4, 0, 0)], clip_length=2, stride=2)[:]
    batch.fill_(1)
    assert frames.max() == 0
    assert batch.is_contiguous(memory_format=torch.channels_last_3d)
