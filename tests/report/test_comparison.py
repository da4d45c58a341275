"""Searches beside each other: what is the same, who is ahead, and what is said where that cannot be told."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ndvq_tune.config import RunConfig
from ndvq_tune.config.card import Cut, DataCard
from ndvq_tune.judgement.standing import Standing
from ndvq_tune.pictures.showcase import Showcase
from ndvq_tune.records import SearchRecord
from ndvq_tune.report import html
from ndvq_tune.report.comparison import Entry, ahead, differences, entries, search_columns, setting_columns
from ndvq_tune.report.comparison_page import write_comparison
from ndvq_tune.report.comparison_plots import fronts, fronts_caption, losses, losses_caption
from tests.report.report_examples import OBJECTIVES, READY, UNFINISHED, goals, make_trial

WHOLE = Cut(length=None, stride=1, step=1, crop=None)
CARD = DataCard(
    type="image",
    source="folder",
    fingerprint="aaaaaaaa11",
    test_fingerprint="bbbbbbbb22",
    files=9,
    train_samples=7,
    test_samples=2,
    dtype="uint8",
    low=0,
    high=255,
    minimum=0,
    maximum=255,
    channels=3,
    channel_names=(),
    clip_length=None,
    resolution=8,
    sample_rate=None,
    frame_rate=None,
    file_rates={},
    train_cut=WHOLE,
    test_cut=WHOLE,
)


def search_of(name: str, *points: tuple[float, float], model: dict[str, Any] | None = None) -> SearchRecord:
    """Trials with these losses and bits, one after the other, each of 5 s."""
    config = RunConfig.model_validate({"model": model or {}})
    trials = [
        make_trial(
            number,
            reports=({"epoch": 1, "seconds": 5.0 * (number + 1), "recon_loss": loss, "bits_per_element": bits},),
            config=config,
        )
        for number, (loss, bits) in enumerate(points)
    ]
    return SearchRecord(name, tuple(trials), OBJECTIVES, wall_seconds=5.0 * len(points))


def entry(search: SearchRecord, card: DataCard | None = CARD, shape: tuple[int, ...] = (3, 8, 8)) -> Entry:
    tested = None if card is None else (card, shape)
    return Entry(search.name, Path("runs", search.name), Standing(search), READY, tested)


ONE = search_of("one", (0.4, 0.1), (0.2, 0.2))
TWO = search_of("two", (0.5, 0.1), (0.25, 0.15), (0.1, 0.2), model={"n_codes": 64})


def with_goals(search: SearchRecord, *metrics: str) -> SearchRecord:
    return replace(search, goals=goals(*metrics))


def test_searches_on_the_same_data_with_the_same_objectives_compare() -> None:
    assert differences([entry(ONE), entry(TWO)]) == []


@pytest.mark.parametrize(
    ("changes", "shape", "told"),
    [
        ({"test_fingerprint": "cc"}, (3, 8, 8), "They differ in test data: bbbbbbbb22 in one and three; cc in two."),
        ({}, (3, 16, 16), "They differ in test samples: 2 of 3 x 8 x 8 in one and three; 2 of 3 x 16 x 16 in two."),
        (
            {"test_samples": 5},
            (3, 8, 8),
            "They differ in test samples: 2 of 3 x 8 x 8 in one and three; 5 of 3 x 8 x 8 in two.",
        ),
        (
            {"fingerprint": "cc"},
            (3, 8, 8),
            "They differ in training data, in whose variance recon_loss is measured: "
            "aaaaaaaa11 in one and three; cc in two.",
        ),
    ],
)
def test_a_difference_in_what_was_measured_is_said_with_who_has_what(
    changes: dict[str, Any], shape: tuple[int, ...], told: str
) -> None:
    other = entry(TWO, CARD.model_copy(update=changes), shape)
    compared = [entry(ONE), other, entry(replace(ONE, name="three"))]
    assert differences(compared) == [told]
    assert ahead(compared).startswith("These searches do not all compare")


def test_other_objectives_and_what_is_not_known_are_differences() -> None:
    single = entry(with_goals(TWO, "recon_loss"))
    assert differences([entry(ONE), single]) == [
        "They differ in objectives: recon_loss (min) and bits (min) in one; recon_loss (min) in two."
    ]
    (unknown,) = differences([entry(ONE), entry(TWO, None)])
    assert unknown.startswith("What two was tested on is not known")


def test_fronts_are_compared_from_the_worst_values_of_any_of_them() -> None:
    """From (0.5, 0.2), one has 0.1 * 0.1; two has 0.25 * 0.05: what is not better than the corner adds nothing."""
    assert ahead([entry(ONE), entry(TWO)]) == "By the hypervolume of its front, two (0.0125) is ahead of one (0.0100)."
    better = search_of("better", (0.3, 0.1))
    assert ahead([entry(TWO), entry(replace(TWO, name="again"))]) == (
        "By the hypervolume of its front, two and again are level (0.0125)."
    )
    assert ahead([entry(ONE), entry(TWO), entry(replace(TWO, name="again"))]) == (
        "By the hypervolume of its front, two (0.0125) and again (0.0125) are ahead of one (0.0100)."
    )
    text = ahead([entry(ONE), entry(better), entry(TWO)])
    assert text == "By the hypervolume of its front, better (0.0200) is ahead of two (0.0125) and one (0.0100)."


def test_of_one_objective_the_recommended_trials_are_compared() -> None:
    alone = [entry(with_goals(search, "recon_loss")) for search in (ONE, TWO)]
    assert ahead(alone) == "By recon_loss of its recommended trial, two (0.100) is ahead of one (0.200)."
    nothing = entry(replace(with_goals(ONE, "recon_loss"), name="none", trials=()))
    assert ahead([nothing, alone[0]]) == "By recon_loss of its recommended trial, one (0.200) is ahead of none (-)."


def test_a_row_a_search_and_a_column_a_figure() -> None:
    columns = dict(search_columns([entry(ONE), entry(TWO, CARD)]))
    assert columns["search"] == ["one", "two"]
    assert columns["recommended"] == [best.name for s in (ONE, TWO) if (best := Standing(s).best)]
    assert (columns["trials"], columns["time"]) == (["2", "3"], ["10 s", "15 s"])
    assert columns["test data"] == ["bbbbbbbb", "bbbbbbbb"]
    assert columns["hypervolume"] == ["0.0100", "0.0125"]
    apart = dict(search_columns([entry(ONE), entry(TWO, None)]))
    assert apart["test data"] == ["bbbbbbbb", "-"]
    assert "hypervolume" not in apart


def test_settings_are_those_that_differ() -> None:
    assert setting_columns([entry(ONE), entry(TWO)]) == [
        ("setting", ["model.n_codes"]),
        ("one", [str(RunConfig().model.n_codes)]),
        ("two", ["64"]),
    ]
    assert setting_columns([entry(ONE), entry(replace(ONE, name="same"))]) == []


def test_searches_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    found = [(Path("runs", name), Standing(search), READY) for name, search in (("a", ONE), ("b", ONE), ("c", TWO))]
    assert [entry.name for entry in entries(found)] == ["runs/a", "runs/b", "two"]


def test_each_search_has_its_colour_its_front_and_its_other_trials() -> None:
    more = replace(ONE, trials=(*ONE.trials, make_trial(2, {"recon_loss": 0.9, "bits_per_element": 0.9})))
    others, first, second, ring = fronts([entry(more), entry(TWO)]).data
    assert [trace.name for trace in (others, first, second, ring)] == ["one", "one", "two", "recommended"]
    assert list(ring.y) == [best.result["recon_loss"] for s in (more, TWO) if (best := Standing(s).best)]
    assert (list(others.x), list(others.y)) == ([0.9], [0.9])
    assert (sorted(first.x), sorted(second.y)) == ([0.1, 0.2], [0.1, 0.25, 0.5])
    assert others.marker.color == first.line.color != second.line.color


def test_the_caption_of_fronts_counts_what_no_search_beats() -> None:
    """(0.2, 0.2) loses to (0.1, 0.2), and (0.5, 0.1) to (0.4, 0.1)."""
    text = fronts_caption([entry(ONE), entry(TWO)])
    assert text.endswith("Nothing beats 3 trials in both: 1 of one and 2 of two.")
    assert fronts_caption([entry(ONE), entry(TWO, None)]).startswith("Where searches do not compare")


def test_the_best_loss_is_drawn_over_time_and_told_when_the_shortest_search_ended() -> None:
    first, second = losses([entry(ONE), entry(TWO)]).data
    assert (list(first.x), list(first.y)) == ([5, 10], [0.4, 0.2])
    assert (list(second.x), list(second.y)) == ([5, 10, 15], [0.5, 0.25, 0.1])
    assert losses_caption([entry(ONE), entry(TWO)]) == (
        "After 10 s, when the shortest of them had its last trial, the best loss was 0.200 in one and 0.250 in two."
    )
    assert not losses([entry(search_of("x", (0.1, 0.1))), entry(search_of("y", (0.1, 0.1)))]).data


def page_of(compared: list[Entry], folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(html, "get_plotlyjs", lambda: "")
    places = Showcase.places(folder, "trial-0000")
    Image.new("RGB", (8, 8)).save(places.still)
    write_comparison(compared, [places.kept(), *[None] * (len(compared) - 1)], folder / "page.html")
    return " ".join((folder / "page.html").read_text().split())


def test_the_page_has_all_of_it_and_loads_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    two = replace(entry(TWO), diagnosis=UNFINISHED)
    page = page_of([entry(ONE), two], tmp_path, monkeypatch)
    assert "is ahead of" in page
    assert "Why they do not compare" not in page
    assert re.findall("<h2>(.*?)</h2>", page) == [
        *("Searches", "Rate and distortion", "Best loss over time", "Recommended configurations"),
        "Inputs and their reconstructions",
    ]
    assert page.count('role="img"') == 2
    assert "<td>unfinished</td>" in page
    assert '<img alt="Inputs above reconstructions of one: trial-' in page
    assert not re.search(r'(src|href)="(?!data:|#)', page)


def test_the_page_says_first_that_searches_do_not_compare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = page_of([entry(ONE), entry(replace(ONE, name="<b>"), None)], tmp_path, monkeypatch)
    assert page.index("These searches do not compare") < page.index("Why they do not compare") < page.index("<table>")
    assert "What &lt;b&gt; was tested on is not known" in page
    assert "<b>" not in page
    assert "They differ in nothing." in page
