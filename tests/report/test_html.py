import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ndvq_tune.records import SearchRecord
from ndvq_tune.report import html
from ndvq_tune.report.html import write_html
from ndvq_tune.report.pictures import reconstructions
from ndvq_tune.report.ranking import best


def test_report_is_one_file_that_loads_nothing(example: SearchRecord, tmp_path: Path) -> None:
    clips = torch.rand(1, 3, 2, 8, 8)
    reconstructions(clips, clips, tmp_path / "picture.png")
    page = write_html(example, tmp_path, {"trial-0006": tmp_path / "picture.png"}).read_text()
    assert len(page) > 3_000_000  # plotly.js is in it, once
    own = page[: page.index("<script>")] + page[page.index("</script>") :]
    assert len(own) < 1_000_000
    assert not re.search(r'(src|href)="(?!data:)', own)
    assert "data:image/png;base64," in own


@pytest.fixture
def without_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html, "get_plotlyjs", lambda: "")


@pytest.mark.usefixtures("without_library")
def test_page_says_what_was_found(example: SearchRecord) -> None:
    page = html.page(example, {})
    winner = best(example)
    assert winner is not None
    assert f"{winner.name} is the one to take" in page
    assert "24 trials in 5 min 12 s: 10 completed, 13 stopped early, 1 failed" in page
    assert "scheduler 9, collapse 3, diverged 1" in page
    assert "RuntimeError: out of &lt;memory&gt;" in page
    assert "<code>broken.mp4</code>: no video stream" in page
    assert page.count('<tr class="best">') == 1


@pytest.mark.usefixtures("without_library")
def test_names_are_escaped(single: SearchRecord) -> None:
    assert "<script>alert" not in html.page(replace(single, name="<script>alert(1)</script>"), {})


@pytest.mark.usefixtures("without_library")
def test_page_without_trials_says_so(empty: SearchRecord) -> None:
    page = html.page(empty, {})
    assert "No trial has led to a model yet." in page
    assert "0 trials" in page
