from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ndvq_tune.data.cache.decoding import Decoded
from ndvq_tune.data.division import Split, by_file, by_time
from ndvq_tune.errors import DataError

shares = st.floats(0.05, 0.95)


def whole(lengths: dict[str, int]) -> Split:
    recordings = {name: np.arange(length)[:, None] for name, length in lengths.items()}
    return Split("", "folder", "things", Decoded(recordings, {"bad": "is bad"}, Path("entry"), {}))


@given(st.integers(2, 60), shares)
def test_by_file_every_recording_is_whole_on_one_side(count: int, share: float) -> None:
    train, test = by_file(whole({f"{i}": i + 1 for i in range(count)}), share)
    sides = [train.decoded.recordings, test.decoded.recordings]
    assert sorted([*sides[0], *sides[1]]) == sorted(map(str, range(count)))
    assert all(len(rows) == int(name) + 1 for side in sides for name, rows in side.items())
    assert all(sides)
    assert abs(len(sides[0]) - share * count) <= 1


def test_by_file_a_file_that_is_added_moves_at_most_one_other() -> None:
    before, _ = by_file(whole({f"{i}": 1 for i in range(50)}), 0.8)
    after, _ = by_file(whole({f"{i}": 1 for i in range(51)}), 0.8)
    assert len(set(before.decoded.recordings) ^ (set(after.decoded.recordings) - {"50"})) <= 1


def test_by_file_does_not_follow_the_order_of_names() -> None:
    _, test = by_file(whole({f"{i:02}": 1 for i in range(50)}), 0.8)
    assert sorted(test.decoded.recordings) != [f"{i:02}" for i in range(40, 50)]


def test_one_file_cannot_be_split_by_file() -> None:
    with pytest.raises(DataError, match=r"^folder: one file cannot be split by file; set data\.split_by to time"):
        by_file(whole({"a": 10}), 0.9)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=5), shares)
def test_by_time_every_row_is_once_on_one_side_and_training_comes_first(lengths: list[int], share: float) -> None:
    train, test = by_time(whole({str(i): length for i, length in enumerate(lengths)}), share)
    for name, length in enumerate(lengths):
        first, second = (split.decoded.recordings[str(name)] for split in (train, test))
        assert np.concatenate([first, second]).ravel().tolist() == list(range(length))
        assert len(first) - 1 < share * length <= len(first)


def test_what_could_not_be_decoded_is_counted_once() -> None:
    for divide in (by_file, by_time):
        train, test = divide(whole({"a": 4, "b": 4}), 0.5)
        assert (train.name, test.name) == ("train", "test")
        assert (train.decoded.skipped, test.decoded.skipped) == ({"bad": "is bad"}, {})
