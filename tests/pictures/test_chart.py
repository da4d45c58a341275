import math
import threading
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from ndvq_tune.pictures.chart import BLUE, GREY, RED, Axis, Series, chart, figure

TEN = Axis("x", 0, 10)


def drawn(series: list[Series], x: Axis = TEN, y: Axis = TEN) -> Figure:
    made = figure("name", "what it shows", x, y, series)
    made.draw_without_rendering()
    return made


def labels(axis: Axis, way: str) -> dict[float, str]:
    """The ticks that are seen on an axis, and their texts."""
    (axes,) = drawn([Series("s", RED, [(axis.low, axis.low)])], axis, axis).axes
    ticks = {"x": axes.xaxis, "y": axes.yaxis}[way].get_major_ticks()
    found = {tick.get_loc(): tick.label1.get_text() for tick in ticks}
    return {value: text for value, text in found.items() if axis.low <= value <= axis.high}


@pytest.mark.parametrize("style", ["dots", "joined", "rings", "line", "dotted", "steps"])
def test_a_series_is_drawn_at_its_values_in_its_colour(style: str) -> None:
    (axes,) = drawn([Series("s", RED, [(2, 8), (6, 3)], style)]).axes
    (line,) = axes.lines
    assert line.get_xydata().tolist() == [[2, 8], [6, 3]]
    assert to_rgb(line.get_color()) == pytest.approx([channel / 255 for channel in RED])


def test_a_point_is_where_its_values_are_on_linear_and_logarithmic_axes() -> None:
    (axes,) = drawn([Series("s", RED, [(2.5, 1.0)])], TEN, Axis("y", 0.01, 100, log=True)).axes
    place = (axes.transData - axes.transAxes).transform((2.5, 1.0))
    assert place == pytest.approx((0.25, 0.5))


def test_steps_keep_a_value_until_the_next_point(tmp_path: Path) -> None:
    made = drawn([Series("s", RED, [(2, 8), (6, 3)], "steps")])
    made.savefig(tmp_path / "c.png")
    left, top = made.axes[0].transData.transform((4, 8))
    with Image.open(tmp_path / "c.png") as picture:
        assert picture.convert("RGB").getpixel((round(left), round(picture.height - top))) == RED


def test_later_series_lie_above_and_those_without_points_are_left_out() -> None:
    made = drawn([Series("a", RED, [(5, 5)], "line"), Series("b", GREY, []), Series("c", BLUE, [(5, 5)])])
    below, above = made.axes[0].lines
    assert (below.get_label(), above.get_label()) == ("a", "c")
    assert below.zorder < above.zorder
    assert [text.get_text() for text in made.legends[0].texts] == ["a", "c"]


def test_long_texts_and_many_series_are_broken_into_lines_and_nothing_is_cut_off(tmp_path: Path) -> None:
    series = [Series(f"series of a long name, number {number}", GREY, [(1, 1)]) for number in range(9)]
    chart("t", "word " * 100, TEN, TEN, series, tmp_path / "c.png")
    with Image.open(tmp_path / "c.png") as picture:
        assert picture.width == 1600
        pixels = np.asarray(picture.convert("RGB"))
    for edge in (pixels[:2], pixels[-2:], pixels[:, :2], pixels[:, -2:]):
        assert (edge == 255).all()


def test_names_are_shown_as_they_are_and_not_as_formulas(tmp_path: Path) -> None:
    chart("3\u00d74 \u2013 $a^b$", "$\\fault$", TEN, TEN, [Series("s", RED, [(1, 1)])], tmp_path / "c.png")
    assert (tmp_path / "c.png").is_file()  # as a formula the text has a fault; a letter that is missing warns


def test_threads_draw_at_the_same_time(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.png" for number in range(4)]
    series = [Series("s", RED, [(1, 2), (3, 4)], "joined")]
    threads = [threading.Thread(target=chart, args=("t", "text", TEN, TEN, series, path)) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({path.read_bytes() for path in paths}) == 1


def test_an_axis_is_logarithmic_where_positive_values_are_far_apart() -> None:
    assert Axis.over("x", [0.1, 0.5]).log
    assert not Axis.over("x", [0.1, 0.2]).log
    assert not Axis.over("x", [0.0, 5.0]).log
    assert not Axis.over("x", [-1.0, 5.0]).log


@pytest.mark.parametrize("values", [[0.01, 3.0, 250.0], [-3.0, 7.0], [4.0], [0.0], [-2.0, -2.0]])
def test_an_axis_shows_all_values_with_room_beside_them(values: list[float]) -> None:
    axis = Axis.over("x", values)
    (axes,) = drawn([Series("s", RED, [(value, value) for value in values])], axis, axis).axes
    places = (axes.transData - axes.transAxes).transform(axes.lines[0].get_xydata())
    assert ((places > 0.02) & (places < 0.98)).all()


@pytest.mark.parametrize("way", ["x", "y"])
@pytest.mark.parametrize(("low", "high"), [(0.04, 0.6), (0.9, 1.2e5), (1e-9, 1e9), (0.11, 0.49), (0.01, 4)])
def test_logarithmic_ticks_are_round_and_few_enough_to_be_read(low: float, high: float, way: str) -> None:
    found = labels(Axis("x", low, high, log=True), way)
    assert 3 <= len(found) <= 9
    assert all(float(text) == pytest.approx(tick) for tick, text in found.items())
    leading = {float(f"{tick / 10 ** math.floor(math.log10(tick) + 1e-9):.6g}") for tick in found}
    assert leading <= {1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5}


def test_ticks_are_plain_numbers() -> None:
    assert list(labels(Axis("x", 0.04, 0.6, log=True), "x").values()) == ["0.05", "0.1", "0.2", "0.5"]


def test_shares_are_shown_in_percent() -> None:
    assert list(labels(Axis("x", 0, 1, percent=True), "x").values()) == ["0%", "20%", "40%", "60%", "80%", "100%"]
