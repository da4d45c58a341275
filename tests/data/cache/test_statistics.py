import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ndvq_tune.data.cache import statistics as statistics_module
from ndvq_tune.data.cache.source import silent
from ndvq_tune.data.cache.statistics import Channels, Statistics, statistics


def measured(recordings: dict[str, np.ndarray], folder: Path) -> Channels:
    return statistics(recordings, folder, silent, lambda: None)


def test_bytes_are_exact_channel_by_channel_over_all_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics_module, "_BLOCK", 1000)
    rng = np.random.default_rng(0)
    recordings = {str(i): rng.integers(0, 256, (50 + i, 4, 5, 3), dtype=np.uint8) for i in range(7)}
    for rows in recordings.values():
        rows[..., 1] //= 10  # a quiet channel
    values = np.concatenate(list(recordings.values())).astype(np.float64).reshape(-1, 3)
    found = measured(recordings, tmp_path)
    assert [channel.count for channel in found] == [len(values)] * 3
    assert [channel.minimum for channel in found] == [0, 0, 0]
    assert [channel.maximum for channel in found] == [255, 25, 255]
    assert [channel.mean for channel in found] == pytest.approx(values.mean(0), rel=1e-13)
    assert [channel.variance for channel in found] == pytest.approx(values.var(0), rel=1e-13)
    pooled = sum(found[1:], start=found[0])
    assert (pooled.count, pooled.minimum, pooled.maximum) == (values.size, 0, 255)
    assert (pooled.mean, pooled.variance) == pytest.approx((values.mean(), values.var()), rel=1e-13)


def test_rows_whose_axes_were_moved_are_measured_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics_module, "_BLOCK", 100)
    rows = np.moveaxis(np.random.default_rng(0).normal(size=(20, 2, 5, 6)) * [[[3.0]], [[0.1]]], 1, -1)
    found = measured({"a": rows}, tmp_path)
    assert [channel.variance for channel in found] == pytest.approx(rows.var(axis=(0, 1, 2)), rel=1e-12)


def test_small_differences_between_large_values_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics_module, "_BLOCK", 128)
    values = 1e9 + np.random.default_rng(0).normal(size=(1000, 2))
    found = measured({"a": values}, tmp_path)
    assert [channel.variance for channel in found] == pytest.approx((values - 1e9).var(0), rel=1e-6)


@given(st.lists(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=9), min_size=2, max_size=6))
def test_parts_add_up_to_the_whole(parts: list[list[float]]) -> None:
    arrays = [np.array(part) for part in parts]
    total = Statistics.of(arrays[0])
    for array in arrays[1:]:
        total += Statistics.of(array)
    values = np.concatenate(arrays)
    assert total.mean == pytest.approx(values.mean(), rel=1e-9, abs=1e-6)
    assert total.variance == pytest.approx(values.var(), rel=1e-6, abs=1e-3)
    assert (total.count, total.minimum, total.maximum) == (values.size, values.min(), values.max())


def test_they_are_computed_once_for_the_same_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.arange(12, dtype=np.uint8).reshape(6, 2)
    first = measured({"a": rows}, tmp_path)
    monkeypatch.delattr(statistics_module, "_computed")
    assert measured({"a": rows}, tmp_path) == first
    with pytest.raises(NameError):
        measured({"a": rows[:5]}, tmp_path)


def test_a_damaged_result_is_computed_again(tmp_path: Path) -> None:
    rows = {"a": np.arange(12, dtype=np.uint8).reshape(6, 2)}
    first = measured(rows, tmp_path)
    (kept,) = tmp_path.glob("channels-*.json")
    kept.write_text("{")
    assert measured(rows, tmp_path) == first
    assert [channel["count"] for channel in json.loads(kept.read_text())] == [6, 6]


def test_what_release_0_1_kept_is_left_alone(tmp_path: Path) -> None:
    """It measured all channels together, under the name ``statistics-``, by the same key."""
    rows = {"a": np.arange(12, dtype=np.uint8).reshape(6, 2)}
    measured(rows, tmp_path)
    (kept,) = tmp_path.glob("channels-*.json")
    old = kept.rename(kept.with_name(kept.name.replace("channels-", "statistics-")))
    old.write_text('{"count": 12, "mean": 1.0, "squares": 1.0, "minimum": 0.0, "maximum": 1.0}')
    assert [channel.mean for channel in measured(rows, tmp_path)] == [5, 6]
    assert '"mean": 1.0' in old.read_text()


def test_what_was_read_is_let_go_of_on_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics_module, "_BLOCK", 10)
    monkeypatch.setattr(statistics_module, "_GROUP", 1)
    released: list[int] = []
    statistics({"a": np.zeros((1000, 1), np.uint8)}, tmp_path, silent, lambda: released.append(1))
    assert len(released) > 5
