import re
from dataclasses import replace
from pathlib import Path

import pytest

from ndvq_tune.judgement.standing import Standing
from ndvq_tune.records import Baseline, SearchRecord
from ndvq_tune.report import html
from ndvq_tune.report.baselines import baseline_columns, compared
from ndvq_tune.report.provenance import Origin
from ndvq_tune.report.summary import summary
from tests.report.report_examples import READY, make_trial

FOLDER = Path("runs/images")
BASELINES = (
    Baseline("mean", 1.02),
    Baseline("bicubic", 0.31),
    Baseline("JPEG", 0.05, 0.31),
    Baseline("WebP", 0.1, 0.2),
)


@pytest.fixture
def beside(single: SearchRecord) -> Standing:
    """A model of a loss of 0.1 at 0.25 bits."""
    return Standing(replace(single, baselines=BASELINES))


def test_a_sentence_says_what_the_model_beats_and_what_beats_it(beside):
    assert compared(beside) == (
        "trial-0000, with a reconstruction loss of 0.100 at 0.250 bits per element, is better than mean (1.02) and "
        "bicubic (0.310), but no better than JPEG (0.0500 at 0.310 bits) and WebP (0.100 at 0.200 bits)."
    )


def test_a_model_that_beats_all_or_nothing_is_said_to(single):
    best = Standing(replace(single, baselines=BASELINES[:1]))
    assert compared(best).endswith("is better than mean (1.02).")
    worst = Standing(replace(single, baselines=BASELINES[2:3]))
    assert compared(worst).endswith("is no better than JPEG (0.0500 at 0.310 bits).")


def test_the_table_begins_with_the_model(beside):
    assert baseline_columns(beside) == [
        ("method", ["trial-0000", "mean", "bicubic", "JPEG", "WebP"]),
        ("recon_loss", ["0.100", "1.02", "0.310", "0.0500", "0.100"]),
        ("bits", ["0.250", "-", "-", "0.310", "0.200"]),
    ]


def test_without_baselines_or_on_smaller_samples_nothing_is_compared(single, empty):
    small = make_trial(0, {"recon_loss": 0.1, "bits_per_element": 0.25, "fidelity": 0.25})
    for search in (single, replace(empty, baselines=BASELINES), replace(single, trials=(small,), baselines=BASELINES)):
        assert compared(Standing(search)) == ""
        assert baseline_columns(Standing(search)) == []


def test_the_page_has_both_and_marks_the_model(beside, single, monkeypatch):
    monkeypatch.setattr(html, "get_plotlyjs", lambda: "")
    page = html.page(beside, READY, FOLDER, {}, Origin())
    section = page.split("<h2>Beside plain methods</h2>")[1].split("</section>")[0]
    assert compared(beside) in section
    marked = re.findall(r'<tr class="best">\s*<th scope="row">(.*?)</th>', section)
    assert marked == ["trial-0000"]
    assert "Beside plain methods" not in html.page(Standing(single), READY, FOLDER, {}, Origin())


def test_the_summary_has_them_for_programs(beside):
    assert summary(beside, {}, None)["baselines"] == [
        {"name": "mean", "recon_loss": 1.02, "bits_per_element": None},
        {"name": "bicubic", "recon_loss": 0.31, "bits_per_element": None},
        {"name": "JPEG", "recon_loss": 0.05, "bits_per_element": 0.31},
        {"name": "WebP", "recon_loss": 0.1, "bits_per_element": 0.2},
    ]
