import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ndvq_tune.pictures.chart import BLUE, GREY, RED, Axis, Series, chart

Box = tuple[float, float, float, float]


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture)


def drawn(path: Path, series: list[Series], x: Axis, y: Axis) -> np.ndarray:
    """What is between the axes."""
    chart("name", "what it shows", x, y, series, path)
    picture = pixels(path)
    frame = (picture == GREY).all(-1)
    rows, columns = np.flatnonzero(frame.sum(1) > 1000), np.flatnonzero(frame.sum(0) > 500)
    return picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def box(panel: np.ndarray, colour: tuple[int, int, int]) -> Box:
    """Left, right, top and bottom of a colour, as shares of the panel from its lower left corner."""
    rows, columns = np.nonzero((panel == colour).all(-1))
    height, width = panel.shape[0] - 1, panel.shape[1] - 1
    return columns.min() / width, columns.max() / width, 1 - rows.min() / height, 1 - rows.max() / height


def middle(found: Box) -> tuple[float, float]:
    left, right, top, bottom = found
    return (left + right) / 2, (top + bottom) / 2


@pytest.mark.parametrize("style", ["dots", "rings"])
def test_a_point_is_where_its_values_are_on_linear_and_logarithmic_axes(tmp_path: Path, style: str) -> None:
    x, y = Axis("x", 0, 10), Axis("y", 0.01, 100, log=True)
    panel = drawn(tmp_path / "c.png", [Series("s", RED, [(2.5, 1.0)], style)], x, y)
    assert middle(box(panel, RED)) == pytest.approx((0.25, 0.5), abs=0.005)


@pytest.mark.parametrize("style", ["line", "dotted", "steps"])
def test_a_line_goes_from_its_first_to_its_last_point(tmp_path: Path, style: str) -> None:
    x, y = Axis("x", 0, 10), Axis("y", 0, 10)
    panel = drawn(tmp_path / "c.png", [Series("s", RED, [(2, 8), (6, 3)], style)], x, y)
    assert box(panel, RED) == pytest.approx((0.2, 0.6, 0.8, 0.3), abs=0.02)


def test_steps_keep_a_value_until_the_next_point(tmp_path: Path) -> None:
    panel = drawn(tmp_path / "c.png", [Series("s", RED, [(2, 8), (6, 3)], "steps")], Axis("x", 0, 10), Axis("y", 0, 10))
    height, width = panel.shape[:2]
    assert (panel[round(0.2 * height), round(0.4 * width)] == RED).all()


def test_later_series_lie_above(tmp_path: Path) -> None:
    axis = Axis("x", 0, 10)
    panel = drawn(tmp_path / "c.png", [Series("a", RED, [(5, 5)]), Series("b", BLUE, [(5, 5)])], axis, axis)
    assert (panel[panel.shape[0] // 2, panel.shape[1] // 2] == BLUE).all()
    assert not (panel == RED).all(-1).any()


def test_long_texts_and_many_series_are_broken_into_lines_and_nothing_is_cut_off(tmp_path: Path) -> None:
    series = [Series(f"series of a long name, number {number}", GREY, [(1, 1)]) for number in range(9)]
    axis = Axis.over("x", [1, 1])
    sizes = []
    for text, some in (("short", series[:1]), ("word " * 100, series)):
        chart("t", text, axis, axis, some, tmp_path / "c.png")
        picture = pixels(tmp_path / "c.png")
        sizes.append(picture.shape[:2])
        assert (picture[:, -4:] == 255).all()
    assert sizes[0][1] == sizes[1][1]
    assert sizes[1][0] > sizes[0][0] + 100


def test_an_axis_is_logarithmic_where_positive_values_are_far_apart() -> None:
    assert Axis.over("x", [0.1, 0.5]).log
    assert not Axis.over("x", [0.1, 0.2]).log
    assert not Axis.over("x", [0.0, 5.0]).log
    assert not Axis.over("x", [-1.0, 5.0]).log


@pytest.mark.parametrize("values", [[0.01, 3.0, 250.0], [-3.0, 7.0], [4.0], [0.0], [-2.0, -2.0]])
def test_an_axis_shows_all_values_with_room_beside_them(values: list[float]) -> None:
    axis = Axis.over("x", values)
    assert all(0.02 < axis.place(value) < 0.98 for value in values)


@pytest.mark.parametrize(("low", "high"), [(0.04, 0.6), (0.9, 1.2e5), (1e-9, 1e9), (0.11, 0.49)])
def test_logarithmic_ticks_are_round_within_the_axis_and_few_enough_to_be_read(low: float, high: float) -> None:
    found = list(Axis("x", low, high, log=True).ticks())
    assert 3 <= len(found) <= 8
    assert all(low <= tick <= high for tick in found)
    leading = {float(f"{tick / 10 ** math.floor(math.log10(tick) + 1e-9):.6g}") for tick in found}
    assert leading <= {1, 1.5, 2, 3, 4, 5, 7}


def test_shares_are_shown_in_percent() -> None:
    assert list(Axis("x", 0, 1, percent=True).ticks().values()) == ["0%", "20%", "40%", "60%", "80%", "100%"]
