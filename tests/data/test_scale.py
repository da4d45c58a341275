import numpy as np
import pytest
import torch

from ndvq_tune.data.scale import Scale

CPU = torch.device("cpu")


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
