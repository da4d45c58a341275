from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ndvq_tune.judgement.standing import Standing
from ndvq_tune.pictures.chart import Axis, Series, chart
from ndvq_tune.records import Role, SearchRecord
from ndvq_tune.report import slide
from tests.report.report_examples import eventful_search, goals, invented_search, make_trial


class Shown:
    """What a search's picture is drawn from."""

    def __init__(self, search: SearchRecord, folder: Path, patch: pytest.MonkeyPatch) -> None:
        def noted(title: str, text: str, x: Axis, y: Axis, series: list[Series], path: Path) -> None:
            self.x, self.y, self.series = x, y, {one.name: one for one in series}
            chart(title, text, x, y, series, path)

        patch.setattr(slide, "chart", noted)
        self.path = slide.write_front(Standing(search), folder)


@pytest.fixture
def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    return lambda search: Shown(search, tmp_path, monkeypatch)


def test_the_front_is_a_line_and_every_other_trial_of_full_size_is_grey(shown: Any) -> None:
    search = invented_search()
    standing, found = Standing(search), shown(search)
    values = [(trial.result["bits_per_element"], trial.result["recon_loss"]) for trial in standing.front]
    assert found.series["front"].points == values
    assert found.series["front"].style == "joined"
    (recommended,) = found.series[f"recommended: {standing.best.name}"].points
    assert recommended in values
    grey = len(found.series["other trials"].points)
    broken = found.series["break a constraint"].points
    assert (grey, len(broken)) == (16, 3)  # of 24 one has failed, and one has a loss that is no number
    assert found.x.title == "bits per element, lower is better"
    assert found.y.title == "reconstruction loss, lower is better"
    with Image.open(found.path) as picture:
        assert picture.width > 1500


def test_small_samples_and_repetitions_are_left_out(shown: Any) -> None:
    search = eventful_search()
    drawn = sum(len(one.points) for name, one in shown(search).series.items() if not name.startswith("recommended"))
    assert drawn == sum(
        trial.role is not Role.CONFIRM and trial.finite("recon_loss") and trial.result.get("fidelity") == 1.0
        for trial in search.trials
    )


def test_a_front_of_three_objectives_is_dots(shown: Any) -> None:
    three = goals("recon_loss", "bits_per_element", "parameters")
    assert shown(replace(invented_search(), goals=three)).series["front"].style == "dots"


def test_with_one_objective_the_best_value_goes_down_in_steps(shown: Any) -> None:
    losses = (0.5, 0.2, 0.3)
    trials = tuple(
        make_trial(number, {"recon_loss": loss, "seconds": 60.0 * (1 + number)}) for number, loss in enumerate(losses)
    )
    found = shown(SearchRecord("s", trials, goals("recon_loss")))
    assert found.series["best so far"].points == [(1, 0.5), (2, 0.2), (3, 0.2)]
    assert found.series["trials"].points == [(1, 0.5), (2, 0.2), (3, 0.3)]
    assert found.series["recommended: trial-0001"].points == [(2, 0.2)]
    assert found.x.title == "minutes since the search began"


def test_an_objective_says_its_unit_and_which_way_is_better(shown: Any) -> None:
    trials = tuple(make_trial(number, {"psnr": 20.0 + number}) for number in range(2))
    assert shown(SearchRecord("s", trials, goals("psnr", mode="max"))).y.title == "PSNR (dB), higher is better"


def test_without_a_recommended_trial_there_is_no_picture(tmp_path: Path) -> None:
    search = SearchRecord("s", (make_trial(0, checkpoint=None),), goals("recon_loss"))
    assert slide.write_front(Standing(search), tmp_path) is None
    assert not list(tmp_path.iterdir())
